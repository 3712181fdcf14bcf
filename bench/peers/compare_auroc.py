"""Trains the same runs with occ-gpu and with PyTorch (train_torch.py) and compares the mean AUROC.

    python bench/peers/compare_auroc.py --data fashion-mnist --classes 5,0,8 --seeds 3 --width 0.25 \
        --rotation-steps 150 --contrastive-steps 400 --record bench/records/auroc-fashion-mnist.jsonl

Every finished run is a line of the record; runs that are there already are not repeated.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def ours(o, method, steps, normal, seed):
    with tempfile.TemporaryDirectory() as folder:
        command = [o.binary, "train", "--data", o.data, "--normal", str(normal), "--method", method, "--encoder",
                   "resnet18", "--width", str(o.width), "--steps", str(steps), "--seed", str(seed), "--out",
                   f"{folder}/run", "--quiet", "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["auroc"]


def torch(o, method, steps, normal, seed):
    command = [sys.executable, f"{HERE}/train_torch.py", "--data", o.data, "--normal", str(normal), "--method", method,
               "--encoder", "resnet18", "--width", str(o.width), "--steps", str(steps), "--seed", str(seed)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["auroc"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=".build/release/occ-gpu")
    parser.add_argument("--classes", default="5,0,8")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--rotation-steps", type=int, default=150)
    parser.add_argument("--contrastive-steps", type=int, default=400)
    parser.add_argument("--record", required=True)
    o = parser.parse_args()
    done = {}
    if os.path.exists(o.record):
        for line in open(o.record):
            run = json.loads(line)
            done[tuple(run[k] for k in ("side", "method", "steps", "width", "normal", "seed"))] = run["auroc"]
    plans = [("rotation", o.rotation_steps), ("da-contrastive", o.contrastive_steps)]
    for seed in range(1, o.seeds + 1):
        for method, steps in plans:
            for normal in map(int, o.classes.split(",")):
                for side, run in (("occ-gpu", ours), ("pytorch", torch)):
                    key = (side, method, steps, o.width, normal, seed)
                    if key in done:
                        continue
                    done[key] = run(o, method, steps, normal, seed)
                    with open(o.record, "a") as file:
                        file.write(json.dumps(dict(zip(("side", "method", "steps", "width", "normal", "seed"), key),
                                                   auroc=done[key])) + "\n")
    print(f"{'method':16}{'normal':8}{'occ-gpu':>16}{'pytorch':>16}{'difference':>12}")
    for method, steps in plans:
        for normal in map(int, o.classes.split(",")):
            a, b = ([100 * done[(side, method, steps, o.width, normal, seed)] for seed in range(1, o.seeds + 1)]
                    for side in ("occ-gpu", "pytorch"))
            spread = [statistics.stdev(v) if len(v) > 1 else 0 for v in (a, b)]
            print(f"{method:16}{normal:<8}{statistics.mean(a):9.2f} ± {spread[0]:4.2f}{statistics.mean(b):9.2f} ± {spread[1]:4.2f}"
                  f"{statistics.mean(a) - statistics.mean(b):+12.2f}")


main()
