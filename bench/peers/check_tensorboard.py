"""Compares the event files of `occ-gpu train --tensorboard` with metrics.jsonl and the evaluation, as TensorBoard reads them.

    swift build -c release --product occ-gpu
    python bench/peers/check_tensorboard.py .build/release/occ-gpu        (tensorboard, which brings pillow)

Trains a small model of patches, kills it by SIGKILL where its events are ahead of its checkpoint, lets SIGTERM stop it once, trains
it to its end, and runs the finished command again. Exits with 1 where a step is missing, there twice or has another value, where
the AUROCs differ, or where a picture is none.
"""

import glob
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STEPS = 400
OPTIONS = [
    "--data", "builtin:surface", "--image-size", "64", "--patch", "32", "--method", "cutpaste", "--encoder", "resnet10",
    "--width", "0.0625", "--batch", "4", "--steps", str(STEPS), "--detector-rows", "300", "--max-train", "40", "--max-test", "40",
    "--log-every", "2", "--device", "cpu", "--quiet", "--json",
]
SCALARS = {
    "training/loss": "loss", "training/learning_rate": "learning_rate", "training/images_per_second": "images_per_second",
    "collapse/effective_rank": "effective_rank", "collapse/spread": "spread", "collapse/gradient_norm": "gradient_norm",
}
EVALUATION = {
    "evaluation/auroc": "auroc", "evaluation/average_precision": "averagePrecision",
    "evaluation/pixel_auroc": "pixelAUROC", "evaluation/aupro": "aupro", "evaluation/auroc_raw_pixels": "rawPixelAUROC",
}


def read(folder):
    events = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def records(run):
    path = os.path.join(run, "metrics.jsonl")
    # A line that is not whole yet is none.
    lines = open(path).read().split("\n")[:-1] if os.path.exists(path) else []
    return [json.loads(line) for line in lines]


def interrupt(command, run, sign, more, *options):
    """Sends a signal once `more` further records are written; the exit code."""
    before = len(records(run))
    process = subprocess.Popen(command + list(options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(records(run)) < before + more:
        time.sleep(0.001)
    process.send_signal(sign)
    return process.wait()


def compare(events, run, evaluation):
    rows = records(run)
    for tag, key in SCALARS.items():
        found = events.Scalars(tag)
        assert [event.step for event in found] == [row["step"] for row in rows], (tag, [event.step for event in found])
        # The rate is rounded in metrics.jsonl.
        tolerance = 1 if key == "images_per_second" else 1e-6
        values = np.array([event.value for event in found]), np.array([row[key] for row in rows])
        assert np.all(np.abs(values[0] - values[1]) <= tolerance * np.maximum(1, np.abs(values[1]))), tag
    for tag, key in EVALUATION.items():
        (found,) = events.Scalars(tag)
        assert found.step == STEPS and abs(found.value - evaluation[key]) < 1e-6, (tag, found, evaluation[key])
    pictures = [tag for tag in events.Tags()["images"] if tag.startswith("maps/")]
    assert len(pictures) == 6, pictures
    for tag in pictures:
        (found,) = events.Images(tag)
        picture = Image.open(io.BytesIO(found.encoded_image_string))
        picture.load()
        assert picture.format == "PNG" and picture.size == (found.width, found.height), tag
    return len(rows), len(pictures)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        run, folder = os.path.join(scratch, "run"), os.path.join(scratch, "events")
        command = [program, "train", *OPTIONS, "--out", run, "--tensorboard", folder]
        stopped = interrupt(command, run, signal.SIGTERM, 10, "--checkpoint-seconds", "1000")
        assert stopped == 75, stopped
        killed = interrupt(command, run, signal.SIGKILL, 20, "--checkpoint-seconds", "1000")
        assert killed == -signal.SIGKILL, killed
        ahead = max(event.step for event in read(folder).Scalars("training/loss"))
        evaluation = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows, pictures = compare(read(folder), run, evaluation)
        files = len(glob.glob(os.path.join(folder, "*tfevents*")))
        subprocess.run(command, check=True, capture_output=True)
        compare(read(folder), run, evaluation)
        print(f"TensorBoard reads {rows} steps and {pictures} pictures from {files} files; killed after step {ahead}, no step twice")


if __name__ == "__main__":
    main()
