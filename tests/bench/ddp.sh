#!/usr/bin/env bash
# images/s of `saddle train dcgan` beside its PyTorch twin (ddp_twin.py), same nets, batch and precision, taking turns
# in one run; medians and ratios at the end. Needs a built saddle (cluster/setup.sh) and, for the twin only, Python:
#   tests/bench/ddp.sh [ROUNDS=3] [STEPS=200]         PEER_PYTHON: a python with torch 2.11 (else a venv is made in .deps)
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3} steps=${2:-200} build=${SADDLE_BUILD:-.build}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
images=$(dpkg -L dataset-fashion-mnist | grep train-images | head -1)
python=${PEER_PYTHON:-.deps/peer/bin/python}
if [ ! -x "$python" ]; then
  echo "making a Python environment with torch 2.11.0 in .deps/peer (some GB)"
  python3 -m venv .deps/peer && .deps/peer/bin/pip install --quiet torch==2.11.0 numpy
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"$build/saddle" pack "$images" --out "$work/data" 2>/dev/null >/dev/null

saddle() {  # RANKS THREADS -> images/s after the first tick (20 steps of warm-up)
  local run=$work/run-$RANDOM
  OMP_NUM_THREADS=$2 mpirun --oversubscribe --bind-to none -n "$1" "$build/saddle" train dcgan --data "$work/data" --out "$run" \
    --set threads="$2" --set sample.every=0 --set checkpoint.every=0 --set tick.every=20 --steps $((steps + 20)) 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
  tail -n +2 "$run/log.jsonl" | grep -oE '"images_per_second":[0-9.]+' | cut -d: -f2 | awk '{s += 1 / $1} END {print NR / s}'
}
twin() { OMP_NUM_THREADS=$2 "$python" -B tests/bench/ddp_twin.py --ranks "$1" --threads "$2" --steps "$steps" --images "$images"; }
median() { sort -n "$1" | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

for round in $(seq "$rounds"); do
  for shape in "1 2" "2 1"; do
    # shellcheck disable=SC2086
    for who in saddle twin; do $who $shape | tee -a "$work/$who-${shape/ /x}" | sed "s/^/round $round  $who  ranks x threads ${shape/ /x}: /"; done
  done
done
echo; echo "DCGAN 28x28, batch 64, float32, images/s, median of $rounds (ranks x threads):"
for shape in 1x2 2x1; do
  a=$(median "$work/saddle-$shape") b=$(median "$work/twin-$shape")
  awk -v s=$shape -v a="$a" -v b="$b" 'BEGIN {printf "  %s   saddle %.0f   PyTorch %.0f   ratio %.2f\n", s, a, b, a / b}'
done
