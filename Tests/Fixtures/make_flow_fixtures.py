"""Writes flow-realnvp.safetensors: from weights, images and noise that both sides compute from names and counters, PyTorch's
losses of ten SGD steps of RealNVP, the gradients of the first, and each image's bits per dimension in inference mode after
the last; all in double precision. As make_model_fixtures.py does, the script refuses a case that rounding misses.

    python Tests/Fixtures/make_flow_fixtures.py       (PyTorch 2.13, numpy)
"""

import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

from make_model_fixtures import DECAY, HERE, MOMENTUM, save, uniform, weight

CASE = dict(rows=16, side=8, scales=2, blocks=1, filters=8, rate=2e-4)
SEED, MARGIN, STREAM = 1, 0.05, 150


def philox(step, sample, stream):
    """Philox4x32-10 of arrays of samples and streams: four arrays of 32-bit numbers."""
    sample, stream = np.broadcast_arrays(np.uint64(sample), np.uint64(stream))
    mask, c = np.uint64(0xFFFFFFFF), [np.full(sample.shape, step, np.uint64), np.zeros(sample.shape, np.uint64), sample, stream]
    k0, k1 = SEED, 0
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c


def noise(step, rows, size):
    quads = np.arange((size + 3) // 4, dtype=np.uint64)
    numbers = philox(step, np.arange(rows)[:, None], np.uint64(STREAM) + ((quads + np.uint64(1)) << np.uint64(12))[None])
    u = np.stack([(v >> np.uint64(8)).astype(np.float64) / 2**24 for v in numbers], -1)
    return u.reshape(rows, -1)[:, :size]


class Network(torch.nn.Module):
    def __init__(self, channels, filters, blocks):
        super().__init__()
        conv = lambda i, o, k: torch.nn.Conv2d(i, o, k, padding=k // 2, bias=False)  # noqa: E731
        self.conv = conv(channels, filters, 3)
        self.block = torch.nn.ModuleList(
            torch.nn.ModuleDict(dict(bn1=torch.nn.BatchNorm2d(filters), conv1=conv(filters, filters, 3),
                                     bn2=torch.nn.BatchNorm2d(filters), conv2=conv(filters, filters, 3)))
            for _ in range(blocks))
        self.bn = torch.nn.BatchNorm2d(filters)
        self.out = conv(filters, 2 * channels, 1)
        self.factor = torch.nn.Parameter(torch.ones(channels))

    def forward(self, x):
        h = self.conv(x)
        for block in self.block:
            h = h + block.conv2(F.relu(block.bn2(block.conv1(F.relu(block.bn1(h))))))
        r, t = self.out(F.relu(self.bn(h))).chunk(2, 1)
        return self.factor[:, None, None] * torch.tanh(r), t


def couple(x, network, mask):
    s, t = network(x * mask)
    s, t = s * (1 - mask), t * (1 - mask)
    return x * torch.exp(s) + t, s.sum((1, 2, 3))


def checkerboard(x, parity):
    rows, columns = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
    return ((rows + columns) % 2 == parity).to(x.dtype)


def halves(x, parity):
    second = torch.arange(x.shape[1]) >= x.shape[1] // 2
    return (second == bool(parity)).to(x.dtype)[:, None, None]


def squeeze(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def normal(z):
    return -0.5 * (z**2 + math.log(2 * math.pi)).sum((1, 2, 3))


class RealNVP(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        channels, self.case, self.flow = 3, case, torch.nn.ModuleList()
        for scale in range(case["scales"]):
            last = scale == case["scales"] - 1
            widths = [channels] * 4 if last else [channels] * 3 + [4 * channels] * 3
            self.flow.append(torch.nn.ModuleList(Network(c, case["filters"], case["blocks"]) for c in widths))
            channels *= 2

    def forward(self, images, u):
        """Bits per dimension of images in 0...1, NCHW."""
        share = MARGIN + (1 - 2 * MARGIN) * (255 * images + u) / 256
        x = torch.log(share) - torch.log1p(-share)
        log = (math.log(1 - 2 * MARGIN) - torch.log(share) - torch.log1p(-share)).sum((1, 2, 3))
        dimensions = x[0].numel()
        for scale, networks in enumerate(self.flow):
            for index, network in enumerate(networks[:4] if scale == len(self.flow) - 1 else networks[:3]):
                x, own = couple(x, network, checkerboard(x, index % 2))
                log = log + own
            if scale == len(self.flow) - 1:
                break
            x = squeeze(x)
            for index, network in enumerate(networks[3:]):
                x, own = couple(x, network, halves(x, index % 2))
                log = log + own
            x, done = x.chunk(2, 1)
            log = log + normal(done)
        return 8 - (log + normal(x)) / (dimensions * math.log(2))


def run(dtype, perturbation=0):
    rows, side = CASE["rows"], CASE["side"]
    model = RealNVP(CASE)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(key, tuple(parameter.shape))))
            parameter *= 1 + perturbation * torch.randn_like(parameter)
    model = model.to(dtype)
    nchw = lambda values: torch.from_numpy(values.reshape(rows, side, side, 3)).permute(0, 3, 1, 2).to(dtype)  # noqa: E731
    images = nchw(np.floor(256 * uniform("images", rows * side * side * 3)) / 255)
    optimizer = torch.optim.SGD(model.parameters(), lr=CASE["rate"], momentum=MOMENTUM, weight_decay=DECAY)
    losses, tensors = [], {}
    for step in range(10):
        optimizer.zero_grad()
        loss = model(images, nchw(noise(step, rows, side * side * 3))).mean()
        loss.backward()
        if step == 0:
            for key, parameter in model.named_parameters():
                tensors[f"grad/{key}"] = parameter.grad.numpy().copy()
        losses.append(loss.item())
        optimizer.step()
    model.eval()
    tensors["bits"] = model(images, 0.5).detach().numpy()
    return losses, tensors


if __name__ == "__main__":
    losses, tensors = run(torch.float64)
    torch.manual_seed(0)
    trials = [run(torch.float32)] + [run(torch.float64, 2e-7) for _ in range(6)]
    miss = max(abs(a - b) / abs(a) for trial in trials for a, b in zip(losses, trial[0]))
    scores = max((abs(trial[1]["bits"] - tensors["bits"]) / abs(tensors["bits"])).max() for trial in trials)
    nmse = {key: ((trials[0][1][key] - value) ** 2).sum() / (value**2).sum() for key, value in tensors.items()}
    worst = max(nmse, key=nmse.get)
    print(f"losses {losses[0]:.4f} ... {losses[-1]:.4f}; rounding misses them by {miss:.1e}, bits by {scores:.1e}, "
          f"{worst} by an NMSE of {nmse[worst]:.1e}")
    assert miss < 3e-5 and scores < 3e-6 and nmse[worst] < 3e-5, "badly conditioned"
    tensors = {key: value.astype(np.float32) for key, value in tensors.items()}
    tensors["losses"] = np.array(losses)
    save(os.path.join(HERE, "flow-realnvp.safetensors"), {"case": json.dumps(CASE), "torch": torch.__version__}, tensors)
