"""models/import/stylegan2_ada_pickle.py on pickles made here as StyleGAN2-ADA makes them: nets whose __reduce__ gives
torch_utils.persistence._reconstruct_persistent_obj and a record of source code, class name and state. (None of NVIDIA's own
pickles was at hand.) The source code must not be executed, and a pickle with another global must be refused.

    python tests/launch/pickle_twin.py FOLDER
"""

import os
import pickle
import subprocess
import sys
import types

import torch
from torch import nn

import tensor_file

SCRIPT = os.path.join(os.path.dirname(__file__), "../../models/import/stylegan2_ada_pickle.py")
folder = sys.argv[1]
executed = os.path.join(folder, "executed")
SOURCE = f"open({executed!r}, 'w').close()\n"


def module(name, **content):
    made = types.ModuleType(name)
    made.__dict__.update(content)
    sys.modules[name] = made
    return made


def _reconstruct_persistent_obj(meta):
    raise NotImplementedError


class EasyDict(dict):
    pass


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"
module("torch_utils")
module("torch_utils.persistence", _reconstruct_persistent_obj=_reconstruct_persistent_obj)
module("dnnlib")
module("dnnlib.util", EasyDict=EasyDict)


class Persistent(nn.Module):
    """What @persistence.persistent_class adds to a module."""

    def __init__(self, **kwargs):
        super().__init__()
        self._init_args, self._init_kwargs = (), EasyDict(kwargs)

    def __reduce__(self):
        fields = list(super().__reduce__())
        fields += [None] * max(3 - len(fields), 0)
        meta = dict(type="class", version=6, module_src=SOURCE, class_name=type(self).__name__, state=fields[2])
        return _reconstruct_persistent_obj, (meta,), None


class Layer(Persistent):
    def __init__(self, size):
        super().__init__(size=size)
        self.weight = nn.Parameter(torch.randn(size, size))
        self.bias = nn.Parameter(torch.randn(size)) if size > 3 else None
        self.register_buffer("resample_filter", torch.randn(4, 4).t())
        self.register_buffer("noise", torch.randn(2), persistent=False)


class Generator(Persistent):
    def __init__(self, z_dim):
        super().__init__(z_dim=z_dim, mapping_kwargs=EasyDict(num_layers=2))
        self.z_dim = z_dim
        self.mapping, self.small = Layer(z_dim), Layer(3)
        self.plain = nn.Sequential(nn.Linear(2, 2))
        self.register_buffer("w_avg", torch.randn(z_dim))


def run(content, name):
    path, out = os.path.join(folder, name + ".pkl"), os.path.join(folder, name + ".safetensors")
    with open(path, "wb") as file:
        pickle.dump(content, file)
    done = subprocess.run([sys.executable, SCRIPT, path, "--out", out, *sys.argv[2:]], capture_output=True, text=True)
    return done, out


nets = {"G": Generator(8), "D": Layer(5), "G_ema": Generator(8)}
done, out = run({**nets, "training_set_kwargs": EasyDict(path="x", resolution=8), "augment_pipe": None}, "network")
print(done.stdout.strip(), done.stderr.strip())
assert done.returncode == 0
tensors, about = tensor_file.read(out)
wanted = {f"{net}.{name}": value for net, m in nets.items() for name, value in m.state_dict().items()}
assert tensors.keys() == wanted.keys(), (tensors.keys() ^ wanted.keys())
assert all(torch.equal(tensors[name], value) for name, value in wanted.items())
assert '"z_dim": 8' in about["G_ema"] and '"Generator"' in about["G_ema"], about
assert not os.path.exists(executed), "the pickle's source code was executed"


class Harmful:
    def __reduce__(self):
        return os.system, (f"touch {executed}",)


done, out = run({"G": nets["G"], "x": Harmful()}, "harmful")
print(done.stderr.strip())
assert done.returncode != 0 and "refused to load" in done.stderr and "system" in done.stderr
assert not os.path.exists(out) and not os.path.exists(executed)
