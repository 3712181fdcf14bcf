"""Writes small PNG and JPEG files of every kind the reader knows, the pixels Pillow reads from them, and IDX files.

    python Tests/Fixtures/make_image_fixtures.py        (Pillow, numpy)
"""

import gzip
import json
import os
import struct

import numpy as np
from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
rng = np.random.default_rng(3)
y, x = np.mgrid[0:13, 0:17]
rgb = np.stack([x * 15, y * 19, 128 + 60 * np.sin(x + y)], 2).astype(np.uint8)
gray = rgb[..., 0]
alpha = np.dstack([rgb, (x * 15).astype(np.uint8)])
expected = {}


def keep(name, pixels):
    expected[name] = np.asarray(pixels, np.uint8).reshape(-1).tolist()


def on_black(pixels):
    a = pixels[..., 3:].astype(np.float64) / 255
    return np.rint(pixels[..., :3] * a)


def png(name, image, pixels, **options):
    image.save(os.path.join(HERE, name), **options)
    keep(name, pixels)


png("rgb.png", Image.fromarray(rgb), rgb)
png("gray.png", Image.fromarray(gray), np.repeat(gray[..., None], 3, 2))
png("gray-1bit.png", Image.fromarray(gray > 100), np.repeat(((gray > 100) * 255)[..., None], 3, 2))
palette = Image.fromarray(rgb).quantize(16)
png("palette.png", palette, np.asarray(palette.convert("RGB")))
png("rgba.png", Image.fromarray(alpha), on_black(alpha))
wide = (gray.astype(np.uint16) * 257)
png("gray-16bit.png", Image.fromarray(wide), np.repeat(gray[..., None], 3, 2))
Image.fromarray(rgb).save(os.path.join(HERE, "rgb.jpg"), quality=90, subsampling=0)
keep("rgb.jpg", Image.open(os.path.join(HERE, "rgb.jpg")).convert("RGB"))
Image.fromarray(rgb).save(os.path.join(HERE, "progressive.jpg"), quality=80, progressive=True)
keep("progressive.jpg", Image.open(os.path.join(HERE, "progressive.jpg")).convert("RGB"))
Image.fromarray(gray).save(os.path.join(HERE, "gray.jpg"), quality=90)
keep("gray.jpg", Image.open(os.path.join(HERE, "gray.jpg")).convert("RGB"))
Image.fromarray(np.dstack([rgb, gray]), "CMYK").save(os.path.join(HERE, "cmyk.jpg"))
noise = Image.fromarray(rng.integers(0, 256, (13, 17, 3), dtype=np.uint8))
noise.save(os.path.join(HERE, "noise.png"))
for side in (32, 8):  # enlarged and reduced, both without keeping the aspect
    keep(f"noise.png@{side}", noise.resize((side, side), Image.BILINEAR))

count = 6
images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
labels = np.arange(count, dtype=np.uint8) % 10
with open(os.path.join(HERE, "train-images-idx3-ubyte"), "wb") as file:
    file.write(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
with open(os.path.join(HERE, "train-labels-idx1-ubyte"), "wb") as file:
    file.write(struct.pack(">II", 2049, count) + labels.tobytes())
with open(os.path.join(HERE, "train-labels-idx1-ubyte.gz"), "wb") as file:
    file.write(gzip.compress(struct.pack(">II", 2049, count) + labels.tobytes(), mtime=0))
with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump(expected, file)
