#!/usr/bin/env bash
# Every fault of tests/launch/faults, many times, at random steps: how soon the job has ended, with what status and last line,
# and whether it resumed to the same state. A table; fails if a single run does.
#   tests/bench/faults.sh [RUNS=20] [AT_ONCE=1] [FILTER]      AT_ONCE: jobs of four ranks side by side
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-20} at_once=${2:-1} filter=${3:-*} test=${SADDLE_BUILD:-.build}/tests/launch/fault_test
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 SADDLE_FAULT_REPEATS=$runs
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
status=0 jobs=()
for shard in $(seq 0 $((at_once - 1))); do
  GTEST_TOTAL_SHARDS=$at_once GTEST_SHARD_INDEX=$shard "$test" --gtest_filter="All/Faults.*$filter" >"$work/$shard" 2>&1 & jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job" || status=1; done
[ $status = 0 ] || grep -h -A6 Failure "$work"/* || true
grep -hE -m 2 '^\|( fault |-)' "$work/0"
grep -hE '^\| ' "$work"/* | grep -v '^| fault '
exit $status
