"""Trains CutPaste (3-way) on patches of one MVTec AD category with occ-gpu and with PyTorch + scikit-learn, from the same initial
weights and with the same recipe, and compares image and pixel AUROC.

    python bench/peers/compare_cutpaste.py --data mvtec/bottle --seeds 3 --steps 300 --record bench/records/cutpaste-bottle.jsonl

Each patch of a grid has a Gaussian of its own, with Ledoit and Wolf's shrinkage, on L2-normalized features. Runs that are in the
record already are not repeated.
"""

import argparse
import glob
import json
import math
import os
import statistics
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from networks import Model, initialize, read_safetensors
from train_torch import batches, jitter, random_crop

SIDE = 256


def read(path, mode="RGB"):
    return np.array(Image.open(path).convert(mode).resize((SIDE, SIDE), Image.BILINEAR))


def load(folder):
    train = [read(p) for p in sorted(glob.glob(f"{folder}/train/good/*.png"))]
    test, masks = [], []
    for path in sorted(glob.glob(f"{folder}/test/*/*.png")):
        defect, stem = path.split("/")[-2], os.path.basename(path)[:-4]
        test.append(read(path))
        masks.append(np.zeros((SIDE, SIDE), bool) if defect == "good" else read(f"{folder}/ground_truth/{defect}/{stem}_mask.png", "L") >= 128)
    return (torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2) for x in (train, test)), np.stack(masks)


# ---- CutPaste (Li et al., CVPR 2021, appendix A.2) -----------------------------------------------------------------------


def draw(low, high):
    return low + (high - low) * float(torch.rand(()))


def part(x, h, w):
    top, left = (int(torch.randint(0, SIZE - size + 1, ())) for size, SIZE in ((h, x.shape[1]), (w, x.shape[2])))
    return jitter(x[None, :, top : top + h, left : left + w], 0.1)[0]


def rectangle(x):
    s = x.shape[1]
    area, aspect = draw(0.02, 0.15) * s * s, draw(0.3, 1) if torch.rand(()) < 0.5 else draw(1, 1 / 0.3)
    h, w = (min(s, max(1, round(math.sqrt(v)))) for v in (area * aspect, area / aspect))
    y, patch = x.clone(), part(x, h, w)
    top, left = int(torch.randint(0, s - h + 1, ())), int(torch.randint(0, s - w + 1, ()))
    y[:, top : top + h, left : left + w] = patch
    return y


def scar(x):
    s = x.shape[1]
    scale = min(1, max(0.25, 2 * s / 256))
    sizes = [max(2, round(v * scale)) for v in (2, 16, 10, 25)]
    w, l = (int(torch.randint(sizes[i], sizes[i + 1] + 1, ())) for i in (0, 2))
    angle = draw(-math.pi / 4, math.pi / 4)
    c, n = math.cos(angle), math.sin(angle)
    down, across = (abs(c) * l + abs(n) * w) / 2, (abs(n) * l + abs(c) * w) / 2
    cy, cx = draw(down, s - down), draw(across, s - across)
    grid = torch.arange(s) + 0.5
    dy, dx = torch.meshgrid(grid - cy, grid - cx, indexing="ij")
    u, v = c * dx + n * dy, c * dy - n * dx
    alpha = (w / 2 + 0.5 - u.abs()).clamp(0, 1) * (l / 2 + 0.5 - v.abs()).clamp(0, 1)
    where = torch.stack([2 * u / w, 2 * v / l], -1)[None]
    pasted = F.grid_sample(part(x, l, w)[None], where, padding_mode="border", align_corners=False)[0]
    return x + alpha * (pasted - x)


# ---- Training and scoring ------------------------------------------------------------------------------------------------


