"""Pillow's view of pictures: writes goldens/pictures.json, which tests/data/pillow_test.cpp reads.

    PYTHONPATH=.deps/site LD_LIBRARY_PATH=/usr/local/cuda/lib64 python -B tests/peers/pictures.py      (pillow 13, torch 2.11)

  resize  cases: {filter, from, to, mode, source, result}; mode is Pillow's: L (bytes), F (floats), RGBA (bytes [H, W, 4],
          colours weighted by their opacity). Columns first, then rows: so did Pillow to version 12, while 13 chooses what
          is cheaper, and of bytes the clipping in between makes a difference.
  decode  cases: {name, file (base64), shape [C, H, W], bits, orientation, pixels (planes)}; of CMYK what Pillow converts to
          RGB, of an orientation other than 1 what its exif_transpose turns upright
"""

import base64
import io

import numpy
import torch
from PIL import Image, ImageOps

from golden import generator, write

FILTERS = {"box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
ORIENTATION = 274  # of EXIF's and TIFF's tags
SIZES = [((7, 5), (3, 9)), ((16, 23), (5, 4)), ((5, 6), (13, 11)), ((1, 4), (3, 1)), ((9, 9), (9, 4))]  # (H, W)


def noise(rng, *shape):
    return torch.randint(0, 256, shape, generator=rng).numpy().astype(numpy.uint8)


def resize(rng):
    for name, how in FILTERS.items():
        for (h, w), (height, width) in SIZES:
            for mode in ["L", "F"] + ["RGBA"] * (h == 7):
                source = noise(rng, h, w, 4) if mode == "RGBA" else noise(rng, h, w)
                source = source.astype(numpy.float32) / 8 if mode == "F" else source
                image = Image.fromarray(source, mode).convert("RGBa" if mode == "RGBA" else mode)
                result = numpy.asarray(image.resize((width, h), how).resize((width, height), how).convert(mode))
                yield {
                    "filter": name,
                    "from": [h, w],
                    "to": [height, width],
                    "mode": mode,
                    "source": source.flatten().tolist(),
                    "result": [round(v, 4) for v in result.flatten().tolist()],
                }


def pictures(rng):
    ramp = noise(rng, 6, 5)
    colours = Image.fromarray(noise(rng, 6, 5, 3), "RGB")
    clear = Image.fromarray(noise(rng, 6, 5, 4), "RGBA")
    smooth = Image.fromarray(numpy.add.outer(numpy.arange(16) * 5, numpy.arange(8) * 9).astype(numpy.uint8))
    palette = colours.quantize(7)
    yield "grey", Image.fromarray(ramp), {}
    yield "grey-alpha", clear.convert("LA"), {}
    yield "rgb", colours, {}
    yield "rgba", clear, {}
    yield "bilevel", Image.fromarray(ramp).convert("1"), {}
    yield "palette-1", colours.quantize(2), {"bits": 1}
    yield "palette-4", palette, {"bits": 4}
    yield "palette-8", palette, {"bits": 8}
    yield "palette-transparent", palette, {"transparency": bytes([0, 90, 255])}
    yield "grey-transparent", Image.fromarray(ramp), {"transparency": int(ramp[2, 3])}
    yield "grey-16", Image.fromarray(ramp.astype(numpy.uint16) * 251 + 3), {}
    yield "jpeg-grey", smooth, {"format": "JPEG", "quality": 90}
    yield "jpeg-rgb", Image.merge("RGB", [smooth] * 3), {"format": "JPEG", "quality": 90}
    yield "jpeg-cmyk", Image.merge("RGB", [smooth] * 3).convert("CMYK"), {"format": "JPEG", "quality": 90}
    yield "jpeg-progressive", smooth, {"format": "JPEG", "progressive": True}
    for name, how in (("none", None), ("packbits", "packbits"), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate")):
        yield f"tiff-rgb-{name}", colours, {"format": "TIFF", "compression": how}
    yield "tiff-jpeg", Image.merge("RGB", [smooth] * 3), {"format": "TIFF", "compression": "jpeg"}
    yield "tiff-fax", Image.fromarray(ramp).convert("1"), {"format": "TIFF", "compression": "group4"}
    yield "tiff-grey", Image.fromarray(ramp), {"format": "TIFF"}
    yield "tiff-grey-alpha", clear.convert("LA"), {"format": "TIFF"}
    yield "tiff-grey-16", Image.fromarray(ramp.astype(numpy.uint16) * 251 + 3), {"format": "TIFF"}
    yield "tiff-rgba", clear, {"format": "TIFF"}
    yield "tiff-palette", palette, {"format": "TIFF"}
    yield "tiff-turned", colours, {"format": "TIFF", "tiffinfo": {ORIENTATION: 8}}
    yield "webp-rgb", colours, {"format": "WEBP", "lossless": True}
    yield "webp-rgba", clear, {"format": "WEBP", "lossless": True, "exact": True}
    yield "webp-lossy", Image.merge("RGB", [smooth] * 3), {"format": "WEBP", "quality": 90}
    yield "webp-turned", colours, {"format": "WEBP", "lossless": True, "exif": turned(5)}
    yield "bmp-rgb", colours, {"format": "BMP"}
    yield "bmp-rgba", clear, {"format": "BMP"}
    yield "bmp-grey", Image.fromarray(ramp), {"format": "BMP"}
    yield "bmp-bilevel", Image.fromarray(ramp).convert("1"), {"format": "BMP"}
    yield "bmp-palette", palette, {"format": "BMP"}
    for orientation in range(2, 9):
        yield f"jpeg-turned-{orientation}", smooth, {"format": "JPEG", "quality": 90, "exif": turned(orientation)}
    yield "turned", colours, {"exif": turned(6)}


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def seen(image):
    """What a user of Pillow gets who asks for the colours, as [C, H, W]."""
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode == "CMYK":
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    pixels = numpy.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def decode(rng):
    for name, image, options in pictures(rng):
        file = io.BytesIO()
        image.save(file, **{"format": "PNG", **options})
        opened = Image.open(io.BytesIO(file.getvalue()))
        orientation = opened.getexif().get(ORIENTATION, 1)
        pixels = seen(ImageOps.exif_transpose(opened))
        if name == "grey-transparent":
            pixels = pixels[[0, 3]]
        yield {
            "name": name,
            "file": base64.b64encode(file.getvalue()).decode(),
            "shape": list(pixels.shape),
            "bits": 16 if pixels.dtype == numpy.uint16 else 8,
            "orientation": orientation,
            "pixels": pixels.flatten().tolist(),
        }


if __name__ == "__main__":
    rng = generator(5)
    write("pictures.json", {"resize": list(resize(rng)), "decode": list(decode(rng))})
