"""Compares the PyTorch modules that occ-gpu exports with occ-gpu itself, on the same images of several sizes.

    swift build -c release --product occ-gpu
    python bench/peers/check_torch.py .build/release/occ-gpu        (torch, safetensors, numpy)

The models are those of check_onnx.py, and so is what is printed; and of features the largest
difference, relative to the largest feature of the image. Exits with 1 above
1e-5, or where an alarm differs.
"""

import importlib.util
import json
import os
import sys
import tempfile

import numpy as np
import torch
from exported import CASES, TOLERANCE, difference, differences, run, scored, trained, write_pictures


def load(folder, number):
    """The model of an exported module."""
    spec = importlib.util.spec_from_file_location(f"exported{number}", os.path.join(folder, "occ_model.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def compare(program, scratch, number, options, pictures):
    """The largest difference of features, score, p-value and map, how many alarms differ, and the module's lines."""
    maps = not {"--patch", "padim", "patchcore"}.isdisjoint(options)
    model = trained(program, scratch, number, options)
    rows = scored(program, scratch, number, model, maps, pictures)
    folder, features = os.path.join(scratch, f"torch{number}"), os.path.join(scratch, f"{number}.npy")
    run(program, "export", "--model", model, "--torch", folder, "--quiet")
    run(program, "embed", "--model", model, "--device", "cpu", "--quiet", "--out", features, *pictures)
    embedded = np.load(features).reshape(len(pictures), -1)
    with open(os.path.join(folder, "occ_model.py")) as file:
        lines = len(file.readlines())
    network = load(folder, number)
    with open(os.path.join(folder, "occ_model.safetensors"), "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        ordinary = float(json.loads(file.read(size))["__metadata__"]["ordinary_score"])
    all = []
    for own, (path, pixels) in zip(embedded, pictures.items()):
        # Two at once: a batch of any number is one of the promises.
        found = {name: value.numpy() for name, value in network(torch.from_numpy(np.stack([pixels, pixels]))).items()}
        both = found["features"].reshape(2, -1)
        all.append((difference(own[None], both, np.abs(own).max()), *differences(rows[path], found, maps, ordinary)))
    return [max(values) for values in zip(*all)], lines


def main():
    program = os.path.abspath(sys.argv[1])
    failed = False
    print(f"{'model':45s} {'features':>9s} {'score':>9s} {'p-value':>9s} {'map':>9s} {'alarms':>6s} {'lines':>5s}")
    with tempfile.TemporaryDirectory() as scratch:
        pictures = write_pictures(scratch)
        for number, (name, options) in enumerate(CASES.items()):
            values, lines = compare(program, scratch, number, options, pictures)
            failed |= not max(values[:4]) <= TOLERANCE or values[4] > 0
            print(f"{name:45s} " + " ".join(f"{value:9.1e}" for value in values[:4]) + f" {values[4]:6d} {lines:5d}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
