"""safetensors in a few lines: 8 bytes of header length, a JSON header, the tensors' bytes."""

import json
import struct

import torch

TYPES = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}


def read(path):
    """Tensors by name, and the metadata."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    about, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]]).view(entry["shape"])
    return tensors, about


def write(path, tensors, about=None):
    header, at, parts = {"__metadata__": about} if about else {}, 0, []
    for name, tensor in tensors.items():
        parts.append(tensor.detach().contiguous().numpy().tobytes())
        dtype = next(key for key, value in TYPES.items() if value == tensor.dtype)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
