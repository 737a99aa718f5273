#!/usr/bin/env bash
# PyTorch loads what `saddle export` writes and draws what `saddle sample` drew, and the other way round a DCGAN written by
# PyTorch imports and samples the same: export_twin.py, import_twin.py, pickle_twin.py. Prints the largest differences.
#   PEER_PYTHON=python-with-torch tests/launch/export_twins.sh SADDLE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) saddle=$(realpath "$1")
python=${PEER_PYTHON:-}
if [ -z "$python" ] || ! "$python" -c 'import torch' 2>/dev/null; then
  echo "skipped: PEER_PYTHON names no Python that has torch"
  exit 77
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
quietly() { "$@" >log 2>&1 || { echo "failed: $*"; cat log; exit 1; }; }
run() { quietly "$saddle" "$@"; }

"$python" - <<'PY'
import numpy
random = numpy.random.default_rng(0)
images = random.integers(0, 256, (96, 16, 16, 3), dtype=numpy.uint8)
numpy.savez("images.npz", image=images, label=numpy.arange(96) % 3)
PY
run pack images.npz --out images
run pack ring8 --samples 500 --seed 1 --out ring

twin() {  # NAME RECIPE DATA SETS...: trains a little, exports, compares
  local name=$1 recipe=$2 data=$3 set; shift 3
  local -a sets=(--set batch=16 --set g.width=8 --set d.width=8 --set ema=0.9 --set g.lr=0.005)
  for set in "$@"; do sets+=(--set "$set"); done
  run train "$recipe" --data "$data" --out "$name" --steps 10 "${sets[@]}"
  run export "$name" --to safetensors --out "$name.safetensors"
  run export "$name" --to torchscript --out "$name.pt"
  run sample "$name" --n 64 --seed 3 --out samples.safetensors
  printf '%-22s ' "$name"
  "$python" "$here/export_twin.py" "$name.safetensors" "$name.pt" samples.safetensors
}
for recipe in $("$saddle" list recipes | awk '{ print $1 }'); do
  case $recipe in
    toy-* | gan) twin "$recipe" "$recipe" ring ;;
    *) twin "$recipe" "$recipe" images ;;
  esac
done
twin dcgan-instance dcgan images g.norm=instance
twin dcgan-channels-last dcgan images channels_last=true
twin dcgan-float64 dcgan images precision=float64

"$python" "$here/import_twin.py" write model.safetensors
run import model.safetensors --recipe dcgan --shape 3x64x64 --map "$here/dcgan_map.toml" --set latent=100 --set g.width=16 \
  --set d.width=16 --out imported
run sample imported --n 64 --out samples.safetensors
printf 'import of a DCGAN: '
"$python" "$here/import_twin.py" compare model.safetensors samples.safetensors
"$python" "$here/pickle_twin.py" "$work"
