#!/usr/bin/env bash
# From a fresh Debian 12 to pictures of garments that do not exist: sets up, builds, packs Fashion-MNIST, trains a
# conditional GAN on two ranks for a few minutes, and draws samples, a column a class. Can be called again: what is done is not done twice.
#   cluster/quickstart.sh [arguments of `saddle train cgan`, for instance --steps 500]
# SADDLE_RANKS: how many ranks train (default 2).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${SADDLE_BUILD:-.build}
saddle=$build/saddle data=runs/fashion-mnist run=runs/garments ranks=${SADDLE_RANKS:-2}
say() { printf '==> %s\n' "$*"; }

cluster/setup.sh saddle

if ! "$saddle" check "$data" >/dev/null 2>&1; then
  say "packing Fashion-MNIST into $data"
  rm -rf "$data"
  images=$(dpkg -L dataset-fashion-mnist | grep -m1 '/train-images')
  "$saddle" pack "$(dirname "$images")" --out "$data"
fi

# The ranks share the cores: without --bind-to none mpirun ties each of two ranks to one core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
threads=$(($(nproc) / ranks))
export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
launch=(mpirun -n "$ranks" --oversubscribe --bind-to none "$saddle")
say "training on $ranks ranks, $OMP_NUM_THREADS threads each"
"${launch[@]}" train cgan --data "$data" --out "$run" --resume "$@" </dev/null  # starts, goes on, or finds it finished

"$saddle" sample "$run" --n 80 --out "$run/samples.png"

cat <<END

The picture:      $run/samples.png    (80 samples, a column a class; drawn while training: $run/samples/)
The run:          $run    (options.toml, log.jsonl, checkpoints/)
To try next:
  $saddle sample $run --n 64 --label sneaker --out sneakers.png
  $saddle evaluate $run
  $saddle list systems
  mpirun -n 2 --bind-to none $saddle train wgan-gp --data $data --out runs/wgan-gp
  tests/run.sh
END
