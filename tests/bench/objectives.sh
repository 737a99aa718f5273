#!/usr/bin/env bash
# What a loss, a term or a technique does for mode coverage: hd10, ten Gaussians in 64 dimensions, of which the
# non-saturating GAN finds one. Perceptrons of two layers of 128, 3,000 steps; several seeds; a table.
#   tests/bench/objectives.sh OUT [SEEDS="1 2 3"] [RANKS=1] [NAME...]
# What is there is kept: an interrupted bench goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/objectives.sh OUT [SEEDS] [RANKS] [NAME...]} seeds=${2:-1 2 3} ranks=${3:-1}
shift $(($# < 3 ? $# : 3))
saddle=${SADDLE_BUILD:-.build}/saddle
jobs=$(($(nproc) / ranks > 0 ? $(nproc) / ranks : 1))
export saddle out ranks OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$out"
[ -e "$out/hd10" ] || "$saddle" pack hd10 --seed 1 --out "$out/hd10" >/dev/null 2>&1

nets="batch=128 steps=3000 latent=16 ema=0.99 g.width=128 d.width=128 g.depth=2 d.depth=2 g.lr=1e-3 d.lr=1e-3"
rows="ns gan-ns
rpgan gan-ns loss=rpgan
ns+r1 gan-ns r1=1
rpgan+r1 gan-ns loss=rpgan r1=1
ns+r1+r2 gan-ns r1=1 r2=1
rpgan+r1+r2 gan-ns loss=rpgan r1=1 r2=1
reg-gan reg-gan
mdgan mdgan
hinge gan-ns loss=hinge
lsgan gan-ns loss=lsgan
ragan gan-ns loss=ragan
dragan gan-ns dragan=10
wgan-gp wgan-gp gp=10 steps=800 g.beta1=0.5 g.beta2=0.999 d.beta1=0.5 d.beta2=0.999
pac2 gan-ns pac=2
pac4 gan-ns pac=4"
chosen() { if [ $# = 0 ]; then cat; else grep -E "^($(IFS='|'; echo "${*//+/\\+}")) "; fi; }

one() {  # SEED NAME RECIPE SETS...
  local seed=$1 name=$2 recipe=$3 run=$out/$2-$1 set sets=()
  shift 3
  [ -e "$run/evaluation.json" ] && return
  for set in "$@" "seed=$seed" threads=1 sample.every=0 tick.every=500 checkpoint.every=0; do sets+=(--set "$set"); done
  local start=()
  if [ "$ranks" -gt 1 ]; then start=(mpirun -n "$ranks" --oversubscribe --bind-to none); fi
  "${start[@]}" "$saddle" train "$recipe" --data "$out/hd10" --out "$run" --resume "${sets[@]}" >"$run.log" 2>&1 &&
    "$saddle" evaluate "$run" --n 2500 --seed 99 --picture "$run.png" >/dev/null 2>>"$run.log" || { tail -n 3 "$run.log" >&2; return 1; }
}
export -f one
chosen "$@" <<<"$rows" | while read -r name recipe sets; do
  for seed in $seeds; do echo $seed $name $recipe $nets $sets; done  # no blank at the end, which xargs takes for more to come
done | xargs -P "$jobs" -L 1 bash -c 'one "$@"' _

field() { grep -oE "\"$2\": [0-9.e+-]+" "$1" | sed 's/.*: //'; }
printf '%-12s  %s\n' objective "modes of 10, share of high-quality samples, reverse KL, seed by seed (2,500 samples, $ranks ranks)"
chosen "$@" <<<"$rows" | while read -r name recipe sets; do
  printf '%-12s' "$name"
  for seed in $seeds; do
    e=$out/$name-$seed/evaluation.json
    printf '   %2d %5.1f %% %6.3f' "$(field "$e" modes)" "$(awk "BEGIN {print 100 * $(field "$e" high_quality)}")" "$(field "$e" reverse_kl)"
  done
  echo
done
