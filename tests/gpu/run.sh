#!/usr/bin/env bash
# Builds and runs the tests that need a CUDA device, and only these. Needs a machine with a GPU to say more than
# "no GPU here: <reason>".   tests/gpu/run.sh [further arguments of ctest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${SADDLE_BUILD:-.build}
cluster/setup.sh gpu_test gpu_load_test
log=$build/gpu-tests.log
status=0
ctest --test-dir "$build" -R '^gpu\.' --output-on-failure --verbose "$@" >"$log" 2>&1 || status=$?
# ctest's summary, and below it what the skipped tests gave as their reason.
if [ "$status" != 0 ]; then cat "$log"; else sed -n '/^[0-9]*% tests passed/,$p' "$log"; fi
if reason=$(grep -om1 'no GPU here: .*' "$log"); then echo "$reason"; else grep -m1 'NCCL.*built with' "$log" || true; fi
exit "$status"
