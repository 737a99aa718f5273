#!/usr/bin/env bash
# The quickstart's recipe beside the DCGAN that it trained before, on the same data and two ranks, several seeds: seconds of
# training, and the Frechet distance in a classifier's features of 2,000 samples. Needs what cluster/quickstart.sh makes.
#   tests/bench/quickstart.sh OUT [SEEDS="0 1 2"] [NAME...]      NAME: cgan dcgan
# What is there is kept: an interrupted bench goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/quickstart.sh OUT [SEEDS] [NAME...]} seeds=${2:-0 1 2}
shift $(($# < 2 ? $# : 2))
saddle=${SADDLE_BUILD:-.build}/saddle data=runs/fashion-mnist
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
[ -e "$data" ] || { echo "tests/bench/quickstart.sh: no $data: run cluster/quickstart.sh first" >&2; exit 1; }
mkdir -p "$out"
declare -A steps=([cgan]=2000 [dcgan]=3000)
printf '%-6s %4s %9s %6s  %s\n' recipe seed seconds FD "of real against real"
for seed in $seeds; do
  for name in "${@:-cgan dcgan}"; do
    for recipe in $name; do
      run=$out/$recipe-$seed
      mpirun -n 2 --oversubscribe --bind-to none "$saddle" train "$recipe" --data "$data" --out "$run" --resume --steps "${steps[$recipe]}" \
        --set seed="$seed" --set threads=1 --set sample.every=0 --set checkpoint.every=0 2>>"$run.log" || { tail -n 3 "$run.log" >&2; exit 1; }
      "$saddle" evaluate "$run" --n 2000 --seed 5 --metrics fd >/dev/null 2>>"$run.log"
      value() { grep -oE "\"$1\": [0-9.]+" "$run/evaluation.json" | sed 's/.*: //'; }
      seconds=$(grep -oE '"images_per_second":[0-9.]+' "$run/log.jsonl" | cut -d: -f2 | awk -v s="${steps[$recipe]}" '{t += 1 / $1} END {printf "%.0f", t / NR * s * 64}')
      printf '%-6s %4d %9s %6.2f  %.2f\n' "$recipe" "$seed" "$seconds" "$(value fd)" "$(value fd_real_against_real)"
    done
  done
done
