"""The first stage and the KDE of occ-gpu in PyTorch, with the same recipe, steps and seed count: the side-by-side for AUROC.

    python bench/peers/train_torch.py --data fashion-mnist --normal 5 --method rotation --width 0.25 --steps 300 --seed 1

Prints one JSON line: {"auroc": ..., "seconds": ...}; with --log-every N a line with the loss every N steps before it.
"""

import argparse
import functools
import gzip
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from networks import Model, initialize, nt_xent, read_safetensors


def read_idx(folder, name):
    path = os.path.join(folder, name)
    opener = open if os.path.exists(path) else gzip.open
    with opener(path if os.path.exists(path) else path + ".gz", "rb") as file:
        data = file.read()
    if name.endswith("idx1-ubyte"):
        return np.frombuffer(data, np.uint8, offset=8)
    return np.frombuffer(data, np.uint8, offset=16).reshape(-1, 28, 28)


def load(folder, prefix):
    images = np.pad(read_idx(folder, f"{prefix}-images-idx3-ubyte"), ((0, 0), (2, 2), (2, 2)))
    return torch.from_numpy(np.repeat(images[:, None], 3, axis=1)), read_idx(folder, f"{prefix}-labels-idx1-ubyte")


# ---- Augmentation: cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2, each image with its own draw ------------------------


def uniform(n, low, high):
    return torch.empty(n).uniform_(low, high)


def random_crop(x, smallest=0.5):
    n, _, s, _ = x.shape
    side = torch.randint(math.ceil(smallest * s), s + 1, (n,))
    top, left = ((uniform(n, 0, 1) * (s - side + 1)).floor() for _ in range(2))
    scale = side / s
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, 0, 2] = (2 * left + side) / s - 1
    theta[:, 1, 2] = (2 * top + side) / s - 1
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), padding_mode="border", align_corners=False)


@functools.cache
def luma_weights(device):
    # Made once: a copy from the host cannot be captured in a CUDA graph.
    return torch.tensor([0.299, 0.587, 0.114], device=device).view(1, 3, 1, 1)


def luma(x):
    return (x * luma_weights(x.device)).sum(1, keepdim=True)


def shift_hue(x, shift):
    high, low = x.amax(1), x.amin(1)
    span = high - low
    safe = torch.where(span > 0, span, torch.ones_like(span))
    r, g, b = x.unbind(1)
    hue = torch.where(high == r, (g - b) / safe, torch.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe)) / 6
    hue = (hue + shift.view(-1, 1, 1)) % 1
    channels = []
    for offset in (5, 3, 1):
        k = (offset + 6 * hue) % 6
        channels.append(high - span * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def scale_saturation(x, factor):
    """HSV's saturation scaled and clipped, as tf.image.adjust_saturation does."""
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    largest = torch.where(high > low, high / (high - low).clamp_min(1e-30), torch.ones_like(high))
    return high + torch.minimum(factor, largest).clamp_min(0) * (x - high)


def jitter(x, strength=0.4):
    n = len(x)
    view = (-1, 1, 1, 1)
    amount = lambda center: uniform(n, center - strength, center + strength)  # noqa: E731
    operations = [
        lambda x: x + amount(0).view(view),
        lambda x: (m := x.mean((2, 3), keepdim=True)) + amount(1).view(view) * (x - m),
        lambda x: scale_saturation(x, amount(1).view(view)),
        lambda x: shift_hue(x, amount(0)),
    ]
    for index in torch.randperm(4, device="cpu").tolist():
        x = operations[index](x)
    return x


def either(x, y, probability):
    return torch.where((torch.rand(len(x)) < probability).view(-1, 1, 1, 1), y, x)


def augment(x):
    x = random_crop(x)
    x = either(x, x.flip(3), 0.5)
    x = jitter(x)
    return either(x, luma(x).expand_as(x), 0.2)


# ---- Training and scoring --------------------------------------------------------------------------------------------


def batches(count, batch, generator):
    while True:
        order = torch.randperm(count, generator=generator)
        for first in range(0, count - batch + 1, batch):
            yield order[first : first + batch]


def train(images, o):
    generator = torch.Generator().manual_seed(o.seed)
    rotation = o.method == "rotation"
    head = [512] * o.hidden + ([] if rotation else [128])
    model = Model(o.encoder, o.width, 32, head, 4 if rotation else 0)
    initialize(model)
    if o.weights:
        stored = read_safetensors(o.weights)
        with torch.no_grad():
            for name, parameter in model.named():
                parameter.copy_(stored[name])
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=o.learning_rate, momentum=0.9, weight_decay=3e-4)
    rotations = 4 if o.method == "da-contrastive" else 1
    source = batches(len(images) * rotations, o.batch, generator)
    model.train()
    for step in range(o.steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * o.learning_rate * (1 + math.cos(math.pi * step / o.steps))
        items = next(source)
        x = images[items // rotations].float() / 255
        if rotation:
            x = augment(x.repeat_interleave(4, 0))
            x = torch.stack([torch.rot90(x[i::4], i, (2, 3)) for i in range(4)], 1).flatten(0, 1)
            loss = F.cross_entropy(model(x), torch.arange(len(x)) % 4)
        else:
            x = torch.stack([torch.rot90(image, int(item % rotations), (1, 2)) for image, item in zip(x, items)])
            loss = nt_xent(model(torch.cat([augment(x), augment(x)])), 0.2, "cross-view")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if o.log_every and (step + 1) % o.log_every == 0:
            print(json.dumps({"step": step + 1, "loss": round(loss.item(), 4)}), flush=True)
    return model


@torch.no_grad()
def features(model, images):
    model.eval()
    return torch.cat([model.encoder(part.float() / 255) for part in images.split(256)])


def kde(train_features, test_features):
    f, t = F.normalize(train_features.double()), F.normalize(test_features.double())
    gamma = 10 / (f.shape[1] * f.var(unbiased=False))
    return -torch.cat([torch.logsumexp(2 * gamma * part @ f.T, 1) for part in t.split(1000)]) / gamma


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--normal", type=int, required=True)
    parser.add_argument("--method", choices=["rotation", "contrastive", "da-contrastive"], default="rotation")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--hidden", type=int, default=8, help="layers of 512 in the head")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--log-every", type=int, default=0, help="steps between lines with the loss")
    parser.add_argument("--weights", help="a checkpoint of occ-gpu to start from")
    parser.add_argument("--hold-out", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    o = parser.parse_args()
    o.batch = o.batch or (64 if o.method == "rotation" else 32)
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    images, labels = load(o.data, "train")
    normal = images[labels == o.normal]
    normal = normal[torch.randperm(len(normal))[: round(len(normal) * (1 - o.hold_out))]]
    start = time.monotonic()
    model = train(normal, o)
    seconds = time.monotonic() - start
    test, test_labels = load(o.data, "t10k")
    scores = kde(features(model, normal), features(model, test))
    auroc = roc_auc_score(test_labels != o.normal, scores.numpy())
    print(json.dumps({"method": o.method, "normal": o.normal, "seed": o.seed, "steps": o.steps, "auroc": auroc,
                      "seconds": round(seconds, 1), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
