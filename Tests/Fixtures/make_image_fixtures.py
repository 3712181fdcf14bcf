"""Writes small image files of every kind the reader knows, the pixels Pillow reads from them, and IDX files.

    python Tests/Fixtures/make_image_fixtures.py        (Pillow, numpy)

expected.json has the RGB bytes of each in base64, or the name of another file whose pixels are the same.
"""

import base64
import gzip
import json
import os
import struct

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

# ---- JPEG of four inks, and turned ---------------------------------------------------------------------------------------

adobe = read("cmyk.jpg").index(b"Adobe")
ycck = bytearray(read("cmyk.jpg"))
ycck[adobe + 11] = 2
write("ycck.jpg", ycck)
as_pillow_reads("ycck.jpg")
# Without Adobe's marker the inks are as they are; Pillow takes them for inverted.
write("cmyk-plain.jpg", read("cmyk.jpg")[: adobe - 4] + read("cmyk.jpg")[adobe + 12 :])
inks = 255 - np.asarray(Image.open(path("cmyk-plain.jpg")))
keep("cmyk-plain.jpg", Image.fromarray(inks, "CMYK").convert("RGB"))

for turn in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(rgb).save(path(f"turned-{turn}.jpg"), quality=90, subsampling=0, exif=exif)
    as_pillow_reads(f"turned-{turn}.jpg")
for name, options in (("png", {}), ("webp", {"lossless": True}), ("tif", {})):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(path(f"turned-6.{name}"), exif=exif, **options)
    keep(f"turned-6.{name}", np.rot90(rgb, -1))

# ---- BMP ----------------------------------------------------------------------------------------------------------------

colors = np.array([[i * 16, 255 - i * 13, (i * 71) % 256] for i in range(16)], np.uint8)
index = (x + y) % 16


