"""Makes images of 900 x 900 like MVTec AD's and times how fast occ-gpu and Pillow load them to 256 x 256, in turn.

    swift build -c release --product occ-bench
    python bench/peers/load_images.py --photographs mvtec/bottle --threads 2        (Pillow, numpy, torch)

The photographs (PNG or JPEG in the folder or below it) are enlarged by Lanczos' filter and get a little noise, so that they
compress as a camera's pictures do. --format jpg and tif make other files than PNG.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image


def make(job):
    source, path, side, seed = job
    image = Image.open(source).convert("RGB").resize((side, side), Image.LANCZOS)
    noise = np.random.default_rng(seed).normal(0, 1, (side, side, 3))
    pixels = (np.asarray(image) + noise).clip(0, 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.endswith("jpg") else {}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", required=True, help="folder of the pictures to enlarge")
    parser.add_argument("--count", type=int, default=292)
    parser.add_argument("--side", type=int, default=900)
    parser.add_argument("--format", default="png")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--binary", default=".build/release/occ-bench")
    parser.add_argument("--keep", help="folder to make the images in, or with them from the last time")
    options = parser.parse_args()
    found = [path for kind in ("png", "jpg") for path in glob.glob(f"{options.photographs}/**/*.{kind}", recursive=True)]
    sources = sorted(path for path in found if "ground_truth" not in path)
    if not sources:
        sys.exit(f"{options.photographs}: has no photographs")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or scratch
        os.makedirs(folder, exist_ok=True)
        jobs = [
            (sources[i % len(sources)], f"{folder}/{i:03d}.{options.format}", options.side, i) for i in range(options.count)
        ]
        with ProcessPoolExecutor(options.threads) as pool:
            list(pool.map(make, [job for job in jobs if not os.path.exists(job[1])]))
        command = [options.binary, "load", "--images", folder, "--python", sys.executable]
        command += ["--threads", str(options.threads), "--repetitions", str(options.repetitions)]
        sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main()
