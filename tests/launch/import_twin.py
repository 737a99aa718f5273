"""A DCGAN as PyTorch's examples write it (transposed convolutions and batch norm without biases), for `saddle import`:

    python tests/launch/import_twin.py write model.safetensors
    saddle import model.safetensors --recipe dcgan --shape 3x64x64 --map dcgan_map.toml \\
      --set latent=100 --set g.width=16 --set d.width=16 --out imported
    saddle sample imported --n 64 --out samples.safetensors
    python tests/launch/import_twin.py compare model.safetensors samples.safetensors

`write` lets the generator see some batches, so that its running statistics are no longer the initial ones.
"""

import sys

import torch
from torch import nn

import tensor_file

WIDTH, LATENT = 16, 100


def generator():
    w = 8 * WIDTH
    layers = [nn.ConvTranspose2d(LATENT, w, 4, 1, 0, bias=False), nn.BatchNorm2d(w), nn.ReLU(True)]
    for _ in range(3):
        layers += [nn.ConvTranspose2d(w, w // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(w // 2), nn.ReLU(True)]
        w //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False), nn.Tanh())


def discriminator():
    w = WIDTH
    layers = [nn.Conv2d(3, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for _ in range(3):
        layers += [nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2, True)]
        w *= 2
    return nn.Sequential(*layers, nn.Conv2d(w, 1, 4, 1, 0, bias=False))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.netG, self.netD = generator(), discriminator()


def write(path):
    torch.manual_seed(1)
    model = Model()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(1, 0.2) if p.dim() == 1 else p.normal_(0, 0.05)
        for _ in range(20):
            model.netD(model.netG(torch.randn(16, LATENT, 1, 1)))
    tensor_file.write(path, model.state_dict())


def compare(path, samples):
    model = Model()
    model.load_state_dict(tensor_file.read(path)[0])
    drawn, _ = tensor_file.read(samples)
    with torch.no_grad():
        ours = model.eval().netG(drawn["z"][:, :, None, None])
    worst = (ours - drawn["image"]).abs().max().item()
    print(f"{len(ours)} images of spread {ours.std():.2g}: largest difference {worst:.2g}")
    sys.exit(worst > 1e-5)


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](*sys.argv[2:])
