"""Compares the ONNX files that occ-gpu exports with occ-gpu itself, on the same images of several sizes.

    swift build -c release --product occ-gpu
    python bench/peers/check_onnx.py .build/release/occ-gpu        (onnxruntime, numpy)

Trains a tiny model of every encoder, detector, calibration, fit and method with a score of its own, of whole images and of
patches, exports it, and prints the largest difference of each output, relative to max(1, |value|); of maps, whose values
occ-gpu computes in single precision from the ordinary score on, relative to that too where it is larger. Exits with 1 above
1e-5, or where an alarm differs.
"""

import csv
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

TOLERANCE = 1e-5
SHAPES = ["--data", "builtin:shapes", "--image-size", "32", "--steps", "6", "--batch", "8", "--detector-rows", "200"]
SURFACE = ["--data", "builtin:surface", "--image-size", "64", "--steps", "6", "--batch", "8", "--detector-rows", "300"]
NARROW = ["--width", "0.125"]
PATCH = SURFACE + ["--method", "cutpaste", "--patch", "32", "--stride", "8"]
BARE = ["--padding", "none", "--stages", "3"] + NARROW
CASES = {
    "resnet10 rotation kde": SHAPES + NARROW + ["--encoder", "resnet10", "--method", "rotation", "--detector", "kde"],
    "resnet18 contrastive gaussian": SHAPES + NARROW
    + ["--encoder", "resnet18", "--method", "contrastive", "--detector", "gaussian", "--shrinkage", "0.1"],
    "resnet34 knn 3, pad": SHAPES + NARROW
    + ["--encoder", "resnet34", "--detector", "knn", "--neighbors", "3", "--fit", "pad"],
    "resnet50 svdd, crop, layers": SHAPES + NARROW
    + ["--encoder", "resnet50", "--detector", "svdd", "--fit", "crop", "--layers", "2,3,4"],
    "wideresnet ocsvm-rbf": SHAPES + NARROW + ["--encoder", "wide-resnet-16-4", "--detector", "ocsvm-rbf"],
    "resnet10 ocsvm-linear, cross": SHAPES + NARROW
    + ["--encoder", "resnet10", "--detector", "ocsvm-linear", "--calibration", "cross"],
    "resnet10 of 96 pixels, nothing held out": SURFACE + NARROW
    + ["--encoder", "resnet10", "--image-size", "96", "--hold-out", "0"],
    "patches kde": PATCH + NARROW + ["--encoder", "resnet10", "--detector", "kde"],
    "patches each gaussian": PATCH + NARROW + ["--encoder", "resnet10", "--detector", "gaussian", "--locations", "each"],
    "patches each knn, cross": PATCH + BARE
    + ["--encoder", "resnet10", "--detector", "knn", "--locations", "each", "--calibration", "cross"],
    "patches without padding kde": PATCH + BARE + ["--encoder", "resnet18", "--stages", "2", "--detector", "kde", "--stride", "6"],
    "patches without padding, layers": PATCH + BARE
    + ["--encoder", "resnet10", "--detector", "gaussian", "--shrinkage", "0.1", "--layers", "1,2,3", "--stride", "2"],
    "wideresnet patches without padding": PATCH + NARROW
    + ["--encoder", "wide-resnet-16-4", "--padding", "none", "--stages", "2", "--detector", "kde"],
}
OWN = SHAPES + NARROW + ["--encoder", "resnet10", "--head", "none"]
METHODS = {
    "autoencoder": OWN + ["--method", "autoencoder"],
    "autoencoder, lenet": OWN + ["--method", "autoencoder", "--encoder", "lenet"],
    "autoencoder of 96 pixels, pad": OWN + ["--method", "autoencoder", "--image-size", "96", "--fit", "pad"],
    "autoencoder of patches": SURFACE + NARROW
    + ["--encoder", "resnet10", "--method", "autoencoder", "--patch", "32", "--stride", "8"],
    "denoising, own": OWN + ["--method", "denoising", "--detector", "own"],
    "deep-svdd, lenet": OWN + ["--method", "deep-svdd", "--encoder", "lenet"],
    "deep-svdd-soft with a head": OWN + ["--method", "deep-svdd-soft", "--head", "16,8"],
    "deep-svdd of patches": SURFACE + NARROW
    + ["--encoder", "resnet10", "--method", "deep-svdd", "--patch", "32", "--stride", "16"],
    "outlier-exposure": OWN + ["--method", "outlier-exposure", "--outliers", "builtin:surface"],
    "rotation-exposed kde": OWN + ["--method", "rotation-exposed", "--outliers", "builtin:surface"],
    "csi": OWN + ["--method", "csi", "--head", "24,8"],
    "dagmm": OWN + ["--method", "dagmm", "--batch", "32"],
    "dagmm, lenet": OWN + ["--method", "dagmm", "--encoder", "lenet", "--batch", "32", "--components", "2"],
    "flow": OWN + ["--method", "flow"],
    "flow of three scales": OWN + ["--method", "flow", "--flow-scales", "3", "--flow-blocks", "1", "--flow-filters", "6"],
    "lenet kde": OWN + ["--encoder", "lenet", "--biases"],
    "detector flow": OWN + ["--detector", "flow", "--flow-steps", "20"],
    "detector flow, cross": OWN + ["--detector", "flow", "--flow-steps", "20", "--flow-layers", "3", "--calibration", "cross"],
}
CASES |= METHODS
SIZES = [(32, 32), (64, 64), (96, 96), (45, 70), (201, 131), (20, 24), (300, 96)]


