#!/usr/bin/env bash
# images/s of `saddle train` beside its PyTorch twins (ddp_twin.py), same nets, batch and precision, taking turns in one run;
# medians and ratios at the end. Needs a built saddle (cluster/setup.sh) and, for the twins only, Python:
#   tests/bench/ddp.sh [ROUNDS=3] [STEPS=200] [CONFIG...]    CONFIG: mlp dcgan28 dcgan32 dcgan64 wgan-gp (default: all);
# dcgan28-cl is channels-last on both sides, dcgan28-bf16 in bfloat16, and so of each.
# PEER_PYTHON: a python with torch 2.11 (else a venv is made in .deps); SHAPES="1x2 2x1": ranks x threads.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3} steps=${2:-200} build=${SADDLE_BUILD:-.build}
read -ra shapes <<<"${SHAPES:-1x2 2x1}"
configs=("${@:3}"); [ ${#configs[@]} -gt 0 ] || configs=(mlp dcgan28 dcgan32 dcgan64 wgan-gp)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
images=$(dpkg -L dataset-fashion-mnist | grep train-images | head -1)
python=${PEER_PYTHON:-.deps/peer/bin/python}
if [ ! -x "$(command -v "$python")" ]; then
  echo "making a Python environment with torch 2.11.0 in .deps/peer (some GB)"
  python3 -m venv .deps/peer && .deps/peer/bin/pip install --quiet torch==2.11.0 numpy
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# Sets what CONFIG is on both sides: recipe, sets, twin, data, count (of steps: about as long as dcgan28's).
describe() {
  count=$steps; sets=(ema=0 batch=64 latent=100 g.width=32 d.width=32); twin=(dcgan --size 28); data=$work/28; recipe=dcgan
  local variant=
  case $1 in
    *-cl) variant=cl ;;
    *-bf16) variant=bf16 ;;
  esac
  case ${1%-$variant} in
    mlp) recipe=gan-ns data=$work/ring count=$((10 * steps)); sets=(ema=0 batch=128 latent=16 g.width=128 d.width=128); twin=(mlp --batch 128 --width 128 --latent 16) ;;
    dcgan28) ;;
    dcgan32 | dcgan64)
      local size=${1#dcgan}; size=${size%-$variant}
      data=$work/$size; twin=(dcgan --size "$size"); [ "$size" = 32 ] || count=$((steps / 4)) ;;
    wgan-gp) recipe=wgan-gp twin=(wgan-gp --size 28 --width 16) count=$((steps / 2)); sets=(ema=0 batch=64 latent=100 g.width=16 d.width=16) ;;
    *) echo "no config '$1'" >&2; exit 64 ;;
  esac
  case $variant in
    cl) sets+=(channels_last=true); twin+=(--channels-last) ;;
    bf16) sets+=(precision=bfloat16); twin+=(--bfloat16) ;;
  esac
}
pack() {
  [ -e "$data" ] && return
  case $data in
    */ring) "$build/saddle" pack ring8 --samples 2000 --seed 1 --out "$data" ;;
    */28) "$build/saddle" pack "$images" --out "$data" ;;
    *) "$build/saddle" pack "$images" --size "${data##*/}x${data##*/}" --out "$data" ;;
  esac >/dev/null 2>&1
}
saddle() {  # RANKS THREADS -> images/s after the first tick (20 steps of warm-up)
  local run=$work/run-$RANDOM$RANDOM set
  local -a flags=(); for set in "${sets[@]}"; do flags+=(--set "$set"); done
  OMP_NUM_THREADS=$2 mpirun --oversubscribe --bind-to none -n "$1" "$build/saddle" train "$recipe" --data "$data" --out "$run" "${flags[@]}" \
    --set threads="$2" --set sample.every=0 --set checkpoint.every=0 --set tick.every=20 --steps $((count + 20)) 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
  tail -n +2 "$run/log.jsonl" | grep -oE '"images_per_second":[0-9.]+' | cut -d: -f2 | awk '{s += 1 / $1} END {print NR / s}'
}
peer() { OMP_NUM_THREADS=$2 "$python" -B tests/bench/ddp_twin.py "${twin[@]}" --ranks "$1" --threads "$2" --steps "$count" --images "$images" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }; }
median() { sort -n "$1" | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

for round in $(seq "$rounds"); do
  for config in "${configs[@]}"; do
    describe "$config"; pack
    for shape in "${shapes[@]}"; do
      for who in saddle peer; do $who "${shape%x*}" "${shape#*x}" | tee -a "$work/$who-$config-$shape" | sed "s/^/round $round  $config  ranks x threads $shape  $who: /"; done
    done
  done
done
echo; echo "images/s, median of $rounds (ranks x threads; load $(cut -d' ' -f1 /proc/loadavg)):"
for config in "${configs[@]}"; do
  for shape in "${shapes[@]}"; do
    awk -v c="$config" -v s="$shape" -v a="$(median "$work/saddle-$config-$shape")" -v b="$(median "$work/peer-$config-$shape")" \
      'BEGIN {printf "  %-12s %s   saddle %.0f   PyTorch %.0f   ratio %.2f\n", c, s, a, b, a / b}'
  done
done
