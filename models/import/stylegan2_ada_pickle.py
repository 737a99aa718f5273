#!/usr/bin/env python3
"""Turns a network pickle of StyleGAN2-ADA (and of its kin with the same torch_utils.persistence) into safetensors:

    python models/import/stylegan2_ada_pickle.py network.pkl --out network.safetensors [--net G_ema D ...]

Needs PyTorch, and nothing of the repository that wrote the pickle. Such a pickle carries source code that its own loader
executes; here it is read by an unpickler that knows tensors, containers and the persistence wrapper's record, executes
nothing, and refuses any other global by name. Tensors are named "G_ema.synthesis.b4.const"; the metadata holds each net's
class and the arguments it was made with, as JSON.
"""

import argparse
import collections
import io
import json
import pickle
import struct
import sys

import torch

DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
          torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


class Record:
    """An object of a class that is not looked up: its attributes as they were pickled."""

    class_name = "?"


class EasyDict(dict):
    pass


def reconstruct(meta):
    """In place of torch_utils.persistence._reconstruct_persistent_obj, which executes meta["module_src"]."""
    record = Record()
    record.class_name = meta["class_name"]
    record.__dict__.update(meta["state"])
    return record


def load_storage(data):
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "object"): object,
    ("copyreg", "_reconstructor"): lambda cls, base, state: cls(),
    ("dnnlib.util", "EasyDict"): EasyDict,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): reconstruct,
    ("torch.storage", "_load_from_bytes"): load_storage,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): lambda data, requires_grad, hooks: data,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    **{("torch", str(dtype).removeprefix("torch.")): dtype for dtype in DTYPES},
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.startswith("torch.nn.modules."):
            return Record
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}: not part of a network pickle this script knows") from None


def tensors_of(module, prefix):
    """Parameters and persistent buffers, named as state_dict() names them."""
    state = vars(module)
    hidden = state.get("_non_persistent_buffers_set", ())
    for group in ("_parameters", "_buffers"):
        for name, tensor in state.get(group, {}).items():
            if tensor is not None and name not in hidden:
                yield f"{prefix}.{name}", tensor
    for name, child in state.get("_modules", {}).items():
        if child is not None:
            yield from tensors_of(child, f"{prefix}.{name}")


def described(record):
    made_with = {key: vars(record).get(key) for key in ("_init_args", "_init_kwargs")}
    return json.dumps({"class": record.class_name, **made_with}, default=str)


def write(path, tensors, metadata):
    header, at, parts = {"__metadata__": metadata}, 0, []
    for name, tensor in tensors.items():
        parts.append(bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()))
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickle")
    parser.add_argument("--out", required=True)
    parser.add_argument("--net", nargs="+", help="which of the pickle's nets (default: all)")
    options = parser.parse_args()
    try:
        with open(options.pickle, "rb") as file:
            content = Unpickler(file).load()
    except (OSError, pickle.UnpicklingError) as error:
        sys.exit(f"{options.pickle}: {error}")
    if not isinstance(content, dict):
        sys.exit(f"{options.pickle}: expected a dict of nets, found {type(content).__name__}")
    nets = {name: value for name, value in content.items() if isinstance(value, Record)}
    chosen = options.net or list(nets)
    unknown = [name for name in chosen if name not in nets]
    if unknown or not nets:
        sys.exit(f"{options.pickle}: no net {', '.join(unknown)}; it has {', '.join(nets) or 'none'}")
    tensors = dict(pair for name in chosen for pair in tensors_of(nets[name], name))
    write(options.out, tensors, {name: described(nets[name]) for name in chosen})
    print(f"{len(tensors)} tensors of {', '.join(chosen)} in {options.out}")


if __name__ == "__main__":
    main()
