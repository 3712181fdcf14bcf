"""Writes the fixtures of the methods that score by themselves: from weights and images that both sides compute from their
names, PyTorch's losses of ten steps, the first step's gradients, and before them the scores of images, and of their pixels
where the method has such; all in double precision, with the small network `lenet`. A case is only worth something when it
is well conditioned: the script refuses one where single precision, or rounding the weights to it at random, misses the
losses.

    python Tests/Fixtures/make_method_fixtures.py [CASE...]       (PyTorch 2.13, numpy)
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from make_model_fixtures import save, uniform, weight  # noqa: E402

SIDE, ROWS, OTHERS = 32, 8, 4
CASES = {
    "autoencoder": dict(optimizer="sgd", rate=0.002, decay=5e-7),
    "deep-svdd": dict(optimizer="adam", rate=1e-4, decay=5e-7),
    "deep-svdd-soft": dict(optimizer="adam", rate=1e-4, decay=5e-7, nu=0.25),
    "csi": dict(optimizer="sgd", rate=0.002, decay=3e-4, head=[12, 6]),
    "outlier-exposure": dict(optimizer="sgd", rate=0.0003, decay=3e-4, head=[]),
    "rotation-exposed": dict(optimizer="sgd", rate=0.01, decay=3e-4, head=[]),
}


def flat(x):
    """[N,C,H,W] as rows in the engine's order, which has channels last."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)


