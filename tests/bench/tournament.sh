#!/usr/bin/env bash
# A tournament of two trainers against the same two trained alone: gan-ns on ring8, equal steps a trainer, several pairs of seeds.
#        tests/bench/tournament.sh OUT [SEEDS="1 3 5 7 9"] [METRIC=critic] [EVERY=1000]
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/tournament.sh OUT [SEEDS] [METRIC] [EVERY]} seeds=${2:-1 3 5 7 9} metric=${3:-critic} every=${4:-1000}
saddle=${SADDLE_BUILD:-.build}/saddle
export OMP_NUM_THREADS=1
mkdir -p "$out"
[ -e "$out/ring8/dataset.json" ] || "$saddle" pack ring8 --seed 1 --out "$out/ring8" >/dev/null 2>&1

train() {  # RUN RANKS SEED FLAGS...
  local run=$1 ranks=$2 seed=$3
  shift 3
  [ -e "$run.done" ] && return
  mpirun --oversubscribe --bind-to none -n "$ranks" "$saddle" train gan-ns --data "$out/ring8" --out "$run" --resume --set seed="$seed" \
    --set threads=1 --set sample.every=0 --set tick.every=500 --set checkpoint.every=0 "$@" 2>"$run.log" || { tail -n 3 "$run.log" >&2; return 1; }
  touch "$run.done"
}
judge() {  # RUN: modes, share of high quality, reverse KL
  [ -e "$1/evaluation.json" ] || "$saddle" evaluate "$1" --n 2500 --seed 99 >/dev/null 2>&1
  for field in modes high_quality reverse_kl; do grep -oE "\"$field\": [0-9.e+-]+" "$1/evaluation.json" | sed 's/.*: //'; done | xargs
}

printf '%-8s %-24s %-24s\n' seed 'alone' "tournament ($metric)"
printf '%-8s %-24s %-24s\n' '' 'modes  quality  KL' 'modes  quality  KL'
for seed in $seeds; do
  (train "$out/alone-$seed" 1 "$seed") & (train "$out/alone-$((seed + 1))" 1 "$((seed + 1))")
  wait $!
  both=$out/$metric-$every-$seed
  train "$both" 2 "$seed" --trainers 2 --set tournament.metric="$metric" --set tournament.every="$every"
  for t in 0 1; do
    read -r m q k < <(judge "$out/alone-$((seed + t))")
    read -r tm tq tk < <(judge "$both/trainer-$t")
    echo "$((seed + t)) $m $q $k $tm $tq $tk $(grep -oE '"best": ?[0-9]+' "$both/tournament.json" | grep -oE '[0-9]+$')  $t"
  done
done | awk '
  function row(name, m, q, k, tm, tq, tk, note) { printf "%-8s %5.2f  %5.1f %%  %.3f    %5.2f  %5.1f %%  %.3f  %s\n", name, m, 100 * q, k, tm, 100 * tq, tk, note }
  { row($1, $2, $3, $4, $5, $6, $7, $8 == $9 ? "best of the two" : "")
    for (i = 2; i <= 7; ++i) sum[i] += $i
    if ($8 == $9) { for (i = 5; i <= 7; ++i) best[i] += $i; ++bests } }
  END { row("mean", sum[2] / NR, sum[3] / NR, sum[4] / NR, sum[5] / NR, sum[6] / NR, sum[7] / NR, "")
        printf "%-33s %5.2f  %5.1f %%  %.3f  of the best of each two\n", "", best[5] / bests, 100 * best[6] / bests, best[7] / bests }'
