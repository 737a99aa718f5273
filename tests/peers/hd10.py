#!/usr/bin/env python3
"""hd10 in plain PyTorch: what losses and penalties do for mode coverage, to hold tests/bench/objectives.sh against.

    saddle pack hd10 --seed 1 --out hd10
    PYTHONPATH=.deps/site tests/peers/hd10.py hd10 rpgan+r1+r2 ns+r1

Two layers of 128 each, z of 16 numbers, Adam 1e-3 (0.5, 0.999), batch 128, 3,000 steps, an average of G with 0.99.
Prints modes of 10, the share of high-quality samples and the reverse KL, seed by seed, as `saddle evaluate` has them.
"""
import json
import math
import sys

import torch
from torch import nn
from torch.nn.functional import softplus

BATCH, LATENT, STEPS, SAMPLES = 128, 16, 3000, 2500


def centres_of(folder):
    mixture = json.load(open(folder + "/dataset.json"))["provenance"]["mixture"]
    return torch.tensor(mixture["centers"]), mixture["sigma"]


def squared_gradient(scores, x):
    return torch.autograd.grad(scores.sum(), x, create_graph=True)[0].square().sum(1).mean()


def train(centres, sigma, seed, relativistic, r1, r2):
    torch.manual_seed(seed)
    width = centres.size(1)
    g = nn.Sequential(nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, width))
    d = nn.Sequential(nn.Linear(width, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    adam = [torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999)) for net in (g, d)]
    average = [p.detach().clone() for p in g.parameters()]

    def real():
        return centres[torch.randint(len(centres), (BATCH,))] + sigma * torch.randn(BATCH, width)

    for step in range(STEPS):
        x, y = real().requires_grad_(), g(torch.randn(BATCH, LATENT)).detach().requires_grad_()
        of_x, of_y = d(x), d(y)
        loss = softplus(of_y - of_x).mean() if relativistic else softplus(-of_x).mean() + softplus(of_y).mean()
        loss = loss + (r1 / 2 * squared_gradient(of_x, x) if r1 else 0) + (r2 / 2 * squared_gradient(of_y, y) if r2 else 0)
        adam[1].zero_grad()
        loss.backward()
        adam[1].step()
        of_y = d(g(torch.randn(BATCH, LATENT)))
        loss = softplus(d(real()).detach() - of_y).mean() if relativistic else softplus(-of_y).mean()
        adam[0].zero_grad()
        loss.backward()
        adam[0].step()
        decay = min(0.99, (1 + step) / (10 + step))
        for a, p in zip(average, g.parameters()):
            a.mul_(decay).add_(p.detach(), alpha=1 - decay)
    for a, p in zip(average, g.parameters()):
        p.data.copy_(a)
    return g


@torch.no_grad()
def coverage(g, centres):
    distance, nearest = torch.cdist(g(torch.randn(SAMPLES, LATENT)), centres).min(1)
    apart = torch.cdist(centres, centres) + torch.eye(len(centres)) * 1e9
    good = distance < 0.25 * apart.min()
    counts = torch.bincount(nearest[good], minlength=len(centres)).double()
    share = counts[counts > 0] / counts.sum()
    kl = math.log(len(centres)) + (share * share.log()).sum().item() if len(share) else math.log(len(centres))
    return int((counts >= 0.1 * SAMPLES / len(centres)).sum()), 100 * good.double().mean().item(), kl


def main():
    torch.set_num_threads(1)
    centres, sigma = centres_of(sys.argv[1])
    for name in sys.argv[2:]:
        parts = name.split("+")
        print(f"{name:<12}", end="")
        for seed in (1, 2, 3):
            g = train(centres, sigma, seed, parts[0] == "rpgan", "r1" in parts, "r2" in parts)
            print("   {:2d} {:5.1f} % {:6.3f}".format(*coverage(g, centres)), end="", flush=True)
        print()


if __name__ == "__main__":
    main()
