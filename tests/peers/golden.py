"""What the peers share: seeded inputs of few digits, and tensors as nested lists or {shape, data} in a golden file."""

import json
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "goldens"


def rounded(x, digits=4):
    """The same tensor in few decimal digits, which every JSON reader takes for the same doubles."""
    return torch.tensor([round(v, digits) for v in x.flatten().tolist()], dtype=torch.float64).reshape(x.shape)


def normal(rng, *shape, scale=1.0):
    return rounded(scale * torch.randn(*shape, generator=rng, dtype=torch.float64))


def uniform(rng, *shape):
    return rounded(torch.rand(*shape, generator=rng, dtype=torch.float64)).clamp(max=0.9999)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def flat(x):
    return {"shape": list(x.shape), "data": x.detach().flatten().tolist()}


def write(name, content):
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")
