#!/usr/bin/env bash
# Mode coverage on the generated mixtures: gan-ns, wgan and wgan-gp on ring8, grid25 and hd10, several seeds; a table, and a
# scatter plot of every run's samples.        tests/bench/mixtures.sh OUT [SEEDS="1 2 3"]
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/mixtures.sh OUT [SEEDS]} seeds=${2:-1 2 3}
cores=$(nproc)  # before OMP_NUM_THREADS, which nproc obeys
export saddle=${SADDLE_BUILD:-.build}/saddle out OMP_NUM_THREADS=1
mkdir -p "$out"
for data in ring8 grid25 hd10; do "$saddle" pack $data --seed 1 --out "$out/$data" >/dev/null 2>&1; done

one() {  # RECIPE DATA SEED
  local run=$out/$1-$2-$3
  [ -e "$run/evaluation.json" ] && return
  "$saddle" train "$1" --data "$out/$2" --out "$run" --resume --set seed="$3" --set threads=1 --set sample.every=0 --set tick.every=500 \
    --set checkpoint.every=0 2>"$run.log" && "$saddle" evaluate "$run" --n 2500 --seed 99 --picture "$run.png" >/dev/null 2>>"$run.log" || { tail -n 3 "$run.log" >&2; return 1; }
}
export -f one
for recipe in gan-ns toy-wgan toy-wgan-gp; do for data in ring8 grid25 hd10; do for seed in $seeds; do echo "$recipe $data $seed"; done; done; done |
  xargs -P "$cores" -L 1 bash -c 'one "$@"' _

field() { grep -oE "\"$2\": [0-9.e+-]+" "$1" | sed 's/.*: //'; }
printf '%-12s %-7s  %s\n' recipe data 'modes, share of high-quality samples, reverse KL, seed by seed (2,500 samples)'
for recipe in gan-ns toy-wgan toy-wgan-gp; do
  for data in ring8 grid25 hd10; do
    printf '%-12s %-7s' $recipe $data
    for seed in $seeds; do
      e=$out/$recipe-$data-$seed/evaluation.json
      printf '   %2d/%d %5.1f %% %.2f' "$(field "$e" modes)" "$(field "$e" of)" "$(awk "BEGIN {print 100 * $(field "$e" high_quality)}")" "$(field "$e" reverse_kl)"
    done
    echo
  done
done
