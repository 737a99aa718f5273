#!/usr/bin/env bash
# 200 damaged runs and 200 damaged data sets, each given to one command: how it ends, how long it takes, and its memory.
#   tests/bench/damaged.sh [CASES=200] [BUILD=.build]
# The table of all of them is BUILD/damaged.tsv: damage, command, status, seconds, MiB, the first line that was said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cases=${1:-200}
build=${2:-.build}
table=$PWD/$build/damaged.tsv
rm -f "$table"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
status=0
SADDLE_DAMAGED=$cases SADDLE_DAMAGED_TABLE=$table "$build/tests/launch/damaged_test" || status=$?
awk -F'\t' '{ count[$3]++; if ($4 > slow) slow = $4; if ($5 > mib) mib = $5 }
  END { for (s in count) printf "status %s: %d\n", s, count[s]; printf "slowest %.1f s, largest %d MiB\n", slow, mib }' "$table"
exit $status
