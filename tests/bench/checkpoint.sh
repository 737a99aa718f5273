#!/usr/bin/env bash
# What checkpoints cost: whole runs with one every 50 steps against runs without, in pairs that take turns; then a large
# state: bytes a second of a save against `dd` writing and syncing as many, the time to resume, and PyTorch's
# torch.distributed.checkpoint of as many bytes (checkpoint_twin.py).
#   tests/bench/checkpoint.sh [PAIRS=5] [FOLDER=a temporary one]     PEER_PYTHON: a python with torch, for the last only
set -euo pipefail
cd "$(dirname "$0")/../.."
pairs=${1:-5} saddle=${SADDLE_BUILD:-.build}/saddle
work=$(mktemp -d -p "${2:-${TMPDIR:-/tmp}}"); trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
images=$(dpkg -L dataset-fashion-mnist | grep train-images | head -1)
"$saddle" pack "$(dirname "$images")" --out "$work/data" --subset 10% >/dev/null 2>&1
now() { date +%s.%N; }
ratio() { awk "BEGIN { printf \"%.3f\", ($1) / ($2) }"; }

# RUN FLAGS...: seconds of a training on two ranks
train() {
  local run=$1 start; shift
  start=$(now)
  mpirun -n 2 --oversubscribe --bind-to none "$saddle" train dcgan --data "$work/data" --out "$run" --set sample.every=0 "$@" >"$work/out" 2>&1 ||
    { cat "$work/out" >&2; return 1; }
  awk "BEGIN { print $(now) - $start }"
}

echo "dcgan 28x28, 2 ranks, 400 steps, seconds of the whole run:"
for ((i = 1; i <= pairs; ++i)); do
  declare -A seconds=()
  order=(0 50); ((i % 2)) || order=(50 0)
  for every in "${order[@]}"; do
    rm -rf "$work/run"
    seconds[$every]=$(train "$work/run" --steps 400 --set checkpoint.every="$every")
  done
  r=$(ratio "${seconds[50]}" "${seconds[0]}"); ratios+=("$r")
  printf '  pair %d: none %.1f, every 50 steps %.1f, ratio %s\n' "$i" "${seconds[0]}" "${seconds[50]}" "$r"
done
printf '%s\n' "${ratios[@]}" | sort -g | awk '{ v[NR] = $1 } END { print "  median ratio " v[int((NR + 1) / 2)] }'

echo "dcgan of width 128, 2 ranks, one step:"
big=(--set g.width=128 --set d.width=128 --set batch=4)
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
