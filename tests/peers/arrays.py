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
        file.create_dataset("imgs", data=counted((7, 3, 4, 5), "u1"), maxshape=(None, 3, 4, 5), chunks=(3, 3, 4, 5), compression="lzf")
        file.create_dataset("labels", data=np.arange(7) % 3, maxshape=(None,), chunks=(3,), compression="gzip")
    with h5py.File(FOLDER / "mixed.h5", "w", libver=VERSION) as file:
        file.create_dataset("images", data=counted((4, 6, 5, 3), "u1"), compression="gzip", shuffle=True)
        file["label"] = np.array([[2], [0], [1], [2]], ">i4")
        file["angle"] = counted((4,), "f2")
        file["seen"] = np.array([True, False, False, True])
        file["names"] = np.array([b"a", b"b", b"c", b"d"])
        file["mean"] = 3.5
        file["elsewhere"] = h5py.ExternalLink("biggan.hdf5", "/imgs")
    with h5py.File(FOLDER / "groups.h5", "w", libver=VERSION) as file:
        for part, count in (("train", 4), ("test", 2)):
            file[f"{part}/images"] = counted((count, 5, 4, 3), "u1")
            file[f"{part}/labels"] = (np.arange(count) % 2).astype("u8")
            file[f"{part}/masks"] = counted((count, 5, 4), "i8") * 300
        file["meta/empty"] = np.zeros((0, 3), "f4")
        file["meta/of others"] = counted((7,), "f4")
        file["loop"] = file["/"]
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)  # a filter that no library has
        how.set_chunk((4,))
        how.set_filter(32099, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file["meta"].id, b"packed", h5py.h5t.NATIVE_INT32, space, how).write_direct_chunk((0,), bytes(16))


def python2(batch):
    """What Python 2's cPickle makes of a batch of CIFAR-10, opcode by opcode: texts are bytes, the dtype is kept for later."""

    def text(value):
        value = value.encode() if isinstance(value, str) else value
        return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<I", len(value))) + value

    rows, columns = batch["data"].shape
    return b"".join(
        [
            b"\x80\x02}q\x01(" + text("batch_label") + b"q\x02" + text(batch["batch_label"]) + b"q\x03",
            text("labels") + b"q\x04]q\x05(" + b"".join(b"K" + bytes([label]) for label in batch["labels"]) + b"e",
            text("data") + b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85",
            text("b") + b"\x87Rq\x09(K\x01K" + bytes([rows]) + b"M" + struct.pack("<H", columns) + b"\x86cnumpy\ndtype\nq\x0a",
            text("u1") + b"K\x00K\x01\x87Rq\x0b(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            text(batch["data"].tobytes()) + b"tb",
            text("filenames") + b"q\x0c]q\x0d(" + b"".join(text(name) for name in batch["filenames"]) + b"eu.",
        ]
    )


def tar_gz(name, files):
    with open(FOLDER / name, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            folder = tarfile.TarInfo("batches")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for path, content in files.items():
                entry = tarfile.TarInfo("batches/" + path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def cifar_files():
    """Six batches of two pictures: number k of the whole set is k modulo 251, label i is i modulo 4."""
    pictures, labels = counted((12, 3072), "u1"), [i % 4 for i in range(12)]

    def part(i, **more):
        return {"batch_label": "a batch", "data": pictures[i : i + 2], "filenames": ["a.png", "b.png"], **more}

    ten = [part(i, labels=labels[i : i + 2]) for i in range(0, 12, 2)]
    ten[4]["labels"] = np.array(ten[4]["labels"], "<i8")
    meta = {"num_cases_per_batch": 2, "label_names": ["plane", "car", "bird", "cat"], "num_vis": 3072}
    tar_gz(
        "cifar-10-python.tar.gz",
        {
            "data_batch_4": pickle.dumps(ten[3], 4),
            "readme.html": b"<html>",
            "test_batch": pickle.dumps({key.encode(): value for key, value in ten[5].items()}, 3),
            "data_batch_1": python2(ten[0]),
            "batches.meta": pickle.dumps(meta, 2),
            "data_batch_3": pickle.dumps(ten[2], 3),
            "data_batch_2": pickle.dumps(ten[1], 2),
            "data_batch_5": pickle.dumps(ten[4], 4),
        },
    )
    hundred = {
        "train": pickle.dumps({**part(0), "fine_labels": [3, 1], "coarse_labels": [1, 0]}, 2),
        "test": pickle.dumps({**part(2), "fine_labels": [0, 2], "coarse_labels": [0, 1]}, 2),
        "meta": pickle.dumps({"fine_label_names": ["a", "b", "c", "d"], "coarse_label_names": ["A", "B"]}, 2),
    }
    tar_gz("cifar-100-python.tar.gz", hundred)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    numpy_files()
    hdf5_files()
    cifar_files()
    for path in sorted(FOLDER.iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