def train(images, o, weights):
    generator = torch.Generator().manual_seed(o.seed)
    model = Model(o.encoder, o.width, o.patch, [512, 128], 3)
    initialize(model)
    stored = read_safetensors(weights)
    with torch.no_grad():
        for name, parameter in model.named():
            parameter.copy_(stored[name])
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=3e-5)
    source = batches(len(images), 32, generator)
    for step in range(o.steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.015 * (1 + math.cos(math.pi * step / o.steps))
        rows = []
        for item in next(source):
            top, left = (int(torch.randint(0, SIDE - o.patch + 1, ())) for _ in range(2))
            rows += [images[item, :, top : top + o.patch, left : left + o.patch].float() / 255] * 3
        x = jitter(random_crop(torch.stack(rows), 0.9), 0.1)
        x = torch.stack([(lambda x: x, rectangle, scar)[i % 3](row) for i, row in enumerate(x)])
        loss = F.cross_entropy(model(x), torch.arange(len(x)) % 3)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def features(model, images, o):
    """[images, cells, cells, D], normalized."""
    result = []
    for image in images:
        patches = (image.float() / 255).unfold(1, o.patch, o.stride).unfold(2, o.patch, o.stride)
        cells = patches.shape[1]
        rows = patches.permute(1, 2, 0, 3, 4).reshape(-1, 3, o.patch, o.patch)
        result.append(F.normalize(torch.cat([model.encoder(part) for part in rows.split(64)])).reshape(cells, cells, -1))
    return torch.stack(result).double().numpy()


def score(fit, held, test):
    """-log density of each patch's own Gaussian, for the held-out and the test images."""
    d, cells = fit.shape[-1], fit.shape[1]
    result = [np.empty(x.shape[:3]) for x in (held, test)]
    for i in range(cells):
        for j in range(cells):
            model = LedoitWolf().fit(fit[:, i, j])
            covariance = model.covariance_ + 1e-6 * np.eye(d)
            constant = 0.5 * d * math.log(2 * math.pi) + 0.5 * np.linalg.slogdet(covariance)[1]
            inverse = np.linalg.inv(covariance)
            for scores, x in zip(result, (held, test)):
                z = x[:, i, j] - model.location_
                scores[:, i, j] = 0.5 * np.einsum("nd,de,ne->n", z, inverse, z) + constant
    return result


def maps(scores, o):
    """Gaussian weights about the patches' centers that sum to one, on a scale that is logarithmic far above."""
    positions = np.arange(scores.shape[1]) * o.stride
    pixels = np.arange(SIDE)[:, None]
    weights = np.exp(-0.5 * ((pixels + 0.5 - positions - o.patch / 2) / (o.patch * 10 / 32)) ** 2)
    weights *= (positions <= pixels) & (pixels < positions + o.patch)
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("yi,nij,xj->nyx", weights, scores, weights)


def with_torch(o, weights):
    torch.manual_seed(o.seed)
    (images, test), masks = load(o.data)
    order = torch.randperm(len(images))
    cut = round(0.9 * len(images))
    model = train(images[order[:cut]], o, weights)
    fit, held, found = (features(model, x, o) for x in (images[order[:cut]], images[order[cut:]], test))
    held_scores, scores = score(fit, held, found)
    ordinary, alarm = np.median(held_scores), held_scores.max((1, 2)).max()
    bent = maps(np.arcsinh((scores - ordinary) / (alarm - ordinary)), o)
    return {"image": roc_auc_score(masks.any((1, 2)), scores.max((1, 2))), "pixel": roc_auc_score(masks.ravel(), bent.ravel())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=".build/release/occ-gpu")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--encoder", default="resnet10")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--stride", type=int, default=16)
    parser.add_argument("--record", required=True)
    o = parser.parse_args()
    done = {}
    if os.path.exists(o.record):
        for line in open(o.record):
            entry = json.loads(line)
            done[entry["side"], entry["steps"], entry["seed"]] = entry
    for seed in range(1, o.seeds + 1):
        if ("pytorch", o.steps, seed) in done:
            continue
        o.seed = seed
        with tempfile.TemporaryDirectory() as folder:
            shared = [o.binary, "train", "--data", o.data, "--image-size", str(SIDE), "--method", "cutpaste-3way", "--patch",
                      str(o.patch), "--stride", str(o.stride), "--locations", "each", "--detector", "gaussian", "--encoder",
                      o.encoder, "--width", str(o.width), "--seed", str(seed), "--quiet", "--json"]
            ours = json.loads(subprocess.run([*shared, "--steps", str(o.steps), "--out", f"{folder}/run"], check=True,
                                             capture_output=True, text=True).stdout)
            subprocess.run([*shared, "--steps", "0", "--max-train", "8", "--max-test", "50", "--stride", "64", "--out",
                            f"{folder}/start"], check=True, capture_output=True)
            theirs = with_torch(o, f"{folder}/start/checkpoint.safetensors")
        for side, values in (("occ-gpu", {"image": ours["auroc"], "pixel": ours["pixelAUROC"]}), ("pytorch", theirs)):
            entry = {"side": side, "data": os.path.basename(o.data), "steps": o.steps, "seed": seed, **values}
            done[side, o.steps, seed] = entry
            with open(o.record, "a") as file:
                file.write(json.dumps(entry) + "\n")
    print("| | occ-gpu | PyTorch | difference |\n| --- | --- | --- | --- |")
    for kind in ("image", "pixel"):
        sides = [[100 * done[side, o.steps, seed][kind] for seed in range(1, o.seeds + 1)] for side in ("occ-gpu", "pytorch")]
        means = [statistics.mean(values) for values in sides]
        texts = [f"{mean:.1f} ± {statistics.stdev(v) if len(v) > 1 else 0:.1f}" for mean, v in zip(means, sides)]
        print(f"| {kind} AUROC | {texts[0]} | {texts[1]} | {means[0] - means[1]:+.1f} |")


if __name__ == "__main__":
    main()
