"""Makes the files of peers that tests/data/sources.sh packs, and compares what was packed, through h5py, with what they hold.

    python -B tests/peers/sources.py make KIND OUT [PATH ...]   writes OUT/from/KIND, and OUT/expect/CASE.npz: what a pack should hold
    python -B tests/peers/sources.py verify CASE OUT [LIKE]     compares OUT/packs/CASE with that, or with OUT/packs/LIKE

Needs numpy, h5py and pillow. In an expectation, FIELD is an array [N, ...], or [rows, ...] of a variable field beside FIELD.ends,
or FIELD.text, the texts that its tokens stand for; FIELD.within is how far a number may be off, 0 if absent; with FIELD.seen colours
count by their opacity.
"""

import csv
import gzip
import io
import json
import pathlib
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile

import h5py
import numpy as np
from PIL import Image, ImageSequence

SIDE = 64  # of what is made of clip art
WHITE = 255


class Place:
    """Where a kind's files go; `expect` keeps what the pack called `case` should hold."""

    def __init__(self, out, kind):
        self.out, self.folder = pathlib.Path(out), pathlib.Path(out) / "from" / kind
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.out / "expect").mkdir(exist_ok=True)

    def expect(self, case, **fields):
        np.savez(self.out / "expect" / case, **fields)

    def __truediv__(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def spread(count, samples):
    """Which samples --samples takes."""
    return [i * count // samples for i in range(samples)]


# --- Faces, 200 of 25x25 (scikit-image's lfw_subset.npy: 100 faces, then 100 other pictures) ---


def load_faces(path):
    order = np.random.default_rng(0).permutation(200)
    return np.load(path)[order], (order >= 100).astype("<i8")


def coloured(grey):
    """Unlike in every channel, so that a wrong order shows."""
    shades = np.stack([grey, grey * 0.8, grey * 0.5], 1)
    return np.round(shades * 255).astype("u1")


def enlarged(grey):
    resize = lambda picture: np.asarray(Image.fromarray(picture.astype("f4")).resize((32, 32), Image.BICUBIC))
    return coloured(np.clip(np.stack([resize(each) for each in grey]), 0, 1))


def tar_gz(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{path.name.split('.')[0]}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def cifar(place, pictures, labels):
    names = ["face", "other"]
    rows, parts = pictures.reshape(200, -1), [range(i, i + 40) for i in range(0, 200, 40)]
    batches = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "test_batch"]
    python = {"batches.meta": pickle.dumps({"label_names": names, "num_vis": 3072}, 2)}
    binary = {"batches.meta.txt": "\n".join(names).encode()}
    for name, part in zip(batches, parts):
        python[name] = pickle.dumps({b"batch_label": name.encode(), b"labels": labels[part].tolist(), b"data": rows[part]}, 2)
        binary[name + ".bin"] = np.concatenate([labels[part, None].astype("u1"), rows[part]], 1).tobytes()
    tar_gz(place / "cifar-10-python.tar.gz", python)
    tar_gz(place / "cifar-10-binary.tar.gz", binary)
    for case in ("cifar-python", "cifar-binary"):
        place.expect(case, image=pictures[:160], label=labels[:160])
    fine = np.arange(200) % 20
    train = {"data": rows, "fine_labels": fine.tolist(), "coarse_labels": labels.tolist()}
    meta = {"fine_label_names": [f"every 20th from {i}" for i in range(20)], "coarse_label_names": names}
    tar_gz(place / "cifar-100-python.tar.gz", {"train": pickle.dumps(train, 2), "meta": pickle.dumps(meta, 2)})
    place.expect("cifar-100", image=pictures, label=fine, coarse_label=labels)


def numpy_files(place, faces, pictures, labels):
    grey = np.round(faces * 255).astype("u1")
    np.save(place / "grey.npy", grey)
    np.save(place / "grey_labels.npy", labels)
    place.expect("npy", image=grey[:, None], label=labels)
    np.save(place / "fortran/faces.npy", np.asfortranarray(pictures.transpose(0, 2, 3, 1)))
    place.expect("npy-fortran", image=pictures)
    np.save(place / "floats/x.npy", faces.astype("f4").reshape(200, -1))
    place.expect("npy-floats", x=faces.astype("f4").reshape(200, -1))
    angle = np.linspace(0, 1, 200)
    np.savez(place / "faces.npz", images=pictures.transpose(0, 2, 3, 1), labels=labels, angle=angle)
    np.savez_compressed(place / "deflated.npz", images=pictures, labels=labels, angle=angle)
    for case in ("npz", "npz-deflated"):
        place.expect(case, image=pictures, label=labels, angle=angle)


def stylegan(place, pictures, labels):
    """As dataset_tool.py of StyleGAN2-ADA and 3 writes it."""
    rows = []
    with zipfile.ZipFile(place / "stylegan.zip", "w", zipfile.ZIP_STORED) as archive:
        for i, picture in enumerate(pictures):
            file, name = io.BytesIO(), f"{i // 1000:05d}/img{i:08d}.png"
            Image.fromarray(picture.transpose(1, 2, 0)).save(file, "png", compress_level=0, optimize=False)
            archive.writestr(name, file.getvalue())
            rows.append([name, int(labels[i])])
        archive.writestr("dataset.json", json.dumps({"labels": rows}))
    place.expect("stylegan-zip", image=pictures, label=labels)


def tables(place, faces, labels):
    flat = faces.reshape(200, -1) - faces.reshape(200, -1).mean(0)
    numbers = (np.linalg.svd(flat, full_matrices=False)[0][:, :8] * 10).astype("f4")
    names = ["face", "other"]
    for name, separator, opened in (("faces.csv", ",", open), ("faces.tsv.gz", "\t", gzip.open)):
        with opened(place / name, "wt", newline="") as file:
            writer = csv.writer(file, delimiter=separator)
            writer.writerow([f"component {k}" for k in range(8)] + ["class"])
            writer.writerows([*map(repr, map(float, row)), names[label]] for row, label in zip(numbers, labels))
    for case in ("csv", "tsv-gz"):
        place.expect(case, x=numbers, label=labels)


def attributes(place, faces):
    ages, brightness = ["0-19", "20-39", "40-59", "60-79", "80-99"], faces.mean((1, 2)).astype("f4")
    deep = np.round(faces * 65535).astype("<u2")
    with open(place / "attributes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "age group", "brightness"])
        for i, picture in enumerate(deep):
            Image.fromarray(picture).save(place / f"deep/{i:03}.png")
            writer.writerow([f"{i:03}.png", ages[i * 7 % 5], repr(float(brightness[i]))])
    place.expect("png-16", image=deep[:, None])
    place.expect("attributes", image=deep[:, None], age_group=np.arange(200) * 7 % 5, brightness=brightness)


def make_faces(place, path):
    faces, labels = load_faces(path)
    pictures = enlarged(faces)
    place.expect("npy-own", x=np.load(path))
    cifar(place, pictures, labels)
    numpy_files(place, faces, pictures, labels)
    stylegan(place, pictures, labels)
    tables(place, faces, labels)
    attributes(place, faces)


# --- Fashion-MNIST ---


def idx(path):
    with gzip.open(path) as file:
        content = file.read()
    return np.frombuffer(content, "u1", offset=4 + 4 * content[3]).reshape(struct.unpack_from(f">{content[3]}I", content, 4))


def hdf5(path, pictures, labels, batch, chunk, compression):
    """As make_hdf5.py of BigGAN-PyTorch writes it, batch by batch; StudioGAN's is the same in batches of 500."""
    count = len(pictures)
    for first in range(0, count, batch):
        x, y = pictures[first : first + batch], labels[first : first + batch]
        with h5py.File(path, "a" if first else "w") as file:
            if first == 0:
                how = {"compression": compression}
                file.create_dataset("imgs", x.shape, "uint8", maxshape=(count, *x.shape[1:]), chunks=(chunk, *x.shape[1:]), **how)
                file.create_dataset("labels", y.shape, "int64", maxshape=(count,), chunks=(chunk,), **how)
            else:
                for name, part in (("imgs", x), ("labels", y)):
                    file[name].resize(file[name].shape[0] + len(part), axis=0)
            file["imgs"][-len(x) :], file["labels"][-len(y) :] = x, y


def make_fashion(place, images, labels):
    pictures, classes = idx(images), idx(labels).astype("<i8")
    place.expect("idx", image=pictures[:, None], label=classes)
    some = spread(len(pictures), 2000)
    place.expect("idx-some", image=pictures[some, None], label=classes[some])
    test = [idx(path.replace("train-", "t10k-")) for path in (images, labels)]
    place.expect("idx-folder", image=planes([resized(each, 32, 32, Image.BILINEAR) for each in test[0]]), label=test[1].astype("<i8"))
    some = np.pad(pictures[:1300], ((0, 0), (2, 2), (2, 2))) / 255
    for case, how in (("biggan", (256, 500, "lzf")), ("biggan-plain", (256, 500, None)), ("studiogan", (500, 500, None))):
        hdf5(place / f"{case}.hdf5", coloured(some), classes[:1300], *how)
        place.expect(case, image=coloured(some), label=classes[:1300])


# --- Clip art, with transparent pixels and of all sizes ---


def inscribed(height, width):
    """The size within SIDE x SIDE."""
    scaled = lambda side, to, of: max(1, int(side * to / of + 0.5))
    return min(SIDE, scaled(SIDE, height, width)), min(SIDE, scaled(SIDE, width, height))


def in_the_middle(part, around):
    out = np.full((SIDE, SIDE) + part.shape[2:], around, part.dtype)
    top, left = (SIDE - part.shape[0]) // 2, (SIDE - part.shape[1]) // 2
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out


def rgba(path):
    return np.asarray(Image.open(path).convert("RGBA")).astype(int)


def resized(picture, height, width, how=Image.LANCZOS):
    """Columns first, as Pillow did to version 12 and saddle does; 13 chooses."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((width, image.height), how).resize((width, height), how))


def on_white(path):
    """--size 64x64 --filter lanczos --crop pad --background ffffff"""
    pixels = rgba(path)
    alpha = pixels[..., 3:]
    blended = ((pixels[..., :3] * alpha + WHITE * (WHITE - alpha) + 127) // WHITE).astype("u1")
    return in_the_middle(resized(blended, *inscribed(*alpha.shape[:2])), WHITE)


def silhouette(path):
    return (rgba(path)[..., 3] > 127).astype("u1")


def nearest(picture):
    height, width = inscribed(*picture.shape)
    rows = (2 * np.arange(height) + 1) * picture.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * picture.shape[1] // (2 * width)
    return in_the_middle(picture[rows][:, columns], 0)


def edges(picture):
    """The magnitude of Sobel's gradient of ITU-R 601's luma."""
    luma = (picture.astype(int) @ [19595, 38470, 7471] + 32768) >> 16
    padded = np.pad(luma, 1, "edge")
    at = lambda dy, dx: padded[1 + dy : 1 + dy + SIDE, 1 + dx : 1 + dx + SIDE]
    right = at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1)
    down = at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1)
    return np.minimum(WHITE, np.floor(np.hypot(right, down) / 4 + 0.5)).astype("u1")


def planes(pictures):
    return np.stack([each.transpose(2, 0, 1) if each.ndim == 3 else each[None] for each in pictures])


def small_ones(folder, most):
    """In the order of their names as bytes; a few others have 10^8 pixels."""
    files = sorted(folder.glob("*.png"), key=bytes)
    return [path for path in files if np.prod(Image.open(path).size) <= 1 << 20][:most]


def make_clips(place, root):
    classes = {"birds": "animals/birds", "bugs": "animals/bugs", "fruit": "food/fruit", "patterns": "special/patterns"}
    files, labels = [], []
    with zipfile.ZipFile(place / "clips.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for label, (name, below) in enumerate(classes.items()):
            for path in small_ones(pathlib.Path(root) / below, 40):
                (place / f"clips/{name}/{path.name}").symlink_to(path)
                archive.write(path, f"clips/{name}/{path.name}")
                files.append(path), labels.append(label)
    pictures = [on_white(path) for path in files]
    for case in ("pictures", "pictures-zip"):
        place.expect(case, image=planes(pictures), label=labels)

    fruit = [path for path, label in zip(files, labels) if label == 2]
    whole, rgbas, shapes = [on_white(path) for path in fruit], [], []
    for path in fruit:
        name, shape = path.name, silhouette(path)
        Image.fromarray(shape).save(place / f"masks/{name}")
        Image.open(path).convert("RGBA").resize((SIDE, SIDE)).save(place / f"rgba/{name}")
        Image.fromarray(in_the_middle(resized(shape * 255, *inscribed(*shape.shape)), 0)).save(place / f"pair-b/{name}")
        Image.fromarray(on_white(path)).save(place / f"pair-a/{name}")
        rgbas.append(rgba(place / f"rgba/{name}").astype("u1")), shapes.append(np.asarray(Image.open(place / f"pair-b/{name}")))
    place.expect("rgba", image=planes(rgbas))
    place.expect("masks", image=planes(whole), mask=planes([nearest(silhouette(path)) for path in fruit]))
    place.expect("pairs", a=planes(whole), b=planes(shapes))
    place.expect("derive-edges", a=planes(whole), b=planes([edges(each) for each in whole]))
    place.expect("derive-down4", a=planes(whole), b=planes([resized(each, SIDE // 4, SIDE // 4) for each in whole]))


# --- A colour font: its bitmaps are PNG files, in the order of its glyphs ---


def make_emoji(place, font):
    content, pictures, at = pathlib.Path(font).read_bytes(), [], 0
    while (at := content.find(b"\x89PNG\r\n\x1a\n", at)) >= 0:
        end = content.index(b"IEND", at) + 8
        pictures.append(content[at:end])
        at = end
    some = [pictures[i] for i in spread(len(pictures), 200)]
    colours = planes([np.asarray(Image.open(io.BytesIO(each)).convert("RGBA")) for each in some])
    place.expect("emoji-rgba", image=colours, **{"image.within": 1, "image.seen": True})  # FreeType gives bytes multiplied by opacity


# --- Brains of 181 x 217 x 181 voxels, stored to the right, anterior and superior ---


def nifti(path):
    """[to superior, to posterior, to the right]"""
    content = gzip.open(path).read()
    extents = struct.unpack_from("<8h", content, 40)[1:4]
    dtype = {2: "u1", 4: "<i2"}[struct.unpack_from("<h", content, 70)[0]]
    voxels = np.frombuffer(content, dtype, np.prod(extents), int(struct.unpack_from("<f", content, 108)[0]))
    return voxels.reshape(extents[::-1])[:, ::-1]


def windowed(volume):
    low, high = float(volume.min()), float(volume.max())
    return np.floor((volume - low) * (65535 / (high - low)) + 0.5).astype("<u2")


def make_brains(place, folder):
    brain, bet, areas = (nifti(pathlib.Path(folder) / f"{name}.nii.gz") for name in ("ch2", "ch2bet", "aal"))
    coronal = lambda volume: volume.transpose(1, 0, 2)[:, ::-1]  # from the front, superior above
    place.expect("nifti-mask", image=windowed(brain)[:, None], mask=areas.astype("<i2")[:, None])
    place.expect("nifti-pair", a=coronal(windowed(brain))[:, None], b=coronal(windowed(bet))[:, None])
    place.expect("nifti-sagittal", image=windowed(brain).transpose(2, 0, 1)[:, ::-1, ::-1][:, None])
    place.expect("nifti-volume", volume=windowed(brain)[None, None])
    steps = [[range(0, extent - 63, 64) for extent in brain.shape]]
    blocks = [windowed(brain)[z : z + 64, y : y + 64, x : x + 64] for zs, ys, xs in steps for z in zs for y in ys for x in xs]
    place.expect("nifti-patches", volume=np.stack(blocks)[:, None])


# --- Sequences ---


def make_words(place, path):
    place.expect("words", **{"x.text": pathlib.Path(path).read_text().split("\n")[:-1]})


def make_moses(place, path):
    with gzip.open(path, "rt") as file:
        molecules = [row["SMILES"] for row in csv.DictReader(file)]
    place.expect("moses", **{"x.text": [molecules[i] for i in spread(len(molecules), 20000)]})


# --- Videos ---


def frames_of(path):
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(path))]


def expect_videos(place, case, videos):
    place.expect(case, **{"video": planes([frame for video in videos for frame in video]), "video.ends": np.cumsum([*map(len, videos)])})


def disc(step, colour):
    """A disc that falls to the right, on a ground that is red on the left and blue above."""
    y, x = np.mgrid[:48, :64]
    ground = np.stack([(63 - x) // 16 * 60, np.zeros_like(x), (47 - y) // 16 * 60], 2)
    inside = (y - 4 - 4 * step) ** 2 + (x - 6 - 5 * step) ** 2 < 50
    return np.where(inside[..., None], colour, ground).astype("u1")


def make_videos(place, gif):
    videos = [[disc(step, colour) for step in range(count)] for count, colour in ((6, (255, 255, 0)), (9, (0, 255, 0)), (12, (255, 255, 255)))]
    for v, video in enumerate(videos):
        images = [Image.fromarray(frame) for frame in video]
        palettes = [image.quantize(64, dither=Image.Dither.NONE) for image in images]
        palettes[0].save(place / f"gifs/{v}.gif", save_all=True, append_images=palettes[1:], duration=80, loop=0)
        for f, image in enumerate(images):
            image.save(place / f"frames/video {v}/frame {f}.png")  # frame 10 comes after frame 9
    expect_videos(place, "gifs", [frames_of(place / f"gifs/{v}.gif") for v in range(3)])
    expect_videos(place, "frames", videos)
    if gif.endswith(".gif"):
        expect_videos(place, "gif", [frames_of(gif)])


# --- What was packed ---


class Packed:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.index = json.loads((self.folder / "dataset.json").read_text())
        self.fields = {field["name"]: field for field in self.index["schema"]["fields"]}

    def read(self, name):
        """All samples of a field, and of a variable one where each ends; the shards are held to the schema."""
        field, parts, ends, rows = self.fields[name], [], [], 0
        for shard in self.index["shards"]:
            with h5py.File(self.folder / shard["file"]) as file:
                values, sums = file[name][:], file[f".checksums/{name}"]
                variable = field.get("variable", False)
                require(values.dtype == field["dtype"], f"{name} is {values.dtype}, the schema says {field['dtype']}")
                require(values.shape[1:] == tuple(field["shape"][variable:]), f"{name} is {values.shape}, the schema says {field['shape']}")
                require(sums.dtype == "uint64" and sums.shape == (shard["count"],), f"{name} has checksums {sums.dtype} {sums.shape}")
                if variable:
                    last = file[f".ends/{name}"][:]
                    lengths = np.diff(last, prepend=0)
                    require(last.shape == (shard["count"],) and last[-1] == len(values), f"{name} ends elsewhere")
                    require(0 <= lengths.min() and lengths.max() <= field["shape"][0], f"{name} is longer than {field['shape'][0]}")
                    ends.append(last + rows)
                    rows += len(values)
                else:
                    require(len(values) == shard["count"], f"{name} has {len(values)} samples, {shard['file']} {shard['count']}")
                parts.append(values)
        require(sum(shard["count"] for shard in self.index["shards"]) == self.index["count"], "the shards' counts do not add up")
        return np.concatenate(parts), np.concatenate(ends) if ends else None

    def texts(self, name):
        values, ends = self.read(name)
        letters, out, first = np.array(self.fields[name]["class_names"], object), [], 0
        for end in ends:
            tokens = values[first:end]
            require(tokens[-1] == 2, f"{name}: a text of {end - first} tokens does not end")
            out.append("".join(letters[tokens[:-1]])), (first := end)
        return out


def require(condition, message):
    if not condition:
        raise SystemExit(message)


def by_opacity(pictures):
    return np.concatenate([pictures[:, :3] * (pictures[:, 3:] / WHITE), pictures[:, 3:]], 1)


def compare(name, found, wanted, within):
    require(found.shape == wanted.shape, f"{name}: packed {found.shape}, expected {wanted.shape}")
    if within == 0 and np.array_equal(found, wanted):
        return
    off = np.abs(found.astype("f8") - wanted.astype("f8")).reshape(len(found), -1).max(1)
    worst, unlike = int(off.argmax()), int((off > within).sum())
    require(unlike == 0, f"{name}: {unlike} of {len(found)} samples differ, most sample {worst}, by {off[worst]:g}")


def compare_with(packed, expected):
    known, said = {name.split(".")[0] for name in expected}, []
    require(known <= set(packed.fields), f"fields {sorted(packed.fields)}, expected {sorted(known)}")
    for name in sorted(known):
        if f"{name}.text" in expected:
            texts, wanted = packed.texts(name), list(expected[f"{name}.text"])
            unlike = [i for i, (a, b) in enumerate(zip(texts, wanted)) if a != b]
            require(len(texts) == len(wanted) and not unlike, f"{name}: {len(unlike)} texts differ of {len(wanted)}, first {unlike[:1]}")
            said.append(name)
            continue
        values, ends = packed.read(name)
        if ends is not None:
            require(np.array_equal(ends, expected[f"{name}.ends"]), f"{name} ends at {ends[:5]}, expected {expected[f'{name}.ends'][:5]}")
        wanted, within = expected[name], float(expected.get(f"{name}.within", 0))
        if f"{name}.seen" in expected:
            values, wanted = by_opacity(values), by_opacity(wanted)
        compare(name, values, wanted, within)
        said.append(f"{name} within {within:g}" if within else name)
    return f"{', '.join(said)} equal"


def compare_mixture(packed, mixture):
    """Every point lies by a centre, and by every centre lie some."""
    x, centres = packed.read("x")[0].astype("f8"), np.array(mixture["centers"])
    far = np.sqrt(((x[:, None] - centres[None]) ** 2).sum(2))
    most = mixture["sigma"] * (np.sqrt(x.shape[1]) + 6)
    require(far.min(1).max() < most, f"a point lies {far.min(1).max():g} from every centre")
    shares = np.bincount(far.argmin(1), minlength=len(centres)) * len(centres) / len(x)
    require(0.8 < shares.min() and shares.max() < 1.2, f"modes hold {shares.min():.2f} to {shares.max():.2f} of their share")
    return f"x within {most / mixture['sigma']:.1f} sigma of {len(centres)} centres"


def verify(case, out, like=None):
    out = pathlib.Path(out)
    packed, known = Packed(out / "packs" / case), out / "expect" / f"{case}.npz"
    for name in packed.fields:
        values, _ = packed.read(name)
        classes = packed.fields[name].get("classes")
        require(not classes or (0 <= values.min() and values.max() < classes), f"{name}: {values.min()} to {values.max()} of {classes} classes")
    if like:
        other = Packed(out / "packs" / like)
        nameless = [[{**field, "class_names": None} for field in each.index["schema"]["fields"]] for each in (packed, other)]
        require(nameless[0] == nameless[1], f"the schema is not that of {like}")
        for name in packed.fields:
            compare(name, packed.read(name)[0], other.read(name)[0], 0)
        return f"all equal {like}"
    if "mixture" in packed.index["provenance"]:
        return compare_mixture(packed, packed.index["provenance"]["mixture"])
    if not known.exists():
        return "as the schema says"
    with np.load(known) as expected:
        return compare_with(packed, dict(expected))


def main(command, what, out, *more):
    if command == "make":
        globals()[f"make_{what}"](Place(out, what), *more)
    else:
        print(verify(what, out, *more))


if __name__ == "__main__":
    main(*sys.argv[1:])
