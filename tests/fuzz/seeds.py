#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target, and the words that its mutations are made of.    seeds.py FOLDER"""
import base64
import gzip
import io
import json
import pathlib
import struct
import sys
import zipfile
import zlib

FOLDER = pathlib.Path(sys.argv[1])
# 5x4 pixels.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAEAAUD"
    "ASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAAAwX/xAAUEQEA"
    "AAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCIAaw//9k=")
PROGRESSIVE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/wgALCAAEAAUBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//aAAgBAQAAAAEf/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABBQJ/"
    "/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAGPwJ//8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPyF//9oACAEBAAAAEP8A/8QAFBAB"
    "AAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxB//9k=")

# 5x4 pixels as well: lossless, lossy, lossy with opacity, animated.
WEBPS = [base64.b64decode(text) for text in (
    "UklGRigAAABXRUJQVlA4TBwAAAAvBMAAAM1kRP8DhNlGNHsdXP0JTmG2pySiAWA8",
    "UklGRlwAAABXRUJQVlA4IFAAAADQAQCdASoFAAQAAoBCJagCdAD0j/YG4AD8AJyv/+F/lLH20L213UYIG0HP+JQ6mtRgL9f/k5Msv474KAG/Q+on69RM"
    "9eM/wcmKiDumNdwAAA==",
    "UklGRnoAAABXRUJQVlA4WAoAAAAQAAAABAAAAwAAQUxQSBUAAAABmYzof4Ag2wZ5MkW8yxUiJiAKMA8AVlA4ID4AAACwAQCdASoFAAQAAoBCJagCdAD0"
    "gbVuAOJkXO6FZ6OwtclupMXVgE+AzNZ5Vmf30jLiCo59PBs+Y+QTuAAAAA==",
    "UklGRtAAAABXRUJQVlA4WAoAAAACAAAABAAAAwAAQU5JTQYAAAD/////AABBTk1GNAAAAAAAAAAAAAQAAAMAAAoAAABWUDhMHAAAAC8EwAAAzWRE/wOE"
    "2UY0ex1c/QlOYbanJKIBYDxBTk1GaAAAAAAAAAAAAAQAAAMAAAoAAABWUDggUAAAANABAJ0BKgUABAACgEIlqAJ0APSP9gbgAPwAnK//4X+UsfbQvbXd"
    "RggbQc/4lDqa1GAv1/+Tkyy/jvgoAb9D6ifr1Ez14z/ByYqIO6Y13AAA",
)]


def put(target, name, data):
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def words(target, *texts):
    def quoted(text):
        return "".join(f"\\x{byte:02x}" for byte in (text if isinstance(text, bytes) else text.encode()))

    (FOLDER / f"{target}.dict").write_text("".join(f'"{quoted(text)}"\n' for text in texts))


def shard(field, count, columns, compressed=0, flags=7):
    """One shard of one field; `columns` are laid one after another, as FORMAT.md says."""
    extent, data = {}, b""
    for name, part in columns.items():
        extent[name] = len(data)
        data += part
    extent["bytes"] = compressed or len(columns["data"])
    about = {"format": 2, "count": count, "fingerprint": "0" * 16, "schema": {"fields": [field]}, "provenance": {},
             "shards": [{"file": "s", "count": count, "bytes": len(data), "digest": "0" * 16, "extents": [extent]}]}
    return about, data, bytes([flags])


