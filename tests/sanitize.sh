#!/usr/bin/env bash
# Builds the dist tests with a sanitizer and runs them on 1, 2 and 4 ranks.       tests/sanitize.sh [thread|address]...
# Suppressions, each with its reason, are in tests/support/sanitizers; only upstream code is named there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || set -- thread address
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
lists=$PWD/tests/support/sanitizers
# Its deadlock detector aborts on the number of locks that OpenMPI holds at once: off.
export TSAN_OPTIONS="suppressions=$lists/thread.txt ignore_noninstrumented_modules=1 halt_on_error=0 exitcode=66 detect_deadlocks=0"
# Whole stacks, and no plug-in of OpenMPI unloaded: else a leak of its own cannot be told from one of ours.
export ASAN_OPTIONS="detect_leaks=1 protect_shadow_gap=0 exitcode=66 fast_unwind_on_malloc=0"
export OMPI_MCA_mca_base_component_disable_dlclose=1 PMIX_MCA_mca_base_component_disable_dlclose=1
export LSAN_OPTIONS="suppressions=$lists/leak.txt print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1 halt_on_error=1"
status=0
for which in "$@"; do
  flags=$which
  [ "$which" != address ] || flags=address,undefined
  build=.build-$which
  SADDLE_BUILD=$build SADDLE_CMAKE="-DSADDLE_SANITIZE=$flags" cluster/setup.sh dist_test ranks_test
  # ThreadSanitizer's fixed address ranges clash with a randomised layout on new kernels.
  run() { setarch -R "$@"; }
  run "$build/tests/dist/dist_test" --gtest_brief=1 || status=1
  for n in 1 2 4; do
    echo "==> $which, $n ranks"
    SADDLE_TEST_RANKS=$n run mpirun -n "$n" --oversubscribe --bind-to none "$build/tests/dist/ranks_test" --gtest_brief=1 || status=1
  done
done
if [ $status = 0 ]; then echo "==> clean: $*"; else echo "==> findings, see above"; fi
exit $status
