#!/usr/bin/env bash
# Samples a second of saddle's loader beside PyTorch's DataLoader over h5py and over PNG files: batches of 64 as floats in
# [-1, 1], 2 workers each, taking turns in one run; medians of ROUNDS, and ratios to h5py kept open. First from the page
# cache, then from a cold one (each file is dropped from it), with global and local shuffle; and compressed.
#   tests/bench/data.sh [ROUNDS=3] [SIDE...=32 256]
# Needs a built saddle with tests (tests/run.sh) and, for the peers only, PEER_PYTHON: a python with torch 2.11, h5py and
# Pillow (else a venv is made in .deps).
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3} build=${SADDLE_BUILD:-.build}
sides=("${@:2}"); [ ${#sides[@]} -gt 0 ] || sides=(32 256)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
python=${PEER_PYTHON:-.deps/peer/bin/python}
if [ ! -x "$(command -v "$python")" ]; then
  echo "making a Python environment with torch 2.11.0 in .deps/peer (some GB)"
  python3 -m venv .deps/peer
fi
"$python" -c 'import torch, h5py, PIL' 2>/dev/null || "$python" -m pip install --quiet torch==2.11.0 numpy h5py pillow
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
drop() { "$python" tests/bench/data_twin.py drop "$@"; }  # from the page cache
warm() { find "$@" -type f -exec cat {} + >/dev/null; }

# NAME FILES COLD|WARM command... : one round, kept for the table
declare -A rates
measure() {
  local key=$1 files=$2 how=$3; shift 3
  if [ "$how" = cold ]; then drop $files; else warm $files; fi
  rates[$key]+="$("$@" 2>/dev/null) "
}
row() {  # KEY NAME BASE
  local own base
  own=$(tr ' ' '\n' <<<"${rates[$1]}" | grep . | median) base=$(tr ' ' '\n' <<<"${rates[$3]}" | grep . | median)
  awk -v n="$2" -v o="$own" -v b="$base" 'BEGIN { printf "  %-34s %9.0f/s  %6.2f\n", n, o, o / b }'
}

for side in "${sides[@]}"; do
  count=$((side <= 64 ? 40000 : 2000)) peers=$((side <= 64 ? 8000 : 1000)) rates=()
  folder=$work/$side
  "$python" tests/bench/data_twin.py make "$folder" "$side" "$count" "$peers"
  for level in 0 4; do
    "$build/saddle" pack "$folder/images.h5" --compress $level --out "$folder/packed$level" >/dev/null 2>&1
  done
  loading() { "$build/tests/bench/bench_loading" --data "$@"; }
  twin() { "$python" tests/bench/data_twin.py read "$1" "$folder" 2 "$peers"; }
  for ((r = 0; r < rounds; ++r)); do
    for how in warm cold; do
      measure "$how-saddle" "$folder/packed0" $how loading "$folder/packed0"
      measure "$how-unverified" "$folder/packed0" $how loading "$folder/packed0" --verify 0
      measure "$how-memory" "$folder/packed0" $how loading "$folder/packed0" --memory
      measure "$how-local" "$folder/packed0" $how loading "$folder/packed0" --order local
      measure "$how-deflate" "$folder/packed4" $how loading "$folder/packed4"
      measure "$how-deflate-local" "$folder/packed4" $how loading "$folder/packed4" --order local
      for what in h5py h5py-open; do measure "$how-$what" "$folder/images.h5" $how twin $what; done
      measure "$how-png" "$folder/png" $how twin png
    done
  done
  for how in warm cold; do
    echo "${side}x${side}x3, $count pictures, $how page cache (ratio to h5py kept open):"
    row $how-saddle "saddle" $how-h5py
    row $how-local "saddle, local shuffle" $how-h5py
    row $how-memory "saddle, data.cache = memory" $how-h5py
    row $how-unverified "saddle, data.verify = 0" $how-h5py
    row $how-deflate "saddle, --compress 4" $how-h5py
    row $how-deflate-local "saddle, --compress 4, local" $how-h5py
    row $how-h5py "DataLoader, h5py kept open" $how-h5py
    row $how-h5py-open "DataLoader, h5py opened each time" $how-h5py
    row $how-png "DataLoader, PNG files" $how-h5py
  done
  du -sm "$folder/packed0" "$folder/packed4" "$folder/images.h5" "$folder/png" | sed "s|$folder/||; s/^/  MiB /"
done
echo "beside a plain loop over memory that copies and converts the same bytes (bench_loading):"
"$build/tests/bench/bench_loading"
