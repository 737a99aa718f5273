#!/usr/bin/env bash
# Packs every kind of source from real data, in the layouts of peers where they have one, checks it, draws its contact sheet, and
# compares what h5py reads with what the source holds. A table at the end; fails if any case does.
#   tests/data/sources.sh [OUT=runs/sources]      packs, sheets and logs lie in OUT, the table in OUT/sources.txt
# A case whose package is missing is skipped by name. PEER_PYTHON: a python with numpy, h5py and pillow, without which no peers'
# files are made and nothing is compared; with scikit-image (faces) and molsets (molecules) beside them.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/sources} saddle=${SADDLE_BUILD:-.build}/saddle python=${PEER_PYTHON:-/usr/bin/env python3} failed=0
mkdir -p "$out"/{packs,sheets,logs} && out=$(realpath "$out") && : >"$out/sources.txt"
read -ra python <<<"$python"
peer=$("${python[@]}" -c 'import numpy, h5py, PIL; print(1)' 2>/dev/null) || peer=

row() { printf '%-16s %8s  %-62s %6s %6s  %-7s %s\n' "$@" | sed 's/ *$//' | tee -a "$out/sources.txt"; }
skip() { local case; for case in $1; do row "$case" - "skipped: $2" - - - -; done; }
fail() { failed=1; row "$1" - "FAILED to $2: $(tail -n 1 "$out/logs/$1" | cut -c 1-300)" - - - -; }
file_of() { dpkg -L "$1" 2>/dev/null | grep -m 1 -E "$2"; }  # PACKAGE PATTERN
module() { "${python[@]}" -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])" 2>/dev/null; }
compare() { if [ "$peer" ]; then "${python[@]}" -B tests/peers/sources.py verify "$1" "$out" ${2:+"$2"} 2>&1 | tail -n 1; else echo "not compared: no PEER_PYTHON"; fi; }

# make KIND SOURCE PACKAGE "CASES" [PATH...]: the peers' files of a kind into $out/from/KIND; false, and its cases skipped, if they cannot be.
make() {
  local kind=$1 source=$2 package=$3 cases=$4; shift 4
  if [ -z "$source" ]; then skip "$cases" "needs $package"; return 1; fi
  if [ -z "$peer" ]; then skip "$cases" "needs PEER_PYTHON with numpy, h5py and pillow"; return 1; fi
  from=$out/from/$kind
  "${python[@]}" -B tests/peers/sources.py make "$kind" "$out" "$source" "$@" >"$out/logs/make-$kind" 2>&1 || { fail "make-$kind" make; return 1; }
}
# pack CASE SOURCE [LIKE=CASE] FLAG...: one row of the table; LIKE names a pack that this one must equal.
pack() {
  local case=$1 source=$2 like= start seconds verdict equal mib; shift 2
  case ${1:-} in LIKE=*) like=${1#LIKE=}; shift ;; esac
  start=$(date +%s%N)
  "$saddle" pack "$source" "$@" --force --out "$out/packs/$case" >"$out/logs/$case" 2>&1 || { fail "$case" pack; return; }
  seconds=$(awk -v t=$(($(date +%s%N) - start)) 'BEGIN {printf "%.1f", t / 1e9}')
  local said; said=$(sed -n 's/.*: \([0-9]*\) samples of \(.*\), \([0-9.]*\) MiB in .*/\1|\2|\3/p' "$out/logs/$case" | tail -n 1)
  rm -f "$out/sheets/$case.png"
  "$saddle" check "$out/packs/$case" >>"$out/logs/$case" 2>&1 || failed=1
  verdict=$(sed -n 's/^verdict  *//p' "$out/logs/$case" | tail -n 1)
  "$saddle" check "$out/packs/$case" --picture "$out/sheets/$case.png" >>"$out/logs/$case" 2>&1 ||
    grep -q 'nothing to draw in x int32' "$out/logs/$case" || { failed=1; verdict+=", NO SHEET: $(tail -n 1 "$out/logs/$case")"; }
  equal=$(compare "$case" "$like")
  case $equal in *" equal"* | "x within"* | "as the schema"* | "not compared"*) ;; *) failed=1 equal="DIFFERS: $equal" ;; esac
  mib=${said##*|} said=${said%|*}
  row "$case" "${said%%|*}" "${said#*|}" "$mib" "$seconds" "${verdict:-?}" "$equal"
}

row source samples fields MiB s check h5py

images=$(file_of dataset-fashion-mnist 'train-images') labels=${images/images-idx3/labels-idx1}
if [ "$images" ]; then
  [ -z "$peer" ] || make fashion "$images" dataset-fashion-mnist "" "$labels"
  pack idx "$images"
  pack idx-folder "$(dirname "$images")" --split test --size 32x32
  pack idx-some "$images" --samples 2000
  rm -f "$out/stylegan-own.zip"
  "$saddle" unpack "$out/packs/idx-some" --to "$out/stylegan-own.zip" >/dev/null 2>&1
  pack stylegan-own "$out/stylegan-own.zip" LIKE=idx-some
