"""Times images that are scored one by one by a program that stays: occ-gpu's `score -` beside anomalib's PaDiM.

    swift build -c release --product occ-gpu
    python bench/peers/compare_latency.py --work latency --count 200        (anomalib 2, torch, safetensors, numpy, Pillow)

With `--work` images and models are kept in a folder, and found there by the next run, which then does nothing but time.

Each side is fitted on the same images and started; then it is given a path, and the next one when its answer is there. occ-gpu is
timed as `train` chooses by itself, and with `--detector padim` on the layers and channels of anomalib's and the same drawn weights
of a ResNet-18. anomalib is timed by `Engine.predict`, which it recommends, and by its `TorchInferencer`, on a model that is loaded
once. Processor time is comparable where others use the machine too. Images are drawn, half of the asked ones with a dark square, or
are files below `--data`, sorted, of which the first `--fit` are taken to be normal. AUROC shows that the drawn squares are found;
it compares nothing.
"""

import argparse
import contextlib
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

from exported import picture, run

LAYERS = (1, 2, 3)
CHANNELS = 100


def draw(folder, count, side, first, defects):
    """Files of drawn pictures, every other one with a dark square where there are defects."""
    os.makedirs(folder)
    paths = []
    for index in range(count):
        pixels = picture(side, side, 1)  # one scene, as a fixed camera sees it
        noise = np.random.default_rng(first + index)
        pixels = (pixels + noise.integers(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
        if defects and index % 2:
            top, left = noise.integers(0, side - side // 8, 2)
            pixels[top : top + side // 8, left : left + side // 8] //= 3
        paths.append(os.path.join(folder, f"{index:04d}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths


def found(folder):
    """The image files below a folder."""
    names = sorted(glob.glob(f"{folder}/**/*", recursive=True))
    return [name for name in names if name.lower().endswith((".png", ".jpg", ".jpeg"))]


# ---- anomalib ----------------------------------------------------------------------------------------------------------


def draw_weights(path):
    """Random weights of timm's ResNet-18 under torchvision's names."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    save_file(timm.create_model("resnet18", pretrained=False, zero_init_last=False).state_dict(), path)


def fit_anomalib(folder, weights, scratch):
    """Fits PaDiM with these weights: the paths of its checkpoint and of the model for TorchInferencer."""
    import torch
    from anomalib.data import Folder
    from anomalib.deploy import ExportType
    from anomalib.engine import Engine
    from anomalib.models import Padim
    from safetensors.torch import load_file

    torch.manual_seed(1)
    model = Padim(backbone="resnet18", layers=[f"layer{layer}" for layer in LAYERS], pre_trained=False, n_features=CHANNELS,
                  evaluator=False, visualizer=False)
    network, given = model.model.feature_extractor.feature_extractor, load_file(weights)
    network.load_state_dict({name: given[name] for name in network.state_dict()})
    data = Folder(name="latency", root=os.path.dirname(folder), normal_dir=os.path.basename(folder), num_workers=0,
                  test_split_mode="none", val_split_mode="from_train", val_split_ratio=0.1)
    engine = Engine(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, default_root_dir=scratch)
    engine.fit(model, datamodule=data)
    checkpoint = os.path.join(scratch, "padim.ckpt")
    engine.trainer.save_checkpoint(checkpoint)
    return checkpoint, str(engine.export(model, ExportType.TORCH, export_root=scratch))


def serve(kind, path):
    """Answers each path of standard input by a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the packages print is no answer
    if kind == "inferencer":
        from anomalib.deploy import TorchInferencer

        predict = TorchInferencer(path, device="cpu").predict
    else:
        from anomalib.engine import Engine
        from anomalib.models import Padim

        model = Padim.load_from_checkpoint(path, map_location="cpu")
        engine = Engine(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
                        default_root_dir=os.path.dirname(path))

        def predict(image):
            return engine.predict(model=model, data_path=image, return_predictions=True)[0]

    for line in sys.stdin:
        name = line.rstrip("\n")
        print(json.dumps({"file": name, "score": float(predict(name).pred_score.reshape(-1)[0])}), file=answers, flush=True)


# ---- Timing ------------------------------------------------------------------------------------------------------------


def ask(command, paths, log):
    """Starts a program and gives it paths, each when the one before is answered: seconds from the start to the first answer,
    and from each path to its answer, the scores, and the processor's seconds in all."""
    environment = os.environ | {"TRUST_REMOTE_CODE": "1"}
    begin = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
                          env=environment) as process:
        seconds, scores, first = [], [], None
        for path in paths:
            asked = time.perf_counter()
            process.stdin.write(path + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            now = time.perf_counter()
            first = first or now - begin
            if answer["file"] != path:
                sys.exit(f"{command}: {answer} to {path}")
            seconds.append(now - asked)
            scores.append(answer["score"])
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: exit code {process.returncode}")
    return first, seconds[1:], scores, usage.ru_utime + usage.ru_stime


def auroc(scores, labels):
    """The share of pairs that are in order; ties count half."""
    normal, other = (np.array([s for s, label in zip(scores, labels) if label == kind]) for kind in (0, 1))
    above = np.sign(other[:, None] - normal[None]).mean()
    return 50 * (1 + above)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=".build/release/occ-gpu")
    parser.add_argument("--data", help="a folder of images; without it they are drawn")
    parser.add_argument("--fit", type=int, default=60, help="images that are fitted on")
    parser.add_argument("--count", type=int, default=200, help="images that are asked for")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--work", help="a folder for images and models; without it they are made anew")
    parser.add_argument("--only", default="", help="time the sides alone whose name has this in it")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.serve:
        return serve(*o.serve)
    binary = os.path.abspath(o.binary)
    with contextlib.ExitStack() as stack:
        scratch = os.path.abspath(o.work) if o.work else stack.enter_context(tempfile.TemporaryDirectory())
        os.makedirs(scratch, exist_ok=True)
        log = stack.enter_context(open(os.path.join(scratch, "log"), "w"))
        plan = os.path.join(scratch, "plan.json")
        if not os.path.exists(plan):
            prepare(o, binary, scratch, plan)
        with open(plan) as file:
            made = json.load(file)

        def ours(name):
            return [binary, "score", "--model", os.path.join(scratch, name), "--device", "cpu", "--format", "jsonl", "-"]

        def theirs(kind, path):
            return [sys.executable, os.path.abspath(__file__), "--serve", kind, path]

        sides = {"occ-gpu, as train chooses": ours("chosen"), "occ-gpu, padim": ours("padim"),
                 "anomalib, padim, TorchInferencer": theirs("inferencer", made["exported"]),
                 "anomalib, padim, Engine.predict": theirs("engine", made["checkpoint"])}
        asked, labels = (made[key][: o.count] if made[key] else None for key in ("asked", "labels"))
        print(f"{len(asked)} images, {o.fit} fitted on, {o.side} x {o.side}")
        print("| | start to first answer | median | 95th percentile | all, start included | processor time of all | AUROC |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, command in ((name, command) for name, command in sides.items() if o.only in name):
            first, seconds, scores, busy = ask(command, asked, log)
            shown = f"{auroc(scores, labels):.1f} %" if labels else ""
            middle, late = 1000 * statistics.median(seconds), 1000 * np.quantile(seconds, 0.95)
            print(f"| {name} | {first:.2f} s | {middle:.1f} ms | {late:.1f} ms | {first + sum(seconds):.1f} s | {busy:.1f} s | "
                  f"{shown} |", flush=True)


def prepare(o, binary, scratch, plan):
    """Makes the images and fits both sides on them; `plan` says in the end what there is."""
    normal, labels = os.path.join(scratch, "normal"), None
    if o.data:
        files = [os.path.abspath(path) for path in found(o.data)]
        if len(files) <= o.fit:
            sys.exit(f"{o.data}: {len(files)} images, of which {o.fit} are fitted on: give a smaller --fit")
        os.makedirs(normal)
        for path in files[: o.fit]:
            os.symlink(path, os.path.join(normal, os.path.relpath(path, os.path.abspath(o.data)).replace(os.sep, "-")))
        asked = [files[o.fit + index % (len(files) - o.fit)] for index in range(o.count)]
    else:
        draw(normal, o.fit, o.side, 0, False)
        asked = draw(os.path.join(scratch, "asked"), o.count, o.side, o.fit, True)
        labels = [index % 2 for index in range(o.count)]
    weights = os.path.join(scratch, "resnet18.safetensors")
    draw_weights(weights)
    train = [binary, "train", "--data", normal, "--image-size", str(o.side), "--device", "cpu", "--quiet"]
    run(*train, "--out", os.path.join(scratch, "chosen"))
    run(*train, "--detector", "padim", "--weights", weights, "--freeze", "--layers", ",".join(map(str, LAYERS)), "--channels",
        str(CHANNELS), "--out", os.path.join(scratch, "padim"))
    with contextlib.redirect_stdout(sys.stderr):
        checkpoint, exported = fit_anomalib(normal, weights, scratch)
    with open(plan, "w") as file:
        json.dump({"asked": asked, "labels": labels, "checkpoint": checkpoint, "exported": exported}, file)


if __name__ == "__main__":
    main()
