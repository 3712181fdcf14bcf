"""Compares the ONNX files that occ-gpu exports with occ-gpu itself, on the same images of several sizes.

    swift build -c release --product occ-gpu
    python bench/peers/check_onnx.py .build/release/occ-gpu        (onnxruntime, numpy)

Trains a tiny model of every encoder, detector, calibration, fit and method with a score of its own, of whole images and of
patches, exports it, and prints the largest difference of each output, relative to max(1, |value|); of maps, whose values
occ-gpu computes in single precision from the ordinary score on, relative to that too where it is larger. Exits with 1 above
1e-5, or where an alarm differs. Each export checks itself too, by the library of the same package.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from exported import CASES, METHODS, TOLERANCE, differences, scored, trained, write_pictures

LIBRARY = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")


def export(program, model, path):
    """Exports a model, which must say that it was checked."""
    words = [program, "export", "--model", model, "--onnx", path]
    found = subprocess.run(words, env=os.environ | {"OCC_ONNXRUNTIME_PATH": LIBRARY}, capture_output=True, text=True)
    if found.returncode != 0 or f"checked by ONNX Runtime {onnxruntime.__version__}" not in found.stderr:
        sys.exit(f"{' '.join(words)}\n{found.stderr}")


def compare(program, scratch, number, options, pictures):
    """The largest difference of score, p-value and map, and how many alarms differ."""
    model, onnx = trained(program, scratch, number, options), os.path.join(scratch, f"{number}.onnx")
    export(program, model, onnx)
    session = onnxruntime.InferenceSession(onnx)
    ordinary = float(session.get_modelmeta().custom_metadata_map["ordinary_score"])
    names = [output.name for output in session.get_outputs()]
    # A model of patches or of an encoder's maps has maps, and one of a method that scores pixels.
    maps = "map" in names
    if not {"--patch", "padim", "patchcore"}.isdisjoint(options) and not maps:
        sys.exit(f"{options}: has no map")
    rows = scored(program, scratch, number, model, maps, pictures)
    all = []
    for path, pixels in pictures.items():
        # Two at once: a batch of any number is one of the promises.
        found = dict(zip(names, session.run(None, {"images": np.stack([pixels, pixels])})))
        all.append(differences(rows[path], found, maps, ordinary))
    return [max(values) for values in zip(*all)]


def main():
    program = os.path.abspath(sys.argv[1])
    failed = False
    print(f"{'model':45s} {'score':>9s} {'p-value':>9s} {'map':>9s} {'alarms':>6s}")
    with tempfile.TemporaryDirectory() as scratch:
        pictures = write_pictures(scratch)
        for number, (name, options) in enumerate((CASES | METHODS).items()):
            score, p_value, localized, alarms = compare(program, scratch, number, options, pictures)
            failed |= not max(score, p_value, localized) <= TOLERANCE or alarms > 0
            print(f"{name:45s} {score:9.1e} {p_value:9.1e} {localized:9.1e} {alarms:6d}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