else
  skip "idx idx-folder idx-some stylegan-own" "needs dataset-fashion-mnist"
fi
if make fashion "$images" dataset-fashion-mnist "biggan biggan-plain studiogan" "$labels"; then
  for case in biggan biggan-plain studiogan; do pack $case "$from/$case.hdf5"; done
fi

faces=$(module skimage)/data/lfw_subset.npy; [ -f "$faces" ] || faces=
if make faces "$faces" "scikit-image in PEER_PYTHON" "cifar-python cifar-binary cifar-100 npy npy-own npy-fortran npy-floats npz npz-deflated stylegan-zip csv tsv-gz png-16 attributes"; then
  pack cifar-python "$from/cifar-10-python.tar.gz"
  pack cifar-binary "$from/cifar-10-binary.tar.gz"
  pack cifar-100 "$from/cifar-100-python.tar.gz"
  pack npy "$from/grey.npy"
  pack npy-own "$faces"
  pack npy-fortran "$from/fortran/faces.npy"
  pack npy-floats "$from/floats/x.npy"
  pack npz "$from/faces.npz"
  pack npz-deflated "$from/deflated.npz"
  pack stylegan-zip "$from/stylegan.zip"
  pack csv "$from/faces.csv"
  pack tsv-gz "$from/faces.tsv.gz"
  pack png-16 "$from/deep"
  pack attributes "$from/deep" --attributes "$from/attributes.csv"
fi

clip=$(file_of openclipart-png '/png/animals$')
fit=(--size 64x64 --filter lanczos --crop pad --background ffffff)
if make clips "${clip%/animals}" openclipart-png "pictures pictures-zip rgba pairs derive-edges derive-down4 masks"; then
  pack pictures "$from/clips" "${fit[@]}"
  pack pictures-zip "$from/clips.zip" "${fit[@]}"
  pack rgba "$from/rgba" --channels 4
  pack pairs "$from/pair-a" --pair "$from/pair-b"
  pack derive-edges "$from/clips/fruit" "${fit[@]}" --derive edges
  pack derive-down4 "$from/clips/fruit" "${fit[@]}" --derive down4
  pack masks "$from/clips/fruit" "${fit[@]}" --mask "$from/masks"
fi
if [ "$clip" ]; then pack openclipart "${clip%/animals}" --samples 600 "${fit[@]}" --channels 3 --bits 8; else skip openclipart "needs openclipart-png"; fi

emoji=$(file_of fonts-noto-color-emoji '\.ttf$') sans=$(file_of fonts-dejavu-core '/DejaVuSans\.ttf$')
if [ "$emoji" ]; then
  [ -z "$peer" ] || make emoji "$emoji" fonts-noto-color-emoji ""
  pack emoji "$emoji" --size 64x64 --background ffffff
  pack emoji-rgba "$emoji" --channels 4 --samples 200
else
  skip "emoji emoji-rgba" "needs fonts-noto-color-emoji"
fi
if [ "$sans" ]; then
  pack glyphs "$sans" --size 32x32
  pack glyph-pairs "$sans" --pair "${sans/Sans.ttf/Sans-Bold.ttf}" --size 64x64
else
  skip "glyphs glyph-pairs" "needs fonts-dejavu-core"
fi

brain=$(file_of mricron-data '/ch2\.nii\.gz$')
if [ "$brain" ]; then
  [ -z "$peer" ] || make brains "$(dirname "$brain")" mricron-data ""
  pack nifti-mask "$brain" --slices axial --mask "${brain/ch2/aal}"
  pack nifti-pair "$brain" --slices coronal --pair "${brain/ch2/ch2bet}"
  pack nifti-sagittal "$brain" --slices sagittal
  pack nifti-volume "$brain"
  pack nifti-patches "$brain" --patch 64x64x64
else
  skip "nifti-mask nifti-pair nifti-sagittal nifti-volume nifti-patches" "needs mricron-data"
fi

words=$(readlink -f /usr/share/dict/words) licence=/usr/share/common-licenses/GPL-3
if [ -f "$words" ]; then
  [ -z "$peer" ] || make words "$words" wamerican ""
  pack words "$words" --tokens char
else
  skip words "needs wamerican"
fi
if [ -f $licence ]; then pack text-words $licence --tokens word; else skip text-words "needs base-files"; fi
moses=$(module moses)/dataset/data/train.csv.gz; [ -f "$moses" ] || moses=
if make moses "$moses" "molsets in PEER_PYTHON" moses; then pack moses "$moses" --samples 20000; fi

gif=${faces:+$(dirname "${faces:-/}")/no_time_for_that_tiny.gif}
if make videos "${gif:-none}" pillow "gifs frames gif"; then
  pack gifs "$from/gifs"
  pack frames "$from/frames" --as video
  if [ -f "$gif" ]; then pack gif "$gif"; else skip gif "needs scikit-image in PEER_PYTHON"; fi
fi

for set in ring8 grid25 hd10; do pack $set $set --samples 20000; done
exit $failed
