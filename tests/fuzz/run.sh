#!/usr/bin/env bash
# Feeds damaged files to what reads files of others, with libFuzzer and the sanitizers of addresses and undefined behaviour.
#   tests/fuzz/run.sh [RUNS=1000000] [TARGET...]      a target is a file here without _fuzz.cpp; default: all
# Build, inputs that reach something new, logs and findings are in .build-fuzz, and the next run starts from them.
# SADDLE_JOBS: processes at a time, of compiling and of running (default: one a core).
# A finding again:  .build-fuzz/NAME_fuzz .build-fuzz/findings/NAME-crash-...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$PWD/.build-fuzz
jobs=${SADDLE_JOBS:-$(nproc)}
say() { printf '==> %s\n' "$*"; }
give_up() { printf 'tests/fuzz/run.sh: %s\n' "$*" >&2; exit 1; }

runs=1000000
case ${1:-} in
  RUNS=*) runs=${1#RUNS=}; shift ;;
  [0-9]*) runs=$1; shift ;;
esac
[[ $runs =~ ^[0-9]+$ ]] || give_up "expected a number of runs, found $runs"
targets=("$@")
if [ $# = 0 ]; then
  for file in tests/fuzz/*_fuzz.cpp; do targets+=("$(basename "$file" _fuzz.cpp)"); done
fi
for name in "${targets[@]}"; do
  [ -e "tests/fuzz/${name}_fuzz.cpp" ] || give_up "there is no target $name; see tests/fuzz/*_fuzz.cpp"
done

clang=
for version in -14 "" -19 -18 -17 -16 -15; do
  if command -v "clang++$version" >/dev/null &&
    echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
    "clang++$version" -x c++ - -fsanitize=fuzzer,address -o /dev/null 2>/dev/null; then
    clang=$version
    found=yes
    break
  fi
done
[ -n "${found:-}" ] || give_up "needs Clang and its libFuzzer, which are not here: apt-get install clang-14 libclang-rt-14-dev"
[ -e .deps/site/torch/lib/libtorch_cpu.so ] || give_up "no LibTorch in .deps: run cluster/setup.sh first"

say "building ${#targets[@]} targets with clang++$clang"
cmake -S tests/fuzz -B "$build" -G Ninja -DCMAKE_C_COMPILER="clang$clang" -DCMAKE_CXX_COMPILER="clang++$clang" \
  -DCMAKE_BUILD_TYPE=None >/dev/null
ninja -C "$build" -j "$jobs" --quiet "${targets[@]/%/_fuzz}"
tests/fuzz/seeds.py "$build/seeds"

# Files that targets write are in memory, and gone at the end.
TMPDIR=$(mktemp -d /dev/shm/saddle-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
export OMP_NUM_THREADS=1
# LibTorch's tables live as long as the process: no leaks are looked for. Little of what was freed is kept from use again,
# since big buffers come and go with every input.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16:malloc_context_size=8
export UBSAN_OPTIONS=print_stacktrace=1
mkdir -p "$build/findings" "$build/logs"

# The longest inputs: room for what a format needs, no more, since short ones are fast.
longest() {
  case $1 in
    smiles) echo 256 ;;
    nifti) echo 1024 ;;
    zip | shard) echo 2048 ;;
    *) echo 1024 ;;
  esac
}

fuzz() {
  local name=$1
  mkdir -p "$build/corpus/$name"
  "$build/${name}_fuzz" -runs="$runs" -max_len="$(longest "$name")" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -dict="$build/seeds/$name.dict" -artifact_prefix="$build/findings/$name-" "$build/corpus/$name" "$build/seeds/$name" \
    >"$build/logs/$name" 2>&1 || true
}

say "$runs runs each, $jobs at a time; logs in .build-fuzz/logs"
for name in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  fuzz "$name" &
done
wait

stat_of() { awk -v key="stat::$2:" '$1 == key { print $2 }' "$build/logs/$1"; }
status=0
printf '\n%-12s %10s %12s  %s\n' target runs executions/s findings
for name in "${targets[@]}"; do
  finding=$(awk '/SUMMARY:/ { sub(/.*SUMMARY: /, ""); print; exit }' "$build/logs/$name")
  done_runs=$(stat_of "$name" number_of_executed_units)
  if [ -z "$finding" ] && [ "${done_runs:-0}" -lt "$runs" ]; then finding="ended early, see .build-fuzz/logs/$name"; fi
  if [ -n "$finding" ]; then status=1; fi
  printf '%-12s %10s %12s  %s\n' "$name" "${done_runs:-?}" "$(stat_of "$name" average_exec_per_sec)" "${finding:-none}"
done
exit $status
