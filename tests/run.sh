#!/usr/bin/env bash
# Builds saddle if needed, checks its format, and runs the whole suite.
#   tests/run.sh [-L LABEL] [-R REGEX] ...   arguments go to ctest
# With CI=true warnings are errors and clang-tidy runs too. SADDLE_TIDY=1 asks for it by hand, SADDLE_TIDY=0 leaves it out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${SADDLE_BUILD:-.build}
say() { printf '==> %s\n' "$*"; }

tidy=${SADDLE_TIDY:-0}
if [ "${CI:-}" = true ]; then
  tidy=${SADDLE_TIDY:-1}
  export SADDLE_CMAKE="-DSADDLE_WERROR=ON ${SADDLE_CMAKE:-}"
fi
if [ "${SADDLE_PACKAGES:-}" != skip ]; then
  SADDLE_PACKAGES="${SADDLE_PACKAGES:-} clang-format"
  if [ "$tidy" = 1 ]; then SADDLE_PACKAGES+=" clang-tidy"; fi
  export SADDLE_PACKAGES
fi
cluster/setup.sh

say "clang-format"
git ls-files --cached --others --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh' |
  while read -r file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
  xargs -0 --no-run-if-empty clang-format --dry-run -Werror

if [ "$tidy" = 1 ]; then
  say "clang-tidy"
  .ci/tidy.py "$build"
fi

say "ctest"
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" "$@" || status=$?

# ctest names what it skipped; the reason is in its log only.
for log in "$build"/Testing/Temporary/LastTest.log*; do
  if [ -e "$log" ]; then
    awk '/ Testing: / { name = $NF }
         /^(no GPU here|skipped): / && !seen[name]++ { print (first++ ? "" : "\nWhy skipped:\n") "  " name ": " $0 }' "$log"
  fi
done
exit "$status"