def picture(height, width, seed):
    """A gradient with blocks of noise: bytes [height, width, 3]."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 160, height)[:, None, None] * random.random(3) + np.linspace(0, 60, width)[None, :, None]
    blocks = random.integers(0, 60, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
    return (ramp + blocks[:height, :width]).clip(0, 255).astype(np.uint8)


def run(*words):
    found = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{found.stderr}")
    return found.stdout


def difference(ours, theirs, least=1.0):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.max(np.abs(ours - theirs) / np.maximum(max(1, least), np.abs(ours))))


def compare(program, scratch, number, options, pictures):
    """The largest difference of score, p-value and map, and how many alarms differ."""
    model, onnx = os.path.join(scratch, f"run{number}"), os.path.join(scratch, f"{number}.onnx")
    run(program, "train", *options, "--math", "strict", "--device", "cpu", "--quiet", "--out", model)
    run(program, "export", "--model", model, "--onnx", onnx, "--quiet")
    # A model of patches has maps, and one of a method that scores pixels.
    session = onnxruntime.InferenceSession(onnx)
    names = [output.name for output in session.get_outputs()]
    maps = "map" in names
    if "--patch" in options and not maps:
        sys.exit(f"{options}: has no map")
    command = ["localize", "--raw", "--out", os.path.join(scratch, f"pictures{number}")] if maps else ["score"]
    rows = csv.DictReader(run(program, *command, "--model", model, "--quiet", "--device", "cpu", *pictures).splitlines())
    ours = {row["file"]: row for row in rows}
    ordinary = abs(float(session.get_modelmeta().custom_metadata_map["ordinary_score"]))
    score, p_value, localized, alarms = 0.0, 0.0, 0.0, 0
    for path, pixels in pictures.items():
        # Two at once: a batch of any number is one of the promises.
        found = dict(zip(names, session.run(None, {"images": np.stack([pixels, pixels])})))
        row = ours[path]
        score = max(score, difference(float(row["score"]), found["score"]))
        if ("p_value" in found) != (row["p_value"] != "") or ("anomalous" in found) != (row["alarm"] != ""):
            sys.exit(f"{options}: the outputs are {names}, and the row is {row}")
        if "p_value" in found:
            p_value = max(p_value, difference(float(row["p_value"]), found["p_value"]))
        if "anomalous" in found:
            alarms += int(np.sum(found["anomalous"] != (row["alarm"] == "true")))
        if maps:
            own = np.load(row["picture"].replace(".overlay.png", ".npy"))
            localized = max(localized, difference(own[None], found["map"], ordinary))
    return score, p_value, localized, alarms


def main():
    program = os.path.abspath(sys.argv[1])
    failed = False
    print(f"{'model':45s} {'score':>9s} {'p-value':>9s} {'map':>9s} {'alarms':>6s}")
    with tempfile.TemporaryDirectory() as scratch:
        pictures = {}
        for seed, (height, width) in enumerate(SIZES):
            path = os.path.join(scratch, f"{height}x{width}.ppm")
            pictures[path] = picture(height, width, seed)
            with open(path, "wb") as file:
                file.write(b"P6 %d %d 255\n" % (width, height) + pictures[path].tobytes())
        for number, (name, options) in enumerate(CASES.items()):
            score, p_value, localized, alarms = compare(program, scratch, number, options, pictures)
            failed |= not max(score, p_value, localized) <= TOLERANCE or alarms > 0
            print(f"{name:45s} {score:9.1e} {p_value:9.1e} {localized:9.1e} {alarms:6d}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