class LeNet(nn.Module):
    def __init__(self, width=0.125, outputs=8):
        super().__init__()
        channels = [3] + [max(1, round((32 << i) * width)) for i in range(3)]
        for i in range(3):
            setattr(self, f"conv{i + 1}", nn.Conv2d(channels[i], channels[i + 1], 5, padding=2, bias=False))
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(channels[i + 1], eps=1e-4, affine=False))
        self.embed = nn.Linear(channels[3] * (SIDE // 8) ** 2, outputs, bias=False)

    def forward(self, x):
        for i in range(3):
            x = getattr(self, f"bn{i + 1}")(getattr(self, f"conv{i + 1}")(x))
            x = F.max_pool2d(F.leaky_relu(x, 0.01), 2)
        return self.embed(flat(x))


class Decoder(nn.Module):
    def __init__(self, code=8, start=4, channels=128):
        super().__init__()
        self.start, self.channels = start, channels
        self.dense = nn.Linear(code, start * start * channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.stages = nn.ModuleList()
        while start < SIDE:
            narrow = max(8, channels // 2)
            self.stages.append(nn.ModuleDict({
                "conv": nn.Conv2d(channels, narrow, 3, padding=1, bias=False), "bn": nn.BatchNorm2d(narrow)}))
            start, channels = 2 * start, narrow
        self.output = nn.Conv2d(channels, 3, 3, padding=1, bias=False)

    def forward(self, code):
        x = self.dense(code).view(-1, self.start, self.start, self.channels).permute(0, 3, 1, 2)
        x = F.relu(self.bn(x))
        for stage in self.stages:
            x = F.relu(stage["bn"](stage["conv"](F.interpolate(x, scale_factor=2, mode="nearest"))))
        return self.output(x)


class Net(nn.Module):
    """The encoder under the names of its own, and what a method adds under `head.` or `decoder.`."""

    def __init__(self, name, case):
        super().__init__()
        self.encoder, self.head, self.decoder = LeNet(), nn.ModuleDict(), None
        if name == "autoencoder":
            self.decoder = Decoder()
        if name == "csi":
            wide, narrow = case["head"]
            self.head = nn.ModuleDict({
                "0": nn.Linear(8, wide), "embed": nn.Linear(wide, narrow), "shift": nn.Linear(8, 4)})
        if name in ("outlier-exposure", "rotation-exposed"):
            self.head = nn.ModuleDict({"logits": nn.Linear(8, 2 if name == "outlier-exposure" else 4)})

    def named(self):
        for key, parameter in self.named_parameters():
            yield key.removeprefix("encoder.").replace("decoder.stages.", "decoder."), parameter


def pictures(name, count):
    """Bytes, as they are stored, over 255; [N,3,S,S]."""
    values = np.floor(uniform(name, count * SIDE * SIDE * 3) * 256).reshape(count, SIDE, SIDE, 3)
    return torch.from_numpy(values / 255).permute(0, 3, 1, 2).contiguous()


def turned(x):
    """Each image in four rotations, counterclockwise by quarter turns, the rotations of an image together."""
    return torch.stack([torch.rot90(x, k, (2, 3)) for k in range(4)], 1).flatten(0, 1)


def csi_parts(net, x):
    features = net.encoder(x)
    z = net.head["embed"](F.relu(net.head["0"](features)))
    return z, net.head["shift"](features)


def nt_xent(z, temperature):
    """Symmetric; rows i and i + n are two views."""
    z = F.normalize(z)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    n = len(z) // 2
    return F.cross_entropy(similarity, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def step_loss(name, net, x, outliers, state):
    if name == "autoencoder":
        return F.mse_loss(net.decoder(net.encoder(x)), x)
    if name.startswith("deep-svdd"):
        d = ((net.encoder(x) - state["center"]) ** 2).sum(1)
        if name == "deep-svdd":
            return d.mean()
        loss = state["radius"] + F.relu(d - state["radius"]).mean() / state["nu"]
        state["radius"] = torch.quantile(d.detach().sqrt(), 1 - state["nu"]) ** 2
        return loss
    if name == "csi":
        views = torch.cat([turned(x), turned(x)])
        z, logits = csi_parts(net, views)
        return nt_xent(z, 0.5) + F.cross_entropy(logits, torch.arange(len(views)) % 4)
    if name == "outlier-exposure":
        logits = net.head["logits"](net.encoder(torch.stack([x, outliers], 1).flatten(0, 1)))
        return F.cross_entropy(logits, torch.arange(2 * len(x)) % 2)
    both = torch.stack([turned(x).unflatten(0, (-1, 4)), turned(outliers).unflatten(0, (-1, 4))], 1)
    logits = net.head["logits"](net.encoder(both.flatten(0, 2))).view(-1, 2, 4, 4)
    known, unknown = logits[:, 0].flatten(0, 1), logits[:, 1].flatten(0, 1)
    uniform_entropy = (torch.logsumexp(unknown, 1) - unknown.mean(1)).mean()
    return F.cross_entropy(known, torch.arange(len(known)) % 4) + 0.5 * uniform_entropy


@torch.no_grad()
def scores(name, net, x, others, state):
    if name == "autoencoder":
        return ((net.decoder(net.encoder(others)) - others) ** 2).flatten(1).mean(1)
    if name.startswith("deep-svdd"):
        return ((net.encoder(others) - state["center"]) ** 2).sum(1)
    if name == "csi":
        (z, own), (q, shown) = csi_parts(net, turned(x)), csi_parts(net, turned(others))
        result = torch.zeros(len(others), dtype=z.dtype)
        for r in range(4):
            axis, certain = F.normalize(z[r::4]), own[r::4, r]
            norm = z[r::4].norm(dim=1).mean()
            result -= ((q[r::4] @ axis.T).max(1).values / norm + shown[r::4, r] / certain.abs().mean()) / 4
        return result
    logits = net.head["logits"](net.encoder(others))
    if name == "outlier-exposure":
        return logits[:, 1] - logits[:, 0]
    return 1 - torch.softmax(logits, 1)[:, 0]


def maps(net, others, deviation=4.0):
    """The mean over channels of the squared error, smoothed by a Gaussian that is cut off at four deviations."""
    error = ((net.decoder(net.encoder(others)) - others) ** 2).mean(1, keepdim=True)
    reach = int(4 * deviation + 0.5)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=error.dtype) / deviation) ** 2)
    taps /= taps.sum()
    padded = F.pad(error, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[:, 0]


def run(name, case, dtype, noise=0):
    net = Net(name, case)
    with torch.no_grad():
        for key, parameter in net.named():
            parameter.copy_(torch.from_numpy(weight(key, tuple(parameter.shape)).astype(np.float32)))
    net = net.to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 1 + noise * torch.randn_like(parameter)
    x, others, outlier = (pictures(n, c).to(dtype) for n, c in (("images", ROWS), ("others", OTHERS), ("outlier", 1)))
    outliers = outlier.expand(ROWS, -1, -1, -1)
    state = {"radius": torch.zeros((), dtype=dtype), "nu": case.get("nu")}
    net.eval()
    tensors = {"first": net.encoder(x).mean(0).detach().numpy()}
    state["center"] = torch.from_numpy(weight("svdd.center", (8,)).astype(np.float32)).to(dtype)
    tensors["scores"] = scores(name, net, x, others, state).numpy()
    if net.decoder is not None:
        tensors["maps"] = maps(net, others).detach().numpy()
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[case["optimizer"]]
    extra = {"momentum": 0.9} if case["optimizer"] == "sgd" else {}
    optimizer = kind(net.parameters(), lr=case["rate"], weight_decay=case["decay"], **extra)
    net.train()
    losses = []
    for step in range(10):
        optimizer.zero_grad()
        loss = step_loss(name, net, x, outliers, state)
        loss.backward()
        if step == 0:
            for key, parameter in net.named():
                gradient = parameter.grad.numpy().copy()
                tensors[f"norm/{key}"] = np.array([np.sqrt((gradient**2).sum())])
                if gradient.size <= 4096:
                    tensors[f"grad/{key}"] = gradient
        losses.append(loss.item())
        optimizer.step()
    return losses, tensors


def make(name, case):
    losses, tensors = run(name, case, torch.float64)
    single_losses, single = run(name, case, torch.float32)
    torch.manual_seed(0)
    trials = [single_losses] + [run(name, case, torch.float64, 2e-7)[0] for _ in range(4)]
    miss = max(abs(a - b) / a for trial in trials for a, b in zip(losses, trial))
    gap = np.abs(single["scores"] - tensors["scores"]).max() / np.abs(tensors["scores"]).max()
    print(f"{name}: losses {losses[0]:.4f} ... {losses[-1]:.4f}; rounding misses them by {miss:.1e}, scores by {gap:.1e}")
    assert miss < 3e-5 and gap < 3e-6, "badly conditioned"
    kept = {key: value.astype(np.float32) for key, value in tensors.items()}
    kept["losses"], kept["scores"] = np.array(losses), tensors["scores"]
    save(os.path.join(HERE, f"method-{name}.safetensors"), {"case": json.dumps(case), "torch": torch.__version__}, kept)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name, CASES[name])