def shards():
    sums = struct.pack("<3Q", 1, 2, 3)
    plain = {"name": "x", "shape": [2, 2], "dtype": "uint8"}
    label = {"name": "label", "shape": [], "dtype": "int64", "classes": 2, "class_names": ["a", "b"]}
    text = {"name": "x", "shape": [4], "dtype": "int32", "variable": True}
    packed = zlib.compress(bytes(12))
    chunk = struct.pack("<3q", 48, len(packed), 0)
    about, data, flags = shard(plain, 3, {"checksums": sums, "chunks": chunk, "deflated": packed}, compressed=12)
    extent = about["shards"][0]["extents"][0]
    del extent["deflated"]
    extent["chunk_bytes"] = 12
    cases = {"compressed": (about, data, flags),
             "plain": shard(plain, 3, {"checksums": sums, "data": bytes(range(12))}),
             "label": shard(label, 3, {"checksums": sums, "data": bytes(24)}, flags=1),
             "variable": shard(text, 3, {"data": bytes(range(24)), "checksums": sums, "ends": struct.pack("<3q", 2, 2, 6)}),
             "ends": shard(text, 3, {"data": bytes(24), "checksums": sums, "ends": struct.pack("<3q", -(2**63), 2, 6)}),
             "claims": shard({**text, "shape": [2**46]}, 3, {"data": bytes(24), "checksums": sums, "ends": bytes(24)})}
    for name, (about, data, flags) in cases.items():
        put("shard", name, flags + json.dumps(about, separators=(",", ":")).encode() + b"\0" + data)
    keys = ["format", "count", "schema", "fields", "name", "shape", "dtype", "classes", "class_names", "variable", "shards",
            "file", "bytes", "digest", "extents", "checksums", "ends", "chunks", "chunk_bytes", "data", "provenance"]
    words("shard", *(f'"{key}":' for key in keys), '"float64"', '"uint16"', "true", "null", "-1", "9223372036854775807",
          "1152921504606846976", "281474976710656", "1e300", "[", "]", "{", "}", b"\xff" * 7 + b"\x7f", b"\0" * 7 + b"\x80")