def packed(indices, bits):
    rows = []
    for row in indices:
        digits = "".join(format(int(value), f"0{bits}b") for value in row)
        rows.append(int(digits.ljust(-(-len(digits) // 8) * 8, "0"), 2).to_bytes(-(-len(digits) // 8), "big"))
    return rows


def bmp(name, pixels, bits, data, compression=0, header=40, palette=b"", masks=b"", top_down=False):
    height = -13 if top_down else 13
    if header == 12:
        info = struct.pack("<IHHHH", 12, 17, 13, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, 17, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
        info = (info + masks).ljust(header, b"\0")
    offset = 14 + len(info) + len(palette)
    write(name, b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + palette + data)
    keep(name, pixels)
    if name not in ("alpha.bmp", "moves.bmp"):
        read_by_pillow = np.asarray(Image.open(path(name)).convert("RGB")).astype(int)
        assert abs(read_by_pillow - pixels).max() <= 1, name


def rows_of(rows, top_down=False):
    padded = [row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows]
    return b"".join(padded if top_down else padded[::-1])


def bgr(pixels):
    return [row[:, ::-1].tobytes() for row in pixels]


quads = b"".join(bytes(c[::-1]) + b"\0" for c in colors)
bmp("rgb24.bmp", rgb, 24, rows_of(bgr(rgb)))
bmp("top-down.bmp", rgb, 24, rows_of(bgr(rgb), True), top_down=True)
bmp("palette8.bmp", colors[index], 8, rows_of(packed(index, 8)), palette=quads)
bmp("palette4.bmp", colors[index], 4, rows_of(packed(index, 4)), palette=quads)
bmp("palette1.bmp", colors[index % 2], 1, rows_of(packed(index % 2, 1)), palette=quads[:8])
bmp("os2.bmp", colors[index], 4, rows_of(packed(index, 4)), header=12, palette=b"".join(bytes(c[::-1]) for c in colors))


def scaled(values, bits):
    return np.rint(values * 255.0 / (2**bits - 1))


fives = rgb >> 3
words = fives[..., 0].astype("<u2") << 10 | fives[..., 1].astype("<u2") << 5 | fives[..., 2]
bmp("555.bmp", scaled(fives, 5), 16, rows_of([row.astype("<u2").tobytes() for row in words]))
six = rgb[..., 1] >> 2
words = fives[..., 0].astype("<u2") << 11 | six.astype("<u2") << 5 | fives[..., 2]
bmp(
    "565.bmp", np.dstack([scaled(fives[..., 0], 5), scaled(six, 6), scaled(fives[..., 2], 5)]), 16,
    rows_of([row.astype("<u2").tobytes() for row in words]), 3, 56, masks=struct.pack("<IIII", 0xF800, 0x7E0, 0x1F, 0),
)
four = np.dstack([alpha[..., 2], alpha[..., 1], alpha[..., 0], alpha[..., 3]])
bmp("32.bmp", rgb, 32, rows_of([row.tobytes() for row in four]))
bmp(
    "alpha.bmp", on_black(alpha), 32, rows_of([row.tobytes() for row in four]), 3, 108,
    masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
)


def runs8(row):  # a run, a literal stretch, and the rest in runs of one
    literal = bytes(row[3:8].tolist())
    return bytes([3, row[0], 0, 5]) + literal + b"\0" + b"".join(bytes([1, v]) for v in row[8:]) + b"\0\0"


steps = index.copy()
steps[:, :3] = 5
bmp("rle8.bmp", colors[steps], 8, b"".join(runs8(row) for row in steps[::-1]) + b"\0\1", 1, palette=quads)
nibbles = steps.copy()
nibbles[:, 8:] = np.where(np.arange(9) % 2, 7, 2)
data = b"".join(
    bytes([3, 0x55, 0, 5]) + packed([row[3:8]], 4)[0] + b"\0" + bytes([9, 0x27]) + b"\0\0" for row in nibbles[::-1]
)
bmp("rle4.bmp", colors[nibbles], 4, data + b"\0\1", 2, palette=quads)
# Two rows of color 3 at the right end, after a move; elsewhere the first color.
moved = np.zeros((13, 17), int)
moved[[10, 12], 12:] = 3
bmp("moves.bmp", colors[moved], 8, b"\0\2\x0c\0\5\3\0\0\0\2\x0c\1\5\3\0\1", 1, palette=quads)

# ---- PNM ----------------------------------------------------------------------------------------------------------------


def pnm(name, header, data, pixels):
    write(name, header.encode() + data)
    keep(name, pixels)


def as_text(values):
    return "\n".join(" ".join(str(int(v)) for v in row.reshape(-1)) for row in values).encode()


black = gray < 100
digits = "\n".join("".join("01"[int(bit)] for bit in row) for row in black)
pnm("p1.pbm", "P1\n# bits\n17 13\n", digits.encode(), three(np.where(black, 0, 255)))
pnm("p2.pgm", "P2 17 # wide\n13\n15\n", as_text(gray // 17), three(gray // 17 * 17))
pnm("p3.ppm", "P3\n17 13\n255\n", as_text(rgb), rgb)
pnm("p4.pbm", "P4\n17 13\n", b"".join(packed(black, 1)), three(np.where(black, 0, 255)))
pnm("p5.pgm", "P5\n17 13\n255\n", gray.tobytes(), three(gray))
pnm("p6.ppm", "P6\n#\n17 13\n255\n", rgb.tobytes(), rgb)
pnm("16bit.pgm", "P5\n17 13\n65535\n", wide.astype(">u2").tobytes(), three(gray))
twelve = np.rint(gray.astype(float) / 255 * 4095).astype(">u2")
pnm("12bit.pgm", "P5\n17 13\n4095\n", twelve.tobytes(), three(np.rint(twelve / 4095.0 * 255)))

# ---- TIFF ---------------------------------------------------------------------------------------------------------------


def tiff(name, image, pixels, **options):
    image.save(path(name), **options)
    keep(name, pixels)


def tagged(name, tags, blocks, pixels, order="<"):
    """A TIFF of these tags (number: type and values) and strips or tiles."""
    tags = dict(tags)
    offsets, at = [], 8
    for block in blocks:
        offsets.append(at)
        at += len(block)
    tiled = 322 in tags
    tags[324 if tiled else 273] = ("I", offsets)
    tags[325 if tiled else 279] = ("I", [len(block) for block in blocks])
    at += at % 2
    entries, extra, after = b"", b"", at + 2 + 12 * len(tags) + 4
    for number, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}{kind}", *values)
        entries += struct.pack(f"{order}HHI", number, {"H": 3, "I": 4}[kind], len(values))
        if len(data) <= 4:
            entries += data.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", after + len(extra))
            extra += data
    body = b"".join(blocks)
    body += b"\0" * (at - 8 - len(body))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    write(name, magic + struct.pack(f"{order}I", at) + body + struct.pack(f"{order}H", len(tags)) + entries + b"\0" * 4 + extra)
    if pixels is not None:
        keep(name, pixels)


def tags(bits, photometric, samples, **more):
    result = {256: ("I", [17]), 257: ("I", [13]), 258: ("H", [bits] * samples), 259: ("H", [1])}
    result |= {262: ("H", [photometric]), 277: ("H", [samples]), 278: ("I", [13])}
    return result | {int(number[1:]): value for number, value in more.items()}


for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    tiff(f"{compression}.tif", Image.fromarray(rgb), rgb, compression=compression)
tiff("gray.tif", Image.fromarray(gray), three(gray))
tiff("16bit.tif", Image.fromarray(wide), three(gray), compression="tiff_lzw")
tiff("group4.tif", Image.fromarray(gray > 100), three((gray > 100) * 255), compression="group4")
tiff("palette.tif", palette, np.asarray(palette.convert("RGB")))
tiff("alpha.tif", Image.fromarray(alpha), on_black(alpha))
Image.fromarray(rgb).save(path("jpeg.tif"), compression="jpeg", quality=95)
as_pillow_reads("jpeg.tif")
Image.fromarray(rgb).save(path("two-pages.tif"), save_all=True, append_images=[Image.fromarray(255 - rgb)])
keep("two-pages.tif", rgb)
tagged("white-is-zero.tif", tags(8, 0, 1), [gray.tobytes()], three(255 - gray))
tagged("big-endian.tif", tags(16, 2, 3), [(rgb.astype(">u2") * 257).tobytes()], rgb, ">")
tagged("strips.tif", tags(8, 2, 3, t278=("I", [5])), [rgb[a : a + 5].tobytes() for a in (0, 5, 10)], rgb)
tagged("planes.tif", tags(8, 2, 3, t284=("H", [2])), [np.ascontiguousarray(rgb[..., c]).tobytes() for c in range(3)], rgb)
tagged("2bit.tif", tags(2, 1, 1), [b"".join(packed(gray >> 6, 2))], three((gray >> 6) * 85))
padded = np.zeros((16, 32, 3), np.uint8)
padded[:13, :17] = rgb
tiles = [padded[:, a : a + 16] for a in (0, 16)]
tile = {"t322": ("I", [16]), "t323": ("I", [16])}
tagged("tiles.tif", tags(8, 2, 3, **tile), [np.ascontiguousarray(t).tobytes() for t in tiles], rgb)
tagged(
    "tiled-planes.tif", tags(8, 2, 3, t284=("H", [2]), **tile),
    [np.ascontiguousarray(t[..., c]).tobytes() for c in range(3) for t in tiles], rgb,
)
laid = on_black(alpha).astype(np.uint8)
tagged("on-black.tif", tags(8, 2, 4, t338=("H", [1])), [np.dstack([laid, alpha[..., 3]]).tobytes()], laid)
# Not read.
Image.fromarray(gray.astype(np.float32)).save(path("float.tif"))
Image.fromarray(np.dstack([rgb, gray]), "CMYK").save(path("cmyk.tif"))
tagged("five-channels.tif", tags(8, 1, 5), [bytes(13 * 17 * 5)], None)

# ---- WebP ---------------------------------------------------------------------------------------------------------------

Image.fromarray(rgb).save(path("lossy.webp"), quality=90)
as_pillow_reads("lossy.webp")
Image.fromarray(rgb).save(path("lossless.webp"), lossless=True)
as_pillow_reads("lossless.webp")
Image.fromarray(alpha).save(path("alpha.webp"), lossless=True, exact=True)
keep("alpha.webp", on_black(alpha))
Image.fromarray(rgb).save(path("animated.webp"), save_all=True, append_images=[Image.fromarray(255 - rgb)], duration=100)

# ---- IDX ----------------------------------------------------------------------------------------------------------------

count = 6
images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
labels = struct.pack(">II", 2049, count) + (np.arange(count, dtype=np.uint8) % 10).tobytes()
write("train-images-idx3-ubyte", struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
write("train-labels-idx1-ubyte", labels)
write("train-labels-idx1-ubyte.gz", gzip.compress(labels, mtime=0))
with open(path("expected.json"), "w") as file:
    json.dump(expected, file, indent=0)
