"""The PyTorch twin of `saddle train dcgan` on Fashion-MNIST: same nets, losses, optimizer, batch and precision, DDP over gloo.

    python tests/bench/ddp_twin.py --ranks 2 --threads 1 --steps 200 --images train-images-idx3-ubyte.gz

Prints the images/s of the steps after a warm-up of 20. Batch norm is each rank's own: PyTorch's SyncBatchNorm has no
CPU version, so the twin does a little less than saddle does.
"""

import argparse
import gzip
import os
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import softplus
from torch.nn.parallel import DistributedDataParallel

WARM_UP = 20


def nets(width, latent):
    w = width
    g = nn.Sequential(
        nn.Linear(latent, 2 * w * 49, bias=False), nn.Unflatten(1, (2 * w, 7, 7)), nn.BatchNorm2d(2 * w), nn.ReLU(),
        nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
        nn.ConvTranspose2d(w, 1, 4, 2, 1), nn.Tanh())
    d = nn.Sequential(
        nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(2 * w * 49, 1))
    return g, d


def train(rank, o):
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    g, d = nets(o.width, 100)
    if o.ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
        dist.init_process_group("gloo", rank=rank, world_size=o.ranks)
        g, d = DistributedDataParallel(g, broadcast_buffers=False), DistributedDataParallel(d, broadcast_buffers=False)
    with gzip.open(o.images) as f:
        data = torch.frombuffer(bytearray(f.read()[16:]), dtype=torch.uint8).view(-1, 1, 28, 28)
    opt_g = torch.optim.Adam(g.parameters(), 2e-4, (0.5, 0.999), fused=True)
    opt_d = torch.optim.Adam(d.parameters(), 2e-4, (0.5, 0.999), fused=True)
    share = o.batch // o.ranks
    for step in range(WARM_UP + o.steps):
        if step == WARM_UP:
            start = time.perf_counter()
        real = data[torch.randint(len(data), (share,))].float() / 127.5 - 1
        for p in d.parameters():
            p.requires_grad_(True)
        with torch.no_grad():
            fake = g(torch.randn(share, 100))
        opt_d.zero_grad()
        (softplus(-d(real)).mean() + softplus(d(fake)).mean()).backward()
        opt_d.step()
        for p in d.parameters():
            p.requires_grad_(False)
        opt_g.zero_grad()
        softplus(-(d.module if o.ranks > 1 else d)(g(torch.randn(share, 100)))).mean().backward()
        opt_g.step()
    if rank == 0:
        print(f"{o.steps * o.batch / (time.perf_counter() - start):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, default in (("ranks", 2), ("threads", 1), ("steps", 200), ("batch", 64), ("width", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--images", required=True)
    options = parser.parse_args()
    if options.ranks == 1:
        train(0, options)
    else:
        mp.spawn(train, (options,), options.ranks)