def idx():
    images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 2, 3) + bytes(range(12))
    labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 2) + bytes([1, 0])
    put("idx", "plain", images + b"\0")
    put("idx", "labels", images + labels + bytes([len(labels)]))
    put("idx", "claims", gzip.compress(images[:4] + struct.pack(">3I", 2, 40_000, 40_000) + bytes(100_000), mtime=0) + b"\0")
    put("idx", "gz", gzip.compress(images, mtime=0) + b"\0")
    for code, width in ((9, 1), (0xB, 2), (0xC, 4), (0xD, 4), (0xE, 8)):
        put("idx", f"type-{code}", bytes([0, 0, code, 2]) + struct.pack(">2I", 2, 2) + bytes(4 * width) + b"\0")
    words("idx", bytes(3) + b"\1", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\x08\x03", b"\x1f\x8b\x08")


def npy_file(descr, shape, data, fortran=False):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npy():
    images, labels = npy_file("|u1", (2, 3, 2, 2), bytes(24)), npy_file("<i8", (2,), struct.pack("<2q", 1, 0))
    put("npy", "images", images + b"\0")
    put("npy", "fortran", npy_file(">f4", (2, 3), bytes(24), True) + b"\0")
    for descr, width in (("<f2", 2), ("<u2", 2), (">u4", 4), ("<u8", 8), ("|b1", 1), ("<f8", 8), ("|i1", 1)):
        put("npy", descr[1:], npy_file(descr, (2, 2), bytes(4 * width)) + b"\x08")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        put("npy", f"archive-{method}", archive({"x.npy": images, "y.npy": labels}, method) + b"\1")
    put("npy", "archive-fortran", archive({"train_x.npy": npy_file("<f4", (2, 2), bytes(16), True)}) + b"\1")
    for descr, code, values in (("<f4", "f", (-1, 1, 0, .5)), ("<i8", "q", (0, 9, 128, 255)), (">u4", "I", (0, 1, 1, 0)),
                                ("<u2", "H", (0, 9, 9, 9))):
        order = ">" if descr[0] == ">" else "<"
        for flags in (b"\0", b"\x10", b"\x38"):
            put("npy", f"values-{descr[1:]}-{flags[0]}", npy_file(descr, (1, 2, 2), struct.pack(f"{order}4{code}", *values)) + flags)
    masks = npy_file("<i4", (2, 2, 2), struct.pack("<8i", *range(8)))
    empty = npy_file("<f4", (0, 2), b"")
    put("npy", "archive-masks", archive({"train/images.npy": images, "train/masks.npy": masks, "e.npy": empty}) + b"\x09")
    words("npy", "[('a', '<f4'), ('b', '<i4', (2,))]", "'descr': ", "'fortran_order': ", "'shape': ", "True", "False", "(1,)", "9223372036854775807",
          *(f"'{kind}'" for kind in ("<f4", ">f8", "<f2", "|u1", ">u2", "<u8", "|b1", "<i8")), b"\x93NUMPY")


def archive(files, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def png(width, height, bits, colour, pixels, *chunks):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    stride = len(pixels) // height
    rows = b"".join(b"\0" + pixels[y * stride : (y + 1) * stride] for y in range(height))
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colour, 0, 0, 0))
    parts = [header, *(chunk(*each) for each in chunks), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def exif(order, orientation):
    entry = struct.pack(order + "2HIHH", 0x0112, 3, 1, orientation, 0)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def tiff(order, pixels, big=False, **tags):
    """One page of 3x2 pixels; `tags` are {name: numbers}, of which more than fit stand behind the directory."""
    numbers = {"width": 256, "height": 257, "bits": 258, "compression": 259, "kind": 262, "offsets": 273, "orientation": 274,
               "samples": 277, "rows": 278, "counts": 279, "planar": 284, "predictor": 317, "palette": 320, "tile_width": 322,
               "tile_height": 323, "tile_offsets": 324, "tile_counts": 325, "extra": 338, "format": 339, "artist": 315}
    tags = {"width": [3], "height": [2], "bits": [8], "kind": [1], **tags}
    kind = "tile_" if "tile_width" in tags else ""
    tags.setdefault(kind + "counts", [len(pixels)])
    tags[kind + "offsets"] = tags[kind + "counts"]  # as many
    head = struct.pack(order + "3HQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    inline, entry = (8, 20) if big else (4, 12)
    end = 2 + len(head) + (8 if big else 2) + entry * len(tags) + inline
    behind, rows = b"", []
    sizes = {name: 2 * len(values) for name, values in tags.items()}
    start = end + sum(size for size in sizes.values() if size > inline)
    for name, values in sorted(tags.items(), key=lambda tag: numbers[tag[0]]):
        if name in ("offsets", "tile_offsets"):
            parts = tags["counts" if name == "offsets" else "tile_counts"]
            values = [start + sum(parts[:k]) for k in range(len(parts))]
        data = struct.pack(order + f"{len(values)}H", *values)
        place = data.ljust(inline, b"\0")
        if len(data) > inline:
            place = struct.pack(order + ("Q" if big else "I"), end + len(behind))
            behind += data
        rows.append(struct.pack(order + ("2HQ" if big else "2HI"), numbers[name], 3, len(values)) + place)
    count = struct.pack(order + ("Q" if big else "H"), len(rows))
    return (b"II" if order == "<" else b"MM") + head + count + b"".join(rows) + bytes(inline) + behind + pixels


def bits(text):
    return int(text.ljust(-len(text) // 8 * -8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def bmp(width, height, bits, pixels, coding=0, behind=b""):
    offset = 54 + len(behind)
    return (b"BM" + struct.pack("<3I", offset + len(pixels), 0, offset) + struct.pack("<I2i2H", 40, width, height, 1, bits) +
            struct.pack("<6I", coding, 0, 0, 0, 0, 0) + behind + pixels)


def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def later_pictures():
    """What came after PNG and JPEG, and what turns all of them."""
    for orientation, order in ((6, "<"), (3, ">")):
        about = exif(order, orientation)
        segment = b"\xff\xe1" + struct.pack(">H", 8 + len(about)) + b"Exif\0\0" + about
        yield f"turned-jpeg-{orientation}", JPEG[:2] + segment + JPEG[2:]
        yield f"turned-png-{orientation}", png(3, 2, 8, 2, bytes(18), (b"eXIf", about))
        size = struct.pack("<I", 4)[:3] + struct.pack("<I", 3)[:3]
        yield f"turned-webp-{orientation}", riff((b"VP8X", struct.pack("<I", 8) + size), (b"VP8L", WEBPS[0][20:]), (b"EXIF", about))
    for k, data in enumerate(WEBPS):
        yield f"webp-{k}", data
    grey, rgb = bytes(range(6)), bytes(range(18))
    for end, order in (("little", "<"), ("big", ">")):
        yield f"tiff-grey-{end}", tiff(order, grey)
        yield f"tiff-long-{end}", tiff(order, grey, big=True)
        yield f"tiff-deep-{end}", tiff(order, rgb * 2, bits=[16] * 3, samples=[3], kind=[2], orientation=[6])
    yield "tiff-planes", tiff("<", rgb, bits=[8] * 3, samples=[3], kind=[2], planar=[2], counts=[6] * 3)
    yield "tiff-deflate", tiff("<", zlib.compress(rgb), bits=[8] * 3, samples=[3], kind=[2], compression=[8], predictor=[2])
    yield "tiff-lzw", tiff("<", bits("100000000" + "000000111" * 6 + "100000001"), compression=[5])
    yield "tiff-packbits", tiff("<", bytes([5, 1, 2, 3, 4, 5, 6]), compression=[32773])
    yield "tiff-fax", tiff("<", bits("11" + "000000000001" * 2), bits=[1], compression=[4], kind=[0])
    yield "tiff-jpeg", tiff("<", JPEG, width=[5], height=[4], bits=[8] * 3, samples=[3], kind=[6], compression=[7])
    yield "tiff-alpha", tiff("<", bytes(24), bits=[8] * 4, samples=[4], kind=[2], extra=[1])
    yield "tiff-palette", tiff("<", bytes(4), bits=[4], kind=[3], palette=[k * 1000 for k in range(48)])
    yield "tiff-tiles", tiff("<", bytes(512), tile_width=[16], tile_height=[16])
    yield "tiff-thumbnail", tiff("<", grey, artist=[7], format=[1])
    masks = struct.pack("<4I", 0xF800, 0x7E0, 0x1F, 0)
    yield "bmp-rgb", bmp(3, 2, 24, bytes(24))
    yield "bmp-downwards", bmp(3, -2, 32, bytes(24))
    yield "bmp-masks", bmp(3, 2, 16, bytes(16), 3, masks[:12])
    yield "bmp-alpha", bmp(3, 2, 32, bytes(24), 6, masks)
    yield "bmp-palette", bmp(3, 2, 4, bytes(8), 0, bytes(range(64)))
    yield "bmp-bilevel", bmp(3, 2, 1, bytes(8), 0, bytes(8))
    yield "bmp-old", b"BM" + struct.pack("<6I", 50, 0, 26, 12, 3 | 2 << 16, 1 | 24 << 16) + bytes(24)


def pictures():
    kinds = {"grey": png(3, 2, 8, 0, bytes(6)), "rgb": png(3, 2, 8, 2, bytes(18)), "rgba": png(3, 2, 8, 6, bytes(24)),
             "bits": png(3, 2, 1, 0, bytes(2)), "deep": png(3, 2, 16, 4, bytes(24)),
             "palette": png(3, 2, 8, 3, bytes(6), (b"PLTE", bytes(9)), (b"tRNS", bytes(2)))}
    for name, data in kinds.items():
        put("picture", name, data)
    for name, data in later_pictures():
        put("picture", name, data)
    put("picture", "jpeg", JPEG)
    put("picture", "progressive", PROGRESSIVE)
    words("picture", "IHDR", "PLTE", "tRNS", "IDAT", "IEND", "gAMA", "sBIT", "iCCP", b"\xff\xd8\xff", b"\xff\xc0", b"\xff\xc2",
          b"\xff\xc4", b"\xff\xda", b"\xff\xdd", b"\xff\xee", b"\xff\xe1", b"Exif\0\0", "eXIf", "RIFF", "WEBP", "VP8X", "VP8L",
          "VP8 ", "ALPH", "ANIM", "ANMF", "EXIF", "BM", b"II*\0", b"MM\0*", b"II+\0\x08\0", b"MM\0+\0\x08", b"\x12\x01", b"\x01\x12",
          *(struct.pack(order + "H", tag) for order in "<>" for tag in (254, 258, 259, 262, 277, 284, 320, 322, 324, 338, 339)))
    two = {"a/0.png": kinds["grey"], "b/1.png": kinds["rgb"]}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        put("zip", f"classes-{method}", archive(two, method) + b"\0")
    put("zip", "jpeg", archive({"x.jpg": JPEG, "y.png": kinds["rgba"]}) + b"\x0e")
    for name, labels in (("classes", [0, 1]), ("vectors", [[0.5, 1], [2, 3]])):
        table = {"labels": [list(row) for row in zip(two, labels)]}
        put("zip", f"stylegan-{name}", archive({**two, "dataset.json": json.dumps(table)}) + b"\1")
    for name, labels in (("classes", [0, 1]), ("vectors", [[0.5, 1], [2, 3]]), ("null", None)):
        rows = labels and [[f"{i}.png", label] for i, label in enumerate(labels)]
        put("stylegan", name, json.dumps({"labels": rows}).encode())
    words("stylegan", '{"labels":', '"0.png"', '"1.png"', "null", "[[", "9223372036854775807", "1048576", "-1", "1e999", '"shards"')
    put("zip", "bomb", archive({"a.png": bytes(200_000), **two}, zipfile.ZIP_DEFLATED) + b"\0")
    put("zip", "tail", archive({"a.png": kinds["rgba"] + bytes(100_000)}, zipfile.ZIP_DEFLATED) + b"\2")
    grey = kinds["rgba"]
    wide = grey[:8] + grey[8:16] + struct.pack(">2I", 40_000, 40_000) + grey[24:29]
    wide += struct.pack(">I", zlib.crc32(wide[12:29])) + grey[33:]
    put("zip", "claims", archive({"a.png": wide}) + b"\2")
    put("zip", "stylegan-null", archive({**two, "dataset.json": '{"labels": null}'}) + b"\1")
    words("zip", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", "dataset.json", '{"labels":', "null", "a/0.png", ".jpeg", "[[",
          "9223372036854775807", "1e999", b"\xff" * 4)


def stylegan_tables():
    rows = '[["0.png", 1], ["1.png", 0]'
    cases = {"comma": f'{{"labels": {rows},]}}', "twice": f'{{"labels": {rows}, ["0.png", 2]]}}',
             "key": f'{{"labels": {rows}], "labels": null}}', "nested": f'{{"more": {{"a": 1, "\\u0061": 2}}, "labels": {rows}]}}',
             "gone": f'{{"labels": {rows}, ["2.png", 1]]}}', "slash": '{"labels": [["./0.png", 1], [".\\\\1.png", 0]]}',
             "object": '{"labels": {"0": "cat"}}', "list": "[1, 2]", "nan": '{"labels": [["0.png", NaN], ["1.png", 1]]}',
             "big": '{"labels": [["0.png", 18446744073709551615], ["1.png", 0]]}', "deep": "[" * 70}
    for name, text in cases.items():
        put("stylegan", name, text.encode())
    put("stylegan", "mark", b'\xef\xbb\xbf{"labels": null}')
    put("stylegan", "utf16", '{"labels": null}'.encode("utf-16"))
    put("stylegan", "latin1", '{"labels": [["é.png", 1]]}'.encode("latin-1"))


def nifti_1(order="<", dtype=(4, 16), offset=352):
    code, bits = dtype
    header = bytearray(348)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, 4, 3, 2, 2, 2, 1, 1, 1)
    struct.pack_into(order + "2h", header, 70, code, bits)
    struct.pack_into(order + "8f", header, 76, *[1.0] * 8)
    struct.pack_into(order + "3f", header, 108, offset, 1, 0)
    struct.pack_into(order + "2h", header, 252, 1, 1)
    struct.pack_into(order + "12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + bytes(4) + bytes(range(24 * bits // 8))


def nifti_2():
    header = bytearray(540)
    struct.pack_into("<i8s2h8q", header, 0, 540, b"n+2\0\r\n\032\n", 2, 8, 3, 3, 2, 2, 1, 1, 1, 1)
    struct.pack_into("<8d", header, 104, *[1.0] * 8)
    struct.pack_into("<q2d", header, 168, 544, 1, 0)
    return bytes(header) + bytes(4) + bytes(range(12))


def nifti():
    for flags in range(10):
        put("nifti", f"cut-{flags}", nifti_1() + bytes([flags]))
    for dtype in ((2, 8), (256, 8), (512, 16), (8, 32), (16, 32), (64, 64)):
        put("nifti", f"type-{dtype[0]}", nifti_1(dtype=dtype) + b"\0")
    put("nifti", "swapped", nifti_1(">") + b"\0")
    put("nifti", "second", nifti_2() + b"\0")
    claims = bytearray(nifti_1())
    struct.pack_into("<8h", claims, 40, 3, 2000, 2000, 200, 1, 1, 1, 1)
    put("nifti", "claims", gzip.compress(bytes(claims) + bytes(1_000_000), mtime=0) + b"\0")
    put("nifti", "gz", gzip.compress(nifti_1(), mtime=0) + b"\x11")
    words("nifti", "n+1", b"n+2\0\r\n\032\n", b"\x5c\x01\0\0", b"\x1c\x02\0\0", b"\xff\x7f", b"\xff" * 7 + b"\x7f",
          struct.pack("<f", float("nan")), struct.pack("<f", float("inf")), b"\x1f\x8b\x08")


def smiles():
    lines = ["CC(=O)Oc1ccccc1C(=O)O", "C[C@@H](N)C(=O)O", "[13CH4]", "C%12CCCCC%12", "F/C=C/F", "[Na+].[Cl-]", "[se]1cccc1",
             "[Co@OH30+3:12]", "C1CC"]
    for i, line in enumerate(lines):
        put("smiles", str(i), line.encode())
    put("smiles_file", "lines", "\n".join(f"{line} name" for line in lines).encode())
    put("smiles_file", "gz", gzip.compress("\r\n".join(lines).encode(), mtime=0))
    put("smiles_file", "mark", b"\xef\xbb\xbfSMILES\nCC\n\nC")
    for target in ("smiles", "smiles_file"):
        words(target, "[", "]", "Br", "Cl", "@TH1", "@@", "H4", "+2", "--", ":1", "%10", "(", ")", "[nH]", ".", "\\")


def csv():
    tables = {"plain": "a,b,label\n1,2.5,cat\n-3e1,+4,dog\n5,6,cat\n", "semicolons": "x;y\r\n1,5;2,5\r\n3,25;4\r\n",
              "two-ways": "1,5;2,5\n3,5;4,5\n", "quoted": '1,"a ""b"", \nc"\n2,"d"\n3,d\n', "old": "1\t2\r3\t4\r",
              "bars": "1|2\n3|nan\n", "spaces": " 1  2\n3 4 \n", "thousands": "1,234;5\n12,345;6\n",
              "smiles": "ID,SMILES,SPLIT\n1,CCO,train\n2,C[N+],test\n"}
    for name, table in tables.items():
        for flags in (0, 2, 3, 7, 8, 24, 96):
            put("csv", f"{name}-{flags}", table.encode() + bytes([flags]))
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        for flags in (0, 3):
            put("csv", f"{coding}-{flags}", "1,2\r\n3,\u00e9\U0001f600\n4,5\n".encode(coding) + bytes([flags]))
    put("csv", "gz", gzip.compress(tables["plain"].encode(), mtime=0) + b"\0")
    words("csv", '"', '""', ",", ";", "\t", "|", "nan", "NA", "1,234", "1e5", "label", "SMILES", "SPLIT")


def manifests():
    about = {"options": {"batch": "4", "data.folder": "'ring'"}, "schema": {"fields": []}, "data": "f00d", "versions": {"saddle": "0.1.0"}}
    good = {"format": 2, "step": 5, "time": "2026-11-28T17:05:09Z", "score": None, "world_size": 1, "tensors": 1,
            "numbers": {"step": 5, "g.rate": 1e-3, "h": "nan"}, "about": about, "files": [{"file": "state", "bytes": 5, "xxh3_128": "0" * 32}]}
    cases = {"good": good, "older": {**good, "format": 1}, "newer": {**good, "format": 3}, "score": {**good, "score": -0.5},
             "twice": {**good, "files": good["files"] * 2}, "out": {**good, "files": [{**good["files"][0], "file": "../state"}]},
             "forced": {**good, "about": {**about, "forced": [{"step": 1, "differences": []}]}}, "none": {**good, "about": None}}
    for name, manifest in cases.items():
        for flag in (b"\0", b"\1"):
            put("manifest", f"{name}-{flag[0]}", flag + json.dumps(manifest).encode())
    put("manifest", "deep", b"\1" + b"[" * 70)
    words("manifest", *(f'"{key}":' for key in good), '"file":', '"bytes":', '"state"', "../", "null", "1e999", "[[", "-1",
          "9223372036854775808")


def safetensors():
    one = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    two = {**one, "b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]}}
    cases = {"one": (one, 24), "two": (two, 32), "noted": ({"__metadata__": {"x": "y"}, **one}, 24), "none": ({}, 0),
             "empty": ({"a": {"dtype": "U8", "shape": [0, 9], "data_offsets": [0, 0]}}, 0),
             "claims": ({"a": {"dtype": "F64", "shape": [1 << 61, 8], "data_offsets": [0, 0]}}, 0)}
    for name, (header, size) in cases.items():
        text = json.dumps(header).encode()
        put("safetensors", name, bytes([1, size]) + text)
        put("safetensors", f"{name}-raw", b"\0\0" + struct.pack("<Q", len(text)) + text + bytes(size))
    words("safetensors", '"dtype":', '"shape":', '"data_offsets":', '"F32"', '"I64"', '"BF16"', '"BOOL"', "[0,", "4611686018427387904",
          "18446744073709551615", "1e300", "[[", "__metadata__")


def lines():
    hello = '{"kind": "hello", "rank": 1, "token": "0123456789abcdef"}\n'
    sign = '{"kind": "sign", "step": 12, "doing": "D wait", "waiting": "barrier #7", "idle": 0.5, "limit": 2}\n'
    for name, text in {"hello": hello, "sign": sign, "both": hello + sign, "half": hello[:30], "number": hello.replace("1,", '"x",'),
                       "nested": '{"a": [[1]]}\n', "list": "[1]\n", "lines": "\n" * 40, "deep": "[" * 70 + "\n"}.items():
        for flags in (3, 2, 0x0d):
            put("line", f"{name}-{flags}", bytes([flags]) + text.encode())
    words("line", '"kind":', '"rank":', '"token":', '"step":', '"idle":', "\n", "1e999", "9223372036854775808", "null", "[[", "{")


def logs():
    good = '{"step": 3, "loss/G": 0.5, "time": "2026-11-28T17:05:09.120Z"}\n'
    for name, text in {"good": good, "later": good + good.replace("3", "9"), "none": '{"note": "x"}\n', "half": good[:20],
                       "text": good.replace("3", '"3"', 1), "float": good.replace("3", "1e300", 1), "list": "[1]\n", "crlf": good[:-1] + "\r\n",
                       "deep": "[" * 70 + "\n" + good}.items():
        put("log", name, text.encode())
    words("log", '"step":', "\n", "\r\n", "null", "1e300", "[[", "{", "}", '"step": 3')


def toml():
    recipe = '# options\nbatch = 32\non = true\nloss = "lsgan"\n[g]\nlr = 2e-4\n[data]\nfolder = \'a\'\n'
    site = 'account = "x"\nsbatch = "--qos=a --mem=0"\nsetup = """\nmodule load a\n"""\n[environment]\nA_B = "1"\n'
    others = {"dotted": 'g.lr = 1e-3\n"data"."folder" = "\\u00e9"\n', "quotes": 'a = """b""""\nc = \'\'\'d\'\'\'\'\n', "inline": "g = {lr = 1}\n",
              "list": "[[a]]\nb = [1, {c = 2}]\n", "dates": "a = 1979-05-27T07:32:00.5Z\n", "deep": "a" + ".a" * 80 + " = 1\n"}
    for name, text in {"recipe": recipe, "site": site, **others}.items():
        for flag in (b"\0", b"\1"):
            put("toml", f"{name}-{flag[0]}", text.encode() + flag)
    words("toml", "batch = ", "g.lr = ", "[g]", "[environment]", "account = ", "setup = ", '"""', "\'\'\'", "inf", "nan", "0x1F",
          "9223372036854775807", "{a.b = ", "[[", "\\u0000", "\r\n", "1979-05-27")


for make in (manifests, safetensors, lines, logs, toml, shards, idx, npy, pictures, stylegan_tables, nifti, smiles, csv):
    make()
