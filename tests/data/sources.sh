#!/usr/bin/env bash
# Packs every kind of source from real data, checks it and draws its contact sheet; a table at the end.
#   tests/data/sources.sh [OUT=runs/sources]
# Cases whose Debian package is missing are skipped by name. With PEER_PYTHON (a python with h5py and numpy) every shard is
# also read back through h5py.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/sources} saddle=${SADDLE_BUILD:-.build}/saddle failed=0
mkdir -p "$out"; table=$(mktemp); trap 'rm -f "$table"' EXIT

file_of() { dpkg -L "$1" 2>/dev/null | grep -m1 -E "$2"; }  # PACKAGE PATTERN
with_h5py() {
  [ -n "${PEER_PYTHON:-}" ] || { echo "not asked"; return; }
  "$PEER_PYTHON" - "$1" <<'PY' 2>&1 | tail -1
import json, sys, h5py
folder = sys.argv[1]
index = json.load(open(f"{folder}/dataset.json"))
for shard in index["shards"]:
    with h5py.File(f"{folder}/{shard['file']}") as file:
        for field in index["schema"]["fields"]:
            data, name = file[field["name"]], field["name"]
            assert str(data.dtype) == field["dtype"], (name, data.dtype)
            if field.get("variable"):
                assert file[f".ends/{name}"][-1] == len(data) and list(data.shape[1:]) == field["shape"][1:]
            else:
                assert list(data.shape) == [shard["count"], *field["shape"]], (name, data.shape)
            assert len(file[f".checksums/{name}"]) == shard["count"]
            data[len(data) // 2 :]
print("reads all")
PY
}
pack() {  # NAME SOURCE flags... ; a SOURCE that is empty has no package
  local name=$1 source=$2 start verdict; shift 2
  if [ -z "$source" ]; then printf '%-16s skipped: its package is not installed\n' "$name" >>"$table"; return; fi
  start=$(date +%s.%N)
  if ! "$saddle" pack "$source" "$@" --out "$out/$name" >"$out/$name.log" 2>&1; then
    failed=1; printf '%-16s FAILED: %s\n' "$name" "$(tail -1 "$out/$name.log")" >>"$table"; return
  fi
  local seconds; seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
  verdict=$("$saddle" check "$out/$name" --json 2>/dev/null | grep -c '"problems": *\[\]')
  "$saddle" check "$out/$name" --picture "$out/$name.png" >>"$out/$name.log" 2>&1 || grep -q "can draw" "$out/$name.log" || failed=1
  [ "$verdict" -gt 0 ] && verdict=sound || { "$saddle" check "$out/$name" >/dev/null 2>&1 && verdict=sound || { verdict=UNSOUND; failed=1; }; }
  printf '%-16s %s s, %s, h5py: %s; %s\n' "$name" "$seconds" "$verdict" "$(with_h5py "$out/$name")" \
    "$(grep -m1 -oE '[0-9]+ samples of .*' "$out/$name.log" | cut -c1-150)" >>"$table"
}

fashion=$(dirname "$(file_of dataset-fashion-mnist /train-images)")
clip=$(file_of openclipart-png '/animals/.*\.png$' | sed 's|/animals/.*||')
ch2=$(file_of mricron-data '/ch2\.nii(\.gz)?$') bet=$(file_of mricron-data '/ch2bet\.nii(\.gz)?$') aal=$(file_of mricron-data '/aal\.nii(\.gz)?$')
sans=$(file_of fonts-dejavu-core '/DejaVuSans\.ttf$') bold=$(file_of fonts-dejavu-core '/DejaVuSans-Bold\.ttf$')
emoji=$(file_of fonts-noto-color-emoji '\.ttf$') words=$(readlink -f /usr/share/dict/words || true)

pack idx "$fashion"
pack clipart "$clip" --samples 600 --size 64x64 --filter lanczos --crop pad --background ffffff --channels 3 --skip-bad
pack rgba "$clip" --samples 200 --size 64x64 --channels 4 --skip-bad
pack edges "${clip:+$clip/animals}" --size 64x64 --derive edges --channels 3 --background ffffff --skip-bad
pack down4 "${clip:+$clip/animals}" --size 64x64 --derive down4 --channels 3 --background ffffff --skip-bad
pack emoji "$emoji" --size 64x64 --background ffffff
pack glyphs "$sans" --size 32x32
pack glyph-pairs "$sans" --pair "$bold" --size 32x32
pack slices "$ch2" --slices axial --size 128x128
pack label-maps "$ch2" --slices coronal --mask "$aal"
pack volume "$ch2"
pack patches "$ch2" --patch 32x32x32
pack brain-pairs "$ch2" --slices sagittal --pair "$bet"
pack words "$words" --length 32
pack ring8 ring8 --samples 10000
pack grid25 grid25 --samples 10000
pack hd10 hd10 --samples 10000
if [ -d "$out/clipart" ]; then  # StyleGAN's ZIP, written and read again
  rm -f "$out/stylegan.zip"; "$saddle" unpack "$out/clipart" --to "$out/stylegan.zip" >/dev/null 2>&1 && pack stylegan "$out/stylegan.zip"
  rm -rf "$out/folder"; "$saddle" unpack "$out/clipart" --to "$out/folder" >/dev/null 2>&1 && pack folder "$out/folder"
fi
cat "$table"
exit $failed
