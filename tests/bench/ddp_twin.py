"""PyTorch twins of `saddle train`: same nets, losses, optimizer, batch and precision, DDP over gloo.

    python tests/bench/ddp_twin.py dcgan --size 32 --ranks 2 --threads 1 --steps 200 --images train-images-idx3-ubyte.gz
    python tests/bench/ddp_twin.py mlp     # the non-saturating GAN on points: three layers of 128
    python tests/bench/ddp_twin.py wgan-gp # gradient penalty through a double backward, five critic steps
    python tests/bench/ddp_twin.py dcgan --channels-last --bfloat16   # images as NHWC, bfloat16 arithmetic
    python tests/bench/ddp_twin.py dcgan --ranks 1 --device cuda --tf32   # with the data on the device

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
from torch.nn.functional import interpolate, softplus
from torch.nn.parallel import DistributedDataParallel

WARM_UP = 20


def perceptron(sizes, activation):
    layers = []
    for fan_in, out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(fan_in, out), activation()]
    return nn.Sequential(*layers[:-1])


def conv_nets(o):
    """Images halved until a side is below 8; the critic of wgan-gp has no norm."""
    depth, base = 0, o.size
    while base >= 8:
        depth, base = depth + 1, base // 2
    w, critic_norm = o.width << (depth - 1), o.config != "wgan-gp"
    g = [nn.Linear(o.latent, w * base * base, bias=False), nn.Unflatten(1, (w, base, base)), nn.BatchNorm2d(w), nn.ReLU()]
    for _ in range(depth - 1):
        g += [nn.ConvTranspose2d(w, w // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(w // 2), nn.ReLU()]
        w //= 2
    g += [nn.ConvTranspose2d(w, 1, 4, 2, 1), nn.Tanh()]
    d = [nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2)]
    for _ in range(depth - 1):
        d += [nn.Conv2d(w, 2 * w, 4, 2, 1, bias=not critic_norm)] + [nn.BatchNorm2d(2 * w)] * critic_norm + [nn.LeakyReLU(0.2)]
        w *= 2
    return nn.Sequential(*g), nn.Sequential(*d, nn.Flatten(), nn.Linear(w * base * base, 1))


def nets(o):
    if o.config != "mlp":
        return conv_nets(o)
    hidden = [o.width] * 3
    return perceptron([o.latent, *hidden, 2], nn.ReLU), perceptron([2, *hidden, 1], lambda: nn.LeakyReLU(0.2))


def data_of(o):
    if o.config == "mlp":
        return torch.randn(2000, 2)
    with gzip.open(o.images) as f:
        images = torch.frombuffer(bytearray(f.read()[16:]), dtype=torch.uint8).view(-1, 1, 28, 28)[:10000]
    return images if o.size == 28 else interpolate(images.float(), (o.size, o.size)).to(torch.uint8)


def penalty(critic, real, fake):
    alpha = torch.rand(len(real), 1, 1, 1)
    x = torch.lerp(fake, real, alpha).requires_grad_(True)
    slope, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()


def wait(o):
    if o.device == "cuda":
        torch.cuda.synchronize()


def train(rank, o):
    torch.set_num_threads(o.threads)
    torch.set_default_device(o.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o.tf32
    torch.manual_seed(0)
    g, d = nets(o)
    if o.channels_last:
        g, d = (net.to(memory_format=torch.channels_last) for net in (g, d))
    plain_d = d
    if o.ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
        dist.init_process_group("gloo", rank=rank, world_size=o.ranks)
        g, d = DistributedDataParallel(g, broadcast_buffers=False), DistributedDataParallel(d, broadcast_buffers=False)
    data = data_of(o).to(o.device)
    wasserstein, share = o.config == "wgan-gp", o.batch // o.ranks
    betas = (0.0, 0.9) if wasserstein else (0.5, 0.999)
    opt_g = torch.optim.Adam(g.parameters(), 2e-4, betas, fused=True)
    opt_d = torch.optim.Adam(d.parameters(), 2e-4, betas, fused=True)

    arithmetic = lambda: torch.autocast(o.device, torch.bfloat16, enabled=o.bfloat16)

    def critic_step():
        real = data[torch.randint(len(data), (share,))]
        if o.config != "mlp":
            real = real.float() / 127.5 - 1
        if o.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), arithmetic():
            fake = g(torch.randn(share, o.latent))
        opt_d.zero_grad()
        with arithmetic():
            if wasserstein:
                loss = d(fake).mean() - d(real).mean() + penalty(plain_d, real, fake.float())
            else:
                loss = softplus(-d(real).float()).mean() + softplus(d(fake).float()).mean()
        loss.backward()
        opt_d.step()

    for step in range(WARM_UP + o.steps):
        if step == WARM_UP:
            wait(o)
            start = time.perf_counter()
        for p in d.parameters():
            p.requires_grad_(True)
        for _ in range(5 if wasserstein else 1):
            critic_step()
        for p in d.parameters():
            p.requires_grad_(False)
        opt_g.zero_grad()
        with arithmetic():
            judged = plain_d(g(torch.randn(share, o.latent))).float()
        (-judged if wasserstein else softplus(-judged)).mean().backward()
        opt_g.step()
    wait(o)
    if rank == 0:
        print(f"{o.steps * o.batch / (time.perf_counter() - start):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config", choices=("dcgan", "mlp", "wgan-gp"))
    for name, default in (("ranks", 2), ("threads", 1), ("steps", 200), ("batch", 64), ("width", 32), ("size", 28), ("latent", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--images")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    for flag in ("tf32", "channels-last", "bfloat16"):
        parser.add_argument(f"--{flag}", action="store_true")
    options = parser.parse_args()
    if options.ranks == 1:
        train(0, options)
    else:
        mp.spawn(train, (options,), options.ranks)
