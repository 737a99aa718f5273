"""Samples a second of PyTorch's DataLoader over h5py or PNG files: the peers of data.sh.

  data_twin.py make FOLDER SIDE COUNT PNGS         writes COUNT random-walk pictures: images.h5 (StudioGAN's layout), PNG files
  data_twin.py drop PATH...                        drops files from the page cache
  data_twin.py read WHAT FOLDER WORKERS SAMPLES    WHAT: h5py-open (opened for each sample, as StudioGAN does), h5py (kept open), png
"""

import os
import sys
import time

import h5py
import numpy as np


def pictures(side, count):
    """Smooth enough to compress as photographs do: sums of a coarse and a fine pattern."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        coarse = rng.integers(0, 200, (4, 4, 3), dtype=np.uint8).repeat(side // 4, 0).repeat(side // 4, 1)
        yield coarse + rng.integers(0, 24, (side, side, 3), dtype=np.uint8)


def drop(paths):
    """Files, and those below folders, out of the page cache."""
    for path in paths:
        names = [f"{at}/{name}" for at, _, files in os.walk(path) for name in files] or [path]
        for name in names:
            file = os.open(name, os.O_RDONLY)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def make(folder, side, count, pngs):
    from PIL import Image

    os.makedirs(f"{folder}/png/a", exist_ok=True)
    with h5py.File(f"{folder}/images.h5", "w") as file:
        images = file.create_dataset("imgs", (count, 3, side, side), np.uint8, chunks=(1, 3, side, side))
        file.create_dataset("labels", data=np.arange(count) % 10)
        for i, picture in enumerate(pictures(side, count)):
            images[i] = picture.transpose(2, 0, 1)
            if i < pngs:
                Image.fromarray(picture).save(f"{folder}/png/a/{i:06}.png", compress_level=1)


def read(what, folder, workers, samples):
    import torch

    path = f"{folder}/images.h5"

    class Opened(torch.utils.data.Dataset):
        def __len__(self):
            with h5py.File(path, "r") as file:
                return len(file["labels"])

        def __getitem__(self, i):
            with h5py.File(path, "r") as file:
                return torch.from_numpy(file["imgs"][i]).float().div_(127.5).sub_(1), int(file["labels"][i])

    class Kept(Opened):
        file = None

        def __getitem__(self, i):
            self.file = self.file or h5py.File(path, "r")
            return torch.from_numpy(self.file["imgs"][i]).float().div_(127.5).sub_(1), int(self.file["labels"][i])

    class Png(torch.utils.data.Dataset):
        names = sorted(os.listdir(f"{folder}/png/a"))

        def __len__(self):
            return len(self.names)

        def __getitem__(self, i):
            from PIL import Image

            picture = np.asarray(Image.open(f"{folder}/png/a/{self.names[i]}"))
            return torch.from_numpy(picture.transpose(2, 0, 1).copy()).float().div_(127.5).sub_(1), i % 10

    data = {"h5py-open": Opened, "h5py": Kept, "png": Png}[what]()
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(data, 64, shuffle=True, num_workers=workers, drop_last=True)
    seen, start = 0, None
    for images, _ in loader:
        if start is None:  # workers are up
            start = time.perf_counter()
            continue
        seen += len(images)
        if seen >= samples:
            break
    print(f"{seen / (time.perf_counter() - start):.0f}")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1] == "drop":
        drop(sys.argv[2:])
    else:
        read(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
