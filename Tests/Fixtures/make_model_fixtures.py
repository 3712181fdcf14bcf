"""Writes the whole-model fixtures: from weights and images that both sides compute from their names, PyTorch's losses of
ten SGD steps, the gradients of the first, features in inference mode after the last, and, before the first, the gradient
of a weighted sum of features with respect to the images; all in double precision. A case is only worth something when it is well conditioned:
the script refuses one where PyTorch's own single precision, or rounding the weights to it at random, misses the losses.

    python Tests/Fixtures/make_model_fixtures.py [CASE...]       (PyTorch 2.15, numpy)
"""

import json
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench", "peers"))
from networks import Model, nt_xent  # noqa: E402

MOMENTUM, DECAY, TEMPERATURE = 0.9, 3e-4, 0.2
# Fifty layers at random weights are chaotic: one step is all that two precisions agree on.
CASES = {
    "rotation": dict(depth="resnet18", width=0.0625, side=32, rows=64, head=[16], logits=4, objective="cross-entropy", rate=0.0002),
    "contrastive": dict(depth="resnet18", width=0.0625, side=32, rows=64, head=[12], logits=0, objective="cross-view", rate=0.0005),
    "simclr": dict(depth="resnet10", width=0.0625, side=32, rows=32, head=[24, 12], logits=0, objective="symmetric", rate=0.0002),
    "bottleneck": dict(depth="resnet50", width=0.0625, side=8, rows=16, head=[], logits=4, objective="cross-entropy", rate=1e-6, steps=1),
    "wide": dict(depth="wide-resnet-16-4", width=0.125, side=32, rows=32, head=[], logits=4, objective="cross-entropy", rate=0.0002),
    "large-stem": dict(depth="resnet10", width=0.0625, side=96, rows=8, head=[], logits=4, objective="cross-entropy", rate=0.0002),
}


def uniform(name, count):
    """Numbers in [0, 1) that depend on the name alone: SplitMix64 from the name's FNV-1a hash, upper 24 bits."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def weight(name, shape):
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if len(shape) > 1:
        return (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    return 0.5 + u if name.endswith("weight") else 0.2 * (u - 0.5)


def save(path, metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, array in tensors.items():
        kind = {"float32": "F32", "float64": "F64"}[str(array.dtype)]
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def run(case, dtype, noise=0):
    rows, side = case["rows"], case["side"]
    model = Model(case["depth"], case["width"], side, case["head"], case["logits"])
    with torch.no_grad():
        for key, parameter in model.named():
            parameter.copy_(torch.from_numpy(weight(key, tuple(parameter.shape))))
    model = model.to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 + noise * torch.randn_like(parameter)
    # NHWC, as the engine takes them.
    images = uniform("images", rows * side * side * 3).reshape(rows, side, side, 3).astype(np.float32)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(dtype)
    labels = torch.arange(rows) % 4
    optimizer = torch.optim.SGD(model.parameters(), lr=case["rate"], momentum=MOMENTUM, weight_decay=DECAY)
    losses, tensors = [], {}
    model.eval()
    x.requires_grad_()
    features = model.encoder(x)
    seed = torch.from_numpy(uniform("seed", features.numel()).astype(np.float32)).reshape(features.shape)
    (features * seed).sum().backward()
    # The last image's is enough: inference treats each by itself.
    tensors["input_gradient"] = x.grad[-1].permute(1, 2, 0).contiguous().numpy()
    x = x.detach()
    model.train()
    for step in range(case.get("steps", 10)):
        optimizer.zero_grad()
        output = model(x)
        if case["objective"] == "cross-entropy":
            loss = F.cross_entropy(output, labels)
        else:
            loss = nt_xent(output, TEMPERATURE, case["objective"])
        loss.backward()
        if step == 0:
            for key, parameter in model.named():
                tensors[f"grad/{key}"] = parameter.grad.numpy().copy()
        losses.append(loss.item())
        optimizer.step()
    model.eval()
    tensors["features"] = model.encoder(x).detach().numpy()
    return losses, tensors


def make(name, case):
    losses, tensors = run(case, torch.float64)
    single_losses, single = run(case, torch.float32)
    torch.manual_seed(0)
    trials = [single_losses] + [run(case, torch.float64, 2e-7)[0] for _ in range(12)]
    miss = max(abs(a - b) / a for trial in trials for a, b in zip(losses, trial))
    nmse = {key: ((single[key] - value) ** 2).sum() / (value**2).sum() for key, value in tensors.items()
            if (value**2).sum() > 1e-12}
    worst = max(nmse, key=nmse.get)
    print(f"{name}: losses {losses[0]:.4f} ... {losses[-1]:.4f}; rounding misses them by {miss:.1e}, "
          f"{worst} by an NMSE of {nmse[worst]:.1e}")
    assert miss < 3e-5 and nmse[worst] < 3e-5, "badly conditioned"
    tensors = {key: value.astype(np.float32) for key, value in tensors.items()}
    tensors["losses"] = np.array(losses)
    save(os.path.join(HERE, f"model-{name}.safetensors"), {"case": json.dumps(case), "torch": torch.__version__}, tensors)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name, CASES[name])
