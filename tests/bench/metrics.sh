#!/usr/bin/env bash
# Which metric moves which way when real images are damaged: blur, noise, classes left out, duplicates, JPEG, one class too
# often, each at three strengths; 2,000 images of Fashion-MNIST against 2,000 others, the undamaged ones as noise floor.
# Needs python3-numpy, and what cluster/quickstart.sh packs.   tests/bench/metrics.sh OUT
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: tests/bench/metrics.sh OUT} saddle=${SADDLE_BUILD:-.build}/saddle real=runs/fashion-mnist
[ -e "$real" ] || { echo "tests/bench/metrics.sh: no $real: run cluster/quickstart.sh first" >&2; exit 1; }
mkdir -p "$out"
python3 - "$out" "$(dpkg -L dataset-fashion-mnist | grep -m1 t10k-images)" "$(dpkg -L dataset-fashion-mnist | grep -m1 t10k-labels)" <<'PYTHON'
import gzip, os, sys
import numpy as np
out, images, labels = sys.argv[1:]
read = lambda path, skip: np.frombuffer(gzip.open(path).read()[skip:], np.uint8)
x, y = read(images, 16).reshape(-1, 28, 28).astype(float), read(labels, 8).astype(np.int64)
rng = np.random.default_rng(1)
order = rng.permutation(len(x))
x, y = x[order], y[order]
some, of = x[:2000], y[:2000]

def blur(x, sigma):
    t = np.exp(-0.5 * (np.arange(-6, 7) / sigma) ** 2)
    for axis in (1, 2):
        pad = [(6, 6) if a == axis else (0, 0) for a in range(3)]
        x = np.apply_along_axis(lambda v: np.convolve(v, t / t.sum(), "valid"), axis, np.pad(x, pad, mode="edge"))
    return x

def jpeg(x, quality):  # JPEG's loss: the quantised DCT of blocks of 8x8, with the standard table
    table = np.array([16,11,10,16,24,40,51,61,12,12,14,19,26,58,60,55,14,13,16,24,40,57,69,56,14,17,22,29,51,87,80,62,18,22,37,56,68,109,103,77,
                      24,35,55,64,81,104,113,92,49,64,78,87,103,121,120,101,72,92,95,98,112,100,103,99], float).reshape(8, 8)
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table = np.clip((table * scale + 50) // 100, 1, 255)
    k = np.arange(8)
    dct = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)[:, None]
    blocks = np.pad(x, ((0, 0), (0, 4), (0, 4)), mode="edge").reshape(-1, 4, 8, 4, 8).swapaxes(2, 3) - 128
    c = np.round(dct @ blocks @ dct.T / table) * table
    return (dct.T @ c @ dct + 128).swapaxes(2, 3).reshape(-1, 32, 32)[:, :28, :28]

sets = {"none": (some, of)}
for s in (0.5, 1, 2): sets[f"blur {s}"] = blur(some, s), of
for s in (8, 24, 64): sets[f"noise {s}"] = some + rng.normal(0, s, some.shape), of
for s in (1, 3, 6): keep = y >= s; sets[f"missing {s}"] = x[keep][:2000], y[keep][:2000]
for s in (1000, 200, 20): sets[f"distinct {s}"] = np.tile(some[:s], (2000 // s, 1, 1)), np.tile(of[:s], 2000 // s)
for s in (50, 20, 5): sets[f"jpeg {s}"] = jpeg(some, s), of
for s in (10, 30, 90):
    n, one = 20 * s, x[y == 8][:1000]
    sets[f"one class {s}%"] = np.concatenate([some[n:], np.resize(one, (n, 28, 28))]), np.concatenate([of[n:], np.full(n, 8)])
for name, (a, b) in sets.items():
    np.savez(f"{out}/{name.replace(' ', '-').replace('%', '')}.npz", image=np.clip(np.round(a), 0, 255).astype(np.uint8)[:, None], label=b)
print(*[name.replace(" ", "-").replace("%", "") for name in sets], file=open(f"{out}/names", "w"))
PYTHON
value() { grep -oE "\"$1\": -?[0-9.e+-]+" "$out/result" | sed 's/.*: //'; }
{
  printf '%-14s %8s %8s %8s %8s %9s %7s %8s %9s %9s\n' damage fd fd_inf kid mind precision recall density coverage IS
  for name in $(cat "$out/names"); do
    [ -e "$out/$name" ] || "$saddle" pack "$out/$name.npz" --out "$out/$name" >"$out/pack.log" 2>&1
    "$saddle" evaluate --real "$real" --fake "$out/$name" --n 2000 --metrics fd,fd_infinity,kid,mind,prdc,is >"$out/result" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
    printf '%-14s %8.2f %8.2f %8.3f %8.2f %9.3f %7.3f %8.3f %9.3f %9.3f\n' "$name" "$(value fd)" "$(value fd_infinity)" "$(value kid)" "$(value mind)" \
      "$(value precision)" "$(value recall)" "$(value density)" "$(value coverage)" "$(value inception_score)"
  done
} | tee "$out/table"
