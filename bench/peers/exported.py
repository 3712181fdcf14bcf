"""What the checks of exported models share: the models, the images, and how occ-gpu is asked."""

import csv
import os
import subprocess
import sys

import numpy as np

TOLERANCE = 1e-5
SHAPES = ["--data", "builtin:shapes", "--image-size", "32", "--steps", "6", "--batch", "8", "--detector-rows", "200"]
SURFACE = ["--data", "builtin:surface", "--image-size", "64", "--steps", "6", "--batch", "8", "--detector-rows", "300"]
NARROW = ["--width", "0.125"]
PATCH = SURFACE + ["--method", "cutpaste", "--patch", "32", "--stride", "8"]
MAPS = ["--data", "builtin:surface", "--image-size", "64", "--max-train", "60", "--steps", "0"] + NARROW
BARE = ["--padding", "none", "--stages", "3"] + NARROW
# The folder of `write_black`.
BLACK = ["--data", "black", "--image-size", "64", "--method", "cutpaste", "--patch", "16", "--stride", "8", "--steps", "0"]
BLACK += NARROW + ["--padding", "none", "--stages", "2", "--encoder", "resnet10", "--layers", "1,2"]
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
    "lenet kde": SHAPES + NARROW + ["--encoder", "lenet", "--method", "rotation", "--detector", "kde"],
    "lenet with biases, patches, layers": PATCH + NARROW
    + ["--encoder", "lenet", "--biases", "--outputs", "16", "--detector", "knn", "--layers", "2,4"],
    "patches nearest by Mahalanobis, layers": PATCH + BARE
    + ["--encoder", "resnet10", "--detector", "knn-mahalanobis", "--neighbors", "3", "--layers", "1,2,3"],
    "patches each nearest by Mahalanobis": PATCH + NARROW
    + ["--encoder", "resnet10", "--detector", "knn-mahalanobis", "--locations", "each"],
    "black parts, knn": BLACK + ["--detector", "knn", "--locations", "shared"],
    "black parts, each gaussian": BLACK + ["--detector", "gaussian", "--locations", "each"],
    "padim": MAPS + ["--encoder", "resnet18", "--detector", "padim", "--layers", "1,2,3", "--channels", "30"],
    "padim of one channel": MAPS + ["--encoder", "resnet18", "--detector", "padim", "--layers", "1,2,3", "--channels", "1"],
    "padim of all channels, pad, cross": MAPS
    + ["--encoder", "resnet10", "--detector", "padim", "--layers", "2,3", "--fit", "pad", "--calibration", "cross", "--folds", "3"],
    "padim, large stem, 96 pixels": MAPS
    + ["--encoder", "resnet18", "--stem", "large", "--normalize", "imagenet", "--image-size", "96", "--detector", "padim", "--layers", "1,3"],
    "patchcore": MAPS + ["--encoder", "resnet18", "--detector", "patchcore", "--layers", "2,3", "--coreset", "0.02"],
    "patchcore without weights, cross": MAPS
    + ["--encoder", "resnet10", "--detector", "patchcore", "--layers", "3", "--coreset", "0.1", "--support", "1", "--calibration", "cross"],
}
# What methods score by themselves, and flows: ONNX alone has them.
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
    # Covariances that have hardly been trained are next to singular, and their energies show every rounding.
    "dagmm": OWN + ["--method", "dagmm", "--batch", "32", "--steps", "60"],
    "dagmm, lenet": OWN + ["--method", "dagmm", "--encoder", "lenet", "--batch", "32", "--components", "2"],
    "flow": OWN + ["--method", "flow"],
    "flow of three scales": OWN + ["--method", "flow", "--flow-scales", "3", "--flow-blocks", "1", "--flow-filters", "6"],
    "detector flow": OWN + ["--detector", "flow", "--flow-steps", "20"],
    "detector flow, cross": OWN + ["--detector", "flow", "--flow-steps", "20", "--flow-layers", "3", "--calibration", "cross"],
}
SIZES = [(32, 32), (64, 64), (96, 96), (45, 70), (201, 131), (20, 24), (300, 96)]


def picture(height, width, seed):
    """A gradient with blocks of noise: bytes [height, width, 3]."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 160, height)[:, None, None] * random.random(3) + np.linspace(0, 60, width)[None, :, None]
    blocks = random.integers(0, 60, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
    image = (ramp + blocks[:height, :width]).clip(0, 255).astype(np.uint8)
    if seed % 2:
        image[: height // 2] = 0
    return image


def write(path, image):
    height, width, _ = image.shape
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (width, height) + image.tobytes())


def write_black(scratch):
    """A folder of images whose upper half is black."""
    folder = os.path.join(scratch, "black")
    os.makedirs(folder, exist_ok=True)
    for seed in range(1, 41, 2):
        write(os.path.join(folder, f"{seed}.ppm"), picture(64, 64, seed))
    return folder


def run(*words):
    found = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{found.stderr}")
    return found.stdout


def difference(ours, theirs, least=1.0):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.max(np.abs(ours - theirs) / np.maximum(max(1, least), np.abs(ours))))


def trained(program, scratch, number, options):
    """Trains a model: its file."""
    model = os.path.join(scratch, f"run{number}")
    if "black" in options:
        options = [write_black(scratch) if option == "black" else option for option in options]
    run(program, "train", *options, "--math", "strict", "--device", "cpu", "--quiet", "--out", model)
    return model


def scored(program, scratch, number, model, maps, pictures):
    """What occ-gpu says of the pictures, the rows by file: it localizes in them where there are maps."""
    command = ["localize", "--raw", "--out", os.path.join(scratch, f"pictures{number}")] if maps else ["score"]
    rows = csv.DictReader(run(program, *command, "--model", model, "--quiet", "--device", "cpu", *pictures).splitlines())
    return {row["file"]: row for row in rows}


def differences(row, found, maps, ordinary):
    """The largest difference of score, p-value and map from a row of occ-gpu's, and how many alarms differ."""
    if ("p_value" in found) != (row["p_value"] != "") or ("anomalous" in found) != (row["alarm"] != ""):
        sys.exit(f"the outputs are {list(found)}, and the row is {row}")
    score = difference(float(row["score"]), found["score"])
    p_value = difference(float(row["p_value"]), found["p_value"]) if "p_value" in found else 0.0
    alarms = int(np.sum(found["anomalous"] != (row["alarm"] == "true"))) if "anomalous" in found else 0
    localized = 0.0
    if maps:
        own = np.load(row["picture"].replace(".overlay.png", ".npy"))
        localized = difference(own[None], found["map"], abs(ordinary))
    return score, p_value, localized, alarms


def write_pictures(scratch):
    """Files of every size, and their pixels, by path."""
    pictures = {}
    for seed, (height, width) in enumerate(SIZES):
        path = os.path.join(scratch, f"{height}x{width}.ppm")
        pictures[path] = picture(height, width, seed)
        write(path, pictures[path])
    return pictures
