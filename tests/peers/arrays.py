"""Writes goldens/arrays: small files as NumPy, h5py, pickle and tarfile make them, for the importers' tests.

Number k of every array, in C order, is k modulo 251 unless said otherwise, so that the tests know what they should read. Run with any
Python that has numpy and h5py: python tests/peers/arrays.py
"""

import gzip
import io
import pathlib
import pickle
import struct
import tarfile

import h5py
import numpy as np

VERSION = ("earliest", "v108")  # of HDF5: what Debian 12 reads
FOLDER = pathlib.Path(__file__).parent / "goldens" / "arrays"


def counted(shape, dtype):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


def numpy_files():
    for version in (1, 2, 3):
        with open(FOLDER / f"version{version}.npy", "wb") as file:
            np.lib.format.write_array(file, counted((5, 3), "<f4"), version=(version, 0))
    np.save(FOLDER / "fortran.npy", np.asfortranarray(counted((5, 2, 3, 4), ">i2")))
    named = {"images": counted((6, 7, 5, 3), "u1"), "labels": (np.arange(6) % 3).reshape(6, 1), "names": np.array(["a", "b", "c"])}
    np.savez(FOLDER / "stored.npz", **named)
    np.savez_compressed(FOLDER / "deflated.npz", **named)
    np.savez_compressed(FOLDER / "fortran.npz", arr_0=np.asfortranarray(counted((6, 3, 4, 5), "u1")))


def hdf5_files():
    with h5py.File(FOLDER / "biggan.hdf5", "w", libver=VERSION) as file:  # as make_hdf5.py of BigGAN-PyTorch and of StudioGAN
        file.create_dataset("imgs", data=counted((7, 3, 4, 5), "u1"), maxshape=(None, 3, 4, 5), chunks=(3, 3, 4, 5), compression="gzip")
        file.create_dataset("labels", data=np.arange(7) % 3, maxshape=(None,), chunks=(3,), compression="gzip")
    with h5py.File(FOLDER / "mixed.h5", "w", libver=VERSION) as file:
        file["images"] = counted((4, 6, 5, 3), "u1")
        file["label"] = np.array([[2], [0], [1], [2]], ">i4")
        file["angle"] = counted((4,), "f2")
        file["seen"] = np.array([True, False, False, True])
        file["names"] = np.array([b"a", b"b", b"c", b"d"])
        file["mean"] = 3.5
        file["elsewhere"] = h5py.ExternalLink("biggan.hdf5", "/imgs")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    numpy_files()
    hdf5_files()
    for path in sorted(FOLDER.iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
