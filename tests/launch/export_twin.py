"""Loads what `saddle export` wrote with PyTorch alone and draws the samples that `saddle sample` drew:

    saddle export RUN --to safetensors --out g.safetensors
    saddle export RUN --to torchscript --out g.pt
    saddle sample RUN --n 64 --out samples.safetensors
    python tests/launch/export_twin.py g.safetensors g.pt samples.safetensors

The modules below are the generators in plain PyTorch; their attributes carry the names of the file. Exits with 1 if a
largest difference is above 1e-5.
"""

import io
import json
import sys

import torch
from torch import nn

import tensor_file

torch.set_grad_enabled(False)


class Norm(nn.Module):
    def __init__(self, kind, channels):
        super().__init__()
        self.kind = kind
        if kind == "batch":
            self.batch = nn.BatchNorm2d(channels)
        if kind == "instance":
            self.instance = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        return x if self.kind == "none" else getattr(self, self.kind)(x)


class ConvGenerator(nn.Module):
    """z (and the embedding of a label) -> dense to [B, C, h, w] -> transposed convolutions that double h and w."""

    def __init__(self, w, options, field):
        super().__init__()
        kind = options["g.norm"]
        self.depth = sum(name.endswith(".weight") and name.startswith("up") and "_norm" not in name for name in w)
        if "embed.weight" in w:
            self.embed = nn.Embedding(*w["embed.weight"].shape)
        out, latent = w["project.weight"].shape
        channels = w["up0.weight"].shape[0]
        self.base = (channels, *(size >> self.depth for size in field[-2:]))
        self.project = nn.Linear(latent, out, bias="project.bias" in w)
        self.norm = Norm(kind, channels)
        for i in range(self.depth):
            a, b = w[f"up{i}.weight"].shape[:2]
            setattr(self, f"up{i}", nn.ConvTranspose2d(a, b, 4, 2, 1, bias=f"up{i}.bias" in w))
            setattr(self, f"up{i}_norm", Norm(kind if i + 1 < self.depth else "none", b))

    def forward(self, z, y=None):
        x = z if y is None else torch.cat([z, self.embed(y)], 1)
        x = self.norm(self.project(x).unflatten(1, self.base)).relu()
        for i in range(self.depth):
            x = getattr(self, f"up{i}_norm")(getattr(self, f"up{i}")(x))
            x = x.relu() if i + 1 < self.depth else x.tanh()
        return x


class Perceptron(nn.Module):
    def __init__(self, w, options, field):
        super().__init__()
        self.field = field
        if "embed.weight" in w:
            self.embed = nn.Embedding(*w["embed.weight"].shape)
        count = sum(name.startswith("main.") and name.endswith(".weight") for name in w)
        self.main = nn.ModuleList(nn.Linear(*reversed(w[f"main.{i}.weight"].shape)) for i in range(count))

    def forward(self, z, y=None):
        x = z if y is None else torch.cat([z, self.embed(y)], 1)
        for layer in self.main[:-1]:
            x = layer(x).relu()
        x = self.main[-1](x).view(-1, *self.field)
        return x.tanh() if len(self.field) == 3 else x


def plain_module(path):
    tensors, about = tensor_file.read(path)
    (net,) = json.loads(about["nets"])
    weights = {name.removeprefix(net + "."): value for name, value in tensors.items()}
    field = json.loads(about["output"])["shape"][1:]
    kind = ConvGenerator if "project.weight" in weights else Perceptron
    module = kind(weights, json.loads(about["options"]), field).to(next(iter(weights.values())).dtype)
    module.load_state_dict(weights)
    return module.eval()


def scripted(path):
    files = {"saddle.json": ""}
    module = torch.jit.load(path, _extra_files=files)
    assert {"inputs", "output", "options", "data", "step"} <= json.loads(files["saddle.json"]).keys()
    return module


def saved_again(module):
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


def largest_difference(module, samples):
    inputs = [samples["z"]] + ([samples["label"]] if "label" in samples else [])
    wanted = samples.get("image", samples.get("x"))
    worst = 0
    for batch in (1, 7, 64):
        for start in range(0, len(wanted) - batch + 1, batch):
            part = module(*(x[start : start + batch] for x in inputs))
            worst = max(worst, (part - wanted[start : start + batch]).abs().max().item())
    return worst


if __name__ == "__main__":
    samples, _ = tensor_file.read(sys.argv[3])
    script = scripted(sys.argv[2])
    found = {
        "plain module": largest_difference(plain_module(sys.argv[1]), samples),
        "TorchScript": largest_difference(script, samples),
        "TorchScript saved again": largest_difference(saved_again(script), samples),
        "TorchScript after train(), eval()": largest_difference(script.train().eval(), samples),
    }
    spread = samples.get("image", samples.get("x")).std()
    print(f"of samples of spread {spread:.2g}:", ", ".join(f"{name} {value:.2g}" for name, value in found.items()))
    sys.exit(max(found.values()) > 1e-5)
