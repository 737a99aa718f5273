#!/usr/bin/env bash
# Classifiers of few labels: glyph10, 2,020 images of 16x16, of which 2 of each class have a label; the error on 2,000
# others. The supervised baseline is the same net, noise and dropout without consistency. Besides, all labels with 30 %
# of them wrong. Several seeds; a table.
#   tests/bench/few_labels.sh OUT [SEEDS="1 2 3"] [RANKS=1] [NAME...]
# What is there is kept: an interrupted bench goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/few_labels.sh OUT [SEEDS] [RANKS] [NAME...]} seeds=${2:-1 2 3} ranks=${3:-1}
shift $(($# < 3 ? $# : 3))
saddle=${SADDLE_BUILD:-.build}/saddle
jobs=$(($(nproc) / ranks > 0 ? $(nproc) / ranks : 1))
export saddle out ranks OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$out"
pack() { [ -e "$out/glyphs/$1" ] || "$saddle" pack glyph10 --samples "$2" --seed "$3" --size 16 --out "$out/glyphs/$1" >/dev/null 2>&1; }
pack train 2020 1
pack validation 2000 2

# 40 epochs of 2,020 images are 808 steps of 100.
common="batch=100 width=32"
few="$common data.labels=2"
rows="supervised temporal-ensembling $few steps=808 consistency=0
pi-model pi-model $few steps=808
te temporal-ensembling $few steps=808
supervised-120 temporal-ensembling $few steps=2424 consistency=0
te-120 temporal-ensembling $few steps=2424
all-labels temporal-ensembling $common steps=808 consistency=0
all-labels-noise temporal-ensembling $common steps=808 consistency=0 data.label_noise=0.3
te-all temporal-ensembling $common steps=808
te-all-noise temporal-ensembling $common steps=808 data.label_noise=0.3"
chosen() { if [ $# = 0 ]; then cat; else grep -E "^($(IFS='|'; echo "$*")) "; fi; }

one() {  # SEED NAME RECIPE SETS...
  local seed=$1 name=$2 recipe=$3 run=$out/$2-$1 set sets=()
  shift 3
  [ -e "$run/evaluation.json" ] && return
  for set in data.labels=0 "$@" "seed=$seed" threads=1 sample.every=0 tick.every=200 checkpoint.every=0; do sets+=(--set "$set"); done
  local start=()
  if [ "$ranks" -gt 1 ]; then start=(mpirun -n "$ranks" --oversubscribe --bind-to none); fi
  "${start[@]}" "$saddle" train "$recipe" --data "$out/glyphs/train" --out "$run" --resume "${sets[@]}" >"$run.log" 2>&1 &&
    "$saddle" evaluate "$run" --n 2000 --seed 99 --picture "$run.png" >/dev/null 2>>"$run.log" || { tail -n 3 "$run.log" >&2; return 1; }
}
export -f one
chosen "$@" <<<"$rows" | while read -r name recipe sets; do
  for seed in $seeds; do echo $seed $name $recipe $sets; done
done | xargs -P "$jobs" -L 1 bash -c 'one "$@"' _

printf '%-18s  %s\n' classifier "error on 2,000 images that were not seen, seed by seed ($ranks ranks)"
chosen "$@" <<<"$rows" | while read -r name recipe sets; do
  printf '%-18s' "$name"
  for seed in $seeds; do
    printf '   %5.1f %%' "$(awk -F'[:,]' '/"error":/ {print 100 * $2}' "$out/$name-$seed/evaluation.json")"
  done
  echo
done
