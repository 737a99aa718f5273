#!/usr/bin/env bash
# One picture of several systems: each trains for a minute or two on generated digits (glyph10) or points, and its samples
# stand under its name. Needs ImageMagick (apt-get install imagemagick).
#   tests/bench/gallery.sh OUT [SYSTEM...]
# What is there is kept: an interrupted run goes on. The picture is OUT/gallery.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/gallery.sh OUT [SYSTEM...]}
shift
command -v montage >/dev/null || { echo "tests/bench/gallery.sh: needs ImageMagick: apt-get install imagemagick" >&2; exit 1; }
saddle=${SADDLE_BUILD:-.build}/saddle
jobs=$(nproc)
export saddle out OMP_NUM_THREADS=1
mkdir -p "$out"
[ -e "$out/digits/train" ] || "$saddle" pack glyph10 --samples 20000 --out "$out/digits" --validation 10% >"$out/pack.log" 2>&1
[ -e "$out/ring8" ] || "$saddle" pack ring8 --samples 20000 --out "$out/ring8" >>"$out/pack.log" 2>&1

conv="g.width=24 d.width=24 ema=0.99 batch=64"
rows="gan-ns ring8 steps=4000
wgan-gp digits/train $conv steps=2000 n_critic=3
lsgan digits/train $conv steps=2000
dcgan digits/train $conv steps=2000
cgan digits/train $conv steps=2000
r3gan digits/train width=32 blocks=1 steps=1500
reg-gan digits/train $conv steps=2000
pi-model digits/train width=24 steps=800 data.labels=20"
chosen() { if [ $# = 0 ]; then cat; else grep -E "^($(IFS='|'; echo "$*")) "; fi; }

one() {  # SYSTEM DATA SETS...
  local system=$1 data=$2 run=$out/$1 set sets=()
  shift 2
  for set in "$@" seed=1 threads=1 sample.every=0 checkpoint.every=0 tick.every=200; do sets+=(--set "$set"); done
  { "$saddle" train "$system" --data "$out/$data" --out "$run" --resume "${sets[@]}" &&
    "$saddle" sample "$run" --n "$(case $data in */*) echo 40 ;; *) echo 500 ;; esac)" --out "$run.png"; } >"$run.log" 2>&1 || { tail -n 3 "$run.log" >&2; return 1; }
}
export -f one
chosen "$@" <<<"$rows" | xargs -P "$jobs" -L 1 bash -c 'one "$@"' _
tiles=()
for system in $(chosen "$@" <<<"$rows" | cut -d' ' -f1); do tiles+=(-label "$system" "$out/$system.png"); done
montage "${tiles[@]}" -resize 300x300 -geometry '300x300+6+6' -tile 4x -pointsize 18 "$out/gallery.png"
echo "$out/gallery.png"
