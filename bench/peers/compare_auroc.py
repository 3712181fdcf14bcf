"""Trains the same runs with occ-gpu and with PyTorch (train_torch.py), from the same initial weights, and compares AUROC.

    python bench/peers/compare_auroc.py --data fashion-mnist --classes 5,0,8 --seeds 3 --width 0.25 --steps 300 \
        --record bench/records/auroc-fashion-mnist.jsonl

Every step sees 64 images: 16 in four rotations, or 32 pairs. The head has two hidden layers and the learning rate starts at 0.03:
the paper's eight layers at 0.01 stay at chance for the first thousands of steps. Every finished run is a line of the record; runs that are there
already are not repeated.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS = ("side", "method", "steps", "width", "normal", "seed", "recipe")
# What is trained now, and what entries without a recipe are of: with blur, and with torchvision's contrast and saturation.
RECIPES = ("released", "blurred")
BATCH = {"rotation": 16, "da-contrastive": 32}


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pair(o, method, normal, seed):
    """The AUROC of both sides."""
    with tempfile.TemporaryDirectory() as folder:
        head = "512x2" if method == "rotation" else "512x2,128"
        shared = ["--data", o.data, "--normal", str(normal), "--method", method, "--encoder", "resnet18", "--width",
                  str(o.width), "--batch", str(BATCH[method]), "--learning-rate", "0.03", "--seed", str(seed)]
        # The initial weights depend on the seed alone.
        run([o.binary, "train", *shared, "--head", head, "--steps", "0", "--max-train", "64", "--max-test", "100",
             "--out", f"{folder}/start", "--quiet"])
        ours = run([o.binary, "train", *shared, "--head", head, "--steps", str(o.steps), "--out", f"{folder}/run", "--quiet", "--json"])
        torch = run([sys.executable, f"{HERE}/train_torch.py", *shared, "--hidden", "2", "--steps", str(o.steps), "--weights",
                     f"{folder}/start/checkpoint.safetensors"])
    return {"occ-gpu": json.loads(ours)["auroc"], "pytorch": json.loads(torch)["auroc"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=".build/release/occ-gpu")
    parser.add_argument("--classes", default="5,0,8")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--record", required=True)
    parser.add_argument("--recipe", default=RECIPES[0], choices=RECIPES, help="blurred prints earlier runs and trains nothing")
    o = parser.parse_args()
    classes, seeds = [int(c) for c in o.classes.split(",")], range(1, o.seeds + 1)
    done = {}
    if os.path.exists(o.record):
        for line in open(o.record):
            entry = json.loads(line)
            done[tuple(entry.get(k, RECIPES[1]) if k == "recipe" else entry[k] for k in KEYS)] = entry["auroc"]
    for seed in seeds:
        for method in BATCH:
            for normal in classes:
                if ("pytorch", method, o.steps, o.width, normal, seed, o.recipe) in done:
                    continue
                if o.recipe != RECIPES[0]:
                    sys.exit(f"{o.record} has no run of {method}, class {normal}, seed {seed} with that recipe")
                for side, auroc in pair(o, method, normal, seed).items():
                    key = (side, method, o.steps, o.width, normal, seed, o.recipe)
                    done[key] = auroc
                    with open(o.record, "a") as file:
                        file.write(json.dumps(dict(zip(KEYS, key), auroc=auroc)) + "\n")
    print("| method | normal | occ-gpu | PyTorch | difference |\n| --- | --- | --- | --- | --- |")
    for method in BATCH:
        for normal in [*classes, None]:
            chosen = classes if normal is None else [normal]
            sides = [[100 * done[(side, method, o.steps, o.width, c, seed, o.recipe)] for c in chosen for seed in seeds]
                     for side in ("occ-gpu", "pytorch")]
            means = [statistics.mean(values) for values in sides]
            texts = [f"{mean:.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}"
                     for mean, values in zip(means, sides)]
            print(f"| {method} | {'all' if normal is None else normal} | {texts[0]} | {texts[1]} | {means[0] - means[1]:+.1f} |")


main()
