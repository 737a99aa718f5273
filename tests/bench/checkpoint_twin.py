"""torch.distributed.checkpoint of a state of BYTES, from one process: seconds of save and load.

    python tests/bench/checkpoint_twin.py BYTES FOLDER
"""

import sys
import time

import torch
import torch.distributed.checkpoint as dcp

size, folder = int(sys.argv[1]), sys.argv[2]
state = {f"t{i}": torch.randn(size // 4 // 32) for i in range(32)}
start = time.perf_counter()
dcp.save(state, checkpoint_id=folder)
saved = time.perf_counter()
dcp.load(state, checkpoint_id=folder)
loaded = time.perf_counter()
mib = size / 2**20
print(f"  torch.distributed.checkpoint: saved in {saved - start:.2f} s, {mib / (saved - start):.0f} MiB/s (without fsync or checksum); loaded in {loaded - saved:.2f} s")
