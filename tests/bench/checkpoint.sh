#!/usr/bin/env bash
# What checkpoints cost: in one run, 50 steps after each begin of a save, with all that it delays them by, against the 50 after
# those; then a large state: bytes a second of a save against `dd` writing and syncing as many, the time to resume, and PyTorch's
# torch.distributed.checkpoint of as many bytes (checkpoint_twin.py).
#   tests/bench/checkpoint.sh [PAIRS=60] [FOLDER=a temporary one]     PEER_PYTHON: a python with torch, for the last only
set -euo pipefail
cd "$(dirname "$0")/../.."
pairs=${1:-60} saddle=${SADDLE_BUILD:-.build}/saddle
work=$(mktemp -d -p "${2:-${TMPDIR:-/tmp}}"); trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
images=$(dpkg -L dataset-fashion-mnist | grep train-images | head -1)
"$saddle" pack "$(dirname "$images")" --out "$work/data" --subset 10% >/dev/null 2>&1
now() { date +%s.%N; }

# RUN FLAGS...: seconds of a training on two ranks
train() {
  local run=$1 start; shift
  start=$(now)
  mpirun -n 2 --oversubscribe --bind-to none "$saddle" train dcgan --data "$work/data" --out "$run" --set sample.every=0 "$@" >"$work/out" 2>&1 ||
    { cat "$work/out" >&2; return 1; }
  awk "BEGIN { print $(now) - $start }"
}

# Whole runs differ by 10 % on a machine that others share. Neighbouring ticks differ less.
train "$work/run" --steps $((pairs * 100)) --set checkpoint.every=100 --set tick.every=50 >/dev/null
awk '{ match($0, /"images_per_second":[0-9.e+-]+/); seconds = 50 * 64 / substr($0, RSTART + 20, RLENGTH - 20)
       with = match($0, /"blocked":[0-9.e+-]+/)
       if (with) seconds += substr($0, RSTART + 10, RLENGTH - 10)
       if (with) saved = seconds; else if (saved) { print saved, seconds, saved / seconds; saved = 0 } }' "$work/run/log.jsonl" >"$work/ticks"
sort -g -k 3 "$work/ticks" | awk '{ with += $1; none += $2; r[NR] = $3; s += $3; q += $3 * $3 }
  END { printf "dcgan 28x28, 2 ranks, %d pairs of 50 steps with a checkpoint and 50 without: %.2f s and %.2f s; ratio: median %.3f, mean %.3f +- %.3f\n",
        NR, with / NR, none / NR, r[int((NR + 1) / 2)], s / NR, sqrt((q / NR - (s / NR) ^ 2) / (NR - 1)) }'

echo "dcgan of width 256, 2 ranks, one step:"
big=(--set g.width=256 --set d.width=256 --set batch=4)
train "$work/big" --steps 1 --set checkpoint.async=false "${big[@]}" >/dev/null
state=$(ls -d "$work"/big/checkpoints/step-*) bytes=$(cat "$state"/*.safetensors | wc -c)
train "$work/big" --steps 2 --resume --set tick.every=1 "${big[@]}" >/dev/null
train "$work/big" --steps 4 --resume --set tick.every=1 --set checkpoint.every=1 --set checkpoint.async=false "${big[@]}" >/dev/null
save=$(grep -o '"seconds":[0-9.e-]*' "$work/big/log.jsonl" | tail -1 | cut -d: -f2)
start=$(now); dd if=/dev/zero of="$work/dd" bs=1M count=$((bytes >> 20)) conv=fsync 2>/dev/null; dd=$(awk "BEGIN { print $(now) - $start }")
start=$(now); mpirun -n 2 --oversubscribe --bind-to none "$saddle" train --data "$work/data" --out "$work/big" --resume >/dev/null 2>&1
resume=$(awk "BEGIN { print $(now) - $start }")
awk "BEGIN { m = $bytes / 1048576; printf \"  %.0f MiB: saved in %.2f s, %.0f MiB/s; dd with fsync %.2f s, %.0f MiB/s, ratio %.2f; a start that finds its run done, all of it read and verified on both ranks: %.2f s\n\", m, $save, m / $save, $dd, m / $dd, $dd / $save, $resume }"
if [ -n "${PEER_PYTHON:-}" ]; then "$PEER_PYTHON" tests/bench/checkpoint_twin.py "$bytes" "$work/dcp"; else echo "  PEER_PYTHON is not set: torch.distributed.checkpoint is left out"; fi
