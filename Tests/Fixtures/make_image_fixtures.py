"""Writes small image files of every kind the reader knows, the pixels Pillow reads from them, and IDX files.

    python Tests/Fixtures/make_image_fixtures.py        (Pillow, numpy)

expected.json has the RGB bytes of each in base64, or the name of another file whose pixels are the same.
"""

import base64
import gzip
import json
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
rng = np.random.default_rng(3)
y, x = np.mgrid[0:13, 0:17]
rgb = np.stack([x * 15, y * 19, 128 + 60 * np.sin(x + y)], 2).astype(np.uint8)
gray = rgb[..., 0]
alpha = np.dstack([rgb, (x * 15).astype(np.uint8)])
expected = {}


def keep(name, pixels):
    data = base64.b64encode(np.asarray(pixels, np.uint8).tobytes()).decode()
    same = [other for other, known in expected.items() if known == data]
    expected[name] = same[0] if same else data


def on_black(pixels):
    a = pixels[..., 3:].astype(np.float64) / 255
    return np.rint(pixels[..., :3] * a)


def three(pixels):
    return np.repeat(np.asarray(pixels, np.uint8)[..., None], 3, 2)


def path(name):
    return os.path.join(HERE, name)


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def png(name, image, pixels, **options):
    image.save(path(name), **options)
    keep(name, pixels)


def as_pillow_reads(name):
    keep(name, ImageOps.exif_transpose(Image.open(path(name))).convert("RGB"))


png("rgb.png", Image.fromarray(rgb), rgb)
png("gray.png", Image.fromarray(gray), three(gray))
png("gray-1bit.png", Image.fromarray(gray > 100), three((gray > 100) * 255))
palette = Image.fromarray(rgb).quantize(16)
png("palette.png", palette, np.asarray(palette.convert("RGB")))
png("rgba.png", Image.fromarray(alpha), on_black(alpha))
wide = gray.astype(np.uint16) * 257
png("gray-16bit.png", Image.fromarray(wide), three(gray))
Image.fromarray(rgb).save(path("rgb.jpg"), quality=90, subsampling=0)
Image.fromarray(rgb).save(path("progressive.jpg"), quality=80, progressive=True)
Image.fromarray(gray).save(path("gray.jpg"), quality=90)
Image.fromarray(np.dstack([rgb, gray]), "CMYK").save(path("cmyk.jpg"))
for name in ("rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"):
    as_pillow_reads(name)
noise = Image.fromarray(rng.integers(0, 256, (13, 17, 3), dtype=np.uint8))
noise.save(path("noise.png"))
for side in (32, 8):  # enlarged and reduced
    keep(f"noise.png@{side}-stretch", noise.resize((side, side), Image.BILINEAR))
    keep(f"noise.png@{side}-crop", noise.crop((2, 0, 15, 13)).resize((side, side), Image.BILINEAR))
    padded, rows = Image.new("RGB", (side, side)), round(side * 13 / 17)
    padded.paste(noise.resize((side, rows), Image.BILINEAR), (0, (side - rows) // 2))
    keep(f"noise.png@{side}-pad", padded)

# ---- masks: a rectangle, its values by various means --------------------------------------------------------------------

defect = np.zeros((13, 17), np.uint8)
defect[4:9, 5:12] = 1
clear = np.zeros((13, 17, 4), np.uint8)
clear[..., 3] = defect * 255
Image.fromarray(clear).save(path("mask-alpha.png"))
indexed = Image.fromarray(defect)
indexed.putpalette([0, 0, 0, 64, 0, 0])  # the eighth color of PASCAL VOC
indexed.save(path("mask-palette.png"))

# ---- IDX ----------------------------------------------------------------------------------------------------------------

count = 6
images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
labels = struct.pack(">II", 2049, count) + (np.arange(count, dtype=np.uint8) % 10).tobytes()
write("train-images-idx3-ubyte", struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
write("train-labels-idx1-ubyte", labels)
write("train-labels-idx1-ubyte.gz", gzip.compress(labels, mtime=0))
with open(path("expected.json"), "w") as file:
    json.dump(expected, file, indent=0)
