#!/usr/bin/env bash
# Makes a Debian 12 machine able to build saddle, and builds it: packages, the LibTorch wheel, cmake, ninja.
# Idempotent, and quick when nothing is left to do. Called by quickstart.sh and tests/run.sh.
#   cluster/setup.sh [TARGET...]     build these targets (default: all)
# SADDLE_BUILD: build folder (default .build).  SADDLE_CMAKE: further arguments for cmake.
# SADDLE_PACKAGES: further Debian packages, or "skip" where their like is installed in another way.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${SADDLE_BUILD:-.build}
say() { printf '==> %s\n' "$*"; }
give_up() { printf 'cluster/setup.sh: %s\n' "$*" >&2; exit 1; }

[ "$(uname -m)" = x86_64 ] || give_up "the pinned LibTorch is for x86_64, this is $(uname -m)"

# A copied or moved tree takes its build folder along, whose cache builds the tree that it came from.
cache=$build/CMakeCache.txt
if [ -e "$cache" ]; then
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$cache")
  [ "$home" -ef . ] || give_up "the build folder '$build' is of another tree, '$home', not of '$PWD': remove it, or name another by SADDLE_BUILD"
fi

packages=(build-essential cmake ninja-build ccache pkg-config git ca-certificates python3-pip
  libopenmpi-dev openmpi-bin libhdf5-dev libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev
  nlohmann-json3-dev libxxhash-dev libpng-dev libjpeg-dev zlib1g-dev libdeflate-dev
  libzip-dev libgif-dev libwebp-dev libtiff-dev libfreetype-dev libstb-dev libnifti2-dev libgtest-dev libgmock-dev
  libbenchmark-dev dataset-fashion-mnist)
if [ "${SADDLE_PACKAGES:-}" != skip ]; then
  read -ra more <<<"${SADDLE_PACKAGES:-}"
  packages+=(${more[@]+"${more[@]}"})
  command -v dpkg-query >/dev/null ||
    give_up "this is not Debian: install the like of ${packages[*]}, then run with SADDLE_PACKAGES=skip"
  missing=()
  for p in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    sudo=()
    if [ "$(id -u)" != 0 ]; then
      command -v sudo >/dev/null || give_up "not root and no sudo: have an administrator install ${missing[*]}"
      sudo=(sudo)
    fi
    ${sudo[@]+"${sudo[@]}"} apt-get update -qq
    ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
fi

# One wheel for every local Python: nothing here runs it. pip checks each file against its pinned hash.
lists=(cluster/libtorch.txt)
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then lists+=(cluster/libtorch-cuda.txt); fi
stamp=.deps/$(cat "${lists[@]}" | sha256sum | cut -c1-16)
if [ ! -e "$stamp" ]; then
  say "fetching LibTorch into .deps (pinned in $(printf '%s ' "${lists[@]}" | sed 's/ $//; s/ / and /'); checksums verified)"
  rm -rf .deps/site && mkdir -p .deps/site
  platforms=()
  for p in _2_28 _2_27 _2_25 _2_17 2014; do platforms+=(--platform "manylinux${p}_x86_64"); done
  # --target also keeps PEP 668 ("externally managed") out of the way.
  python3 -m pip install --no-deps --no-compile --require-hashes --only-binary=:all: --python-version 3.11 \
    "${platforms[@]}" --target .deps/site --no-warn-script-location --root-user-action=ignore "${lists[@]/#/-r}"
  touch "$stamp"
fi

# Again after another LibTorch; ninja itself sees changed CMake files.
if [ ! -e "$build/build.ninja" ] || [ "$stamp" -nt "$build/build.ninja" ] || [ -n "${SADDLE_CMAKE:-}" ]; then
  say "configuring $build"
  mkdir -p "$build"
  read -ra arguments <<<"${SADDLE_CMAKE:-}"
  cmake -S . -B "$build" -G Ninja ${arguments[@]+"${arguments[@]}"} >"$build/configure.log" 2>&1 ||
    { cat "$build/configure.log"; give_up "cmake failed, see above"; }
  grep -E '^-- (LibTorch|CUDA|no CUDA)' "$build/configure.log" || true
fi

# A source that includes torch takes up to 2 GiB to compile.
jobs=$(awk -v cores="$(nproc)" '/^MemAvailable/ { m = int($2 / 2097152); print m < 1 ? 1 : m < cores ? m : cores }' /proc/meminfo)
say "building in $build, $jobs at a time"
cmake --build "$build" -j "$jobs" ${1:+--target "$@"}
