#!/usr/bin/env bash
# The GPU suite: builds and runs all that needs a CUDA device, and only that; some minutes on one GPU. Says what was
# tested, what was skipped and why, the speed of two trainings, and that of their PyTorch twins where python3 has torch.
#   tests/gpu/run.sh [further arguments of ctest]
# Where there is no GPU it says "no GPU here: <reason>" and ends well. The LibTorch is cluster/setup.sh's; or, for a
# machine that cannot fetch it, the one in SADDLE_TORCH_ROOT, or else python3's own, with the packages there are.
# SADDLE_GPU_REHEARSAL=1 runs the tests on the CPU instead: a test of the tests, without speeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${SADDLE_BUILD:-.build}
say() { printf '==> %s\n' "$*"; }
python_torch() { python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null; }

torch=${SADDLE_TORCH_ROOT:-}
if [ -z "$torch" ] && [ ! -e .deps/site/torch ]; then torch=$(python_torch || true); fi
if [ -n "$torch" ]; then
  say "building in $build with the LibTorch of $torch"
  mkdir -p "$build"
  read -ra arguments <<<"${SADDLE_CMAKE:-}"
  cmake -S . -B "$build" -G Ninja -DSADDLE_TORCH_ROOT="$torch" ${arguments[@]+"${arguments[@]}"} >"$build/configure.log" 2>&1 ||
    { cat "$build/configure.log"; echo "tests/gpu/run.sh: cmake failed, see above" >&2; exit 1; }
  grep -E '^-- (LibTorch|CUDA|no CUDA)' "$build/configure.log"
  cmake --build "$build" --target gpu_test gpu_load_test
else
  cluster/setup.sh gpu_test gpu_load_test
fi

say "ctest"
log=$build/gpu-tests.log
status=0
ctest --test-dir "$build" -R '^gpu\.' --output-on-failure --verbose --timeout 300 "$@" >"$log" 2>&1 || status=$?
# ctest's summary, and below it what the skipped tests gave as their reason.
if [ "$status" != 0 ]; then cat "$log"; else sed -n '/^[0-9]*% tests passed/,$p' "$log"; fi
if reason=$(grep -om1 'no GPU here: .*' "$log"); then
  echo "$reason"
  exit "$status"
fi
grep -om1 '[0-9]* x .*built with.*' "$log" || true
# What was left out, by name and with its reason; then what the tests have to say.
if second=$(grep -om1 'no second rank here: .*' "$log"); then
  echo "NOT TESTED: two ranks on one GPU; the same tests ran with one rank. $second"
fi
tests=$(sed 's/\x1b\[[0-9;]*m//g; s/^[0-9]*: //' "$log")
awk '/: Skipped$/ { reads = 1; next }
     reads { reason = $0; reads = 0 }
     /^\[  SKIPPED \] .* \(/ { print "NOT TESTED: " $4 ": " reason }' <<<"$tests" | sort -u
grep -E '^(graphs|speed|tf32): ' <<<"$tests" || true
if [ -n "${SADDLE_GPU_REHEARSAL:-}" ] || [ "$status" != 0 ]; then exit "$status"; fi

if [ -z "$(python_torch || true)" ]; then
  say "python3 has no torch here: no PyTorch twin to compare with"
  exit 0
fi
say "the PyTorch twins, images/s (float32 with TF32, batch 64)"
images=$(mktemp --suffix=.gz); trap 'rm -f "$images"' EXIT
# An IDX file of 20,000 random images of 28x28: their content does not change the speed.
{ printf '\0\0\10\3\0\0\116\40\0\0\0\34\0\0\0\34'; head -c 15680000 /dev/urandom; } | gzip -1 >"$images"
twin() {  # CONFIG WIDTH, as in speed_test.cpp
  local rate
  rate=$(python3 -B tests/bench/ddp_twin.py "$1" --width "$2" --device cuda --tf32 --ranks 1 --threads 4 --images "$images") || return
  printf 'twin: %s, batch 64: %s images/s\n' "$1" "$rate"
}
twin dcgan 32
twin wgan-gp 16
