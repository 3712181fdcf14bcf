"""Writes mixture-dagmm.safetensors: DAGMM with dense networks, from weights, rows and dropout that both sides compute from
names and counters: PyTorch's losses of ten SGD steps, the gradients of the first, and the rows' energies after the last
under the mixture of all rows, in inference mode; all in double precision.

    python Tests/Fixtures/make_mixture_fixtures.py       (PyTorch 2.13, numpy)
"""

import json
import math
import os

import numpy as np
import torch

from make_flow_fixtures import philox
from make_model_fixtures import DECAY, HERE, MOMENTUM, save, uniform, weight

CASE = dict(rows=64, columns=24, code=3, components=3, widths=[16, 10], rate=0.002, energy=0.1, penalty=0.005, epsilon=1e-3)
DROPOUT = 157


def dropped(x, step, layer):
    """Half of the values 0, the others twice what they were."""
    rows, columns = x.shape
    quads = np.arange((columns + 3) // 4, dtype=np.uint64)
    numbers = philox(step, np.arange(rows)[:, None], np.uint64(DROPOUT + layer) + ((quads + np.uint64(1)) << np.uint64(12))[None])
    u = np.stack([(v >> np.uint64(8)).astype(np.float64) / 2**24 for v in numbers], -1).reshape(rows, -1)[:, :columns]
    return x * torch.from_numpy(np.where(u < 0.5, 0.0, 2.0)).to(x.dtype)


class DAGMM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.code = torch.nn.Linear(CASE["columns"], CASE["code"])
        self.restore = torch.nn.Linear(CASE["code"], CASE["columns"])
        widths = [CASE["code"] + 2, *CASE["widths"]]
        self.estimation = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.logits = torch.nn.Linear(widths[-1], CASE["components"])

    def forward(self, x, step=None):
        code = torch.tanh(self.code(x))
        restored = self.restore(code)
        distance = (x - restored).norm(dim=1) / x.norm(dim=1)
        z = torch.cat([code, torch.stack([distance, torch.cosine_similarity(x, restored)], 1)], 1)
        h = z
        for index, layer in enumerate(self.estimation):
            h = torch.tanh(layer(h))
            if step is not None:
                h = dropped(h, step, index)
        return restored, z, torch.softmax(self.logits(h), 1)


def fit(z, memberships):
    total = memberships.sum(0)
    mean = (memberships.T @ z) / total[:, None]
    gap = z[:, None] - mean
    covariance = torch.einsum("nk,nki,nkj->kij", memberships, gap, gap) / total[:, None, None]
    return total / len(z), mean, covariance + CASE["epsilon"] * torch.eye(z.shape[1], dtype=z.dtype)


def energies(z, share, mean, covariance):
    gap = z[:, None] - mean
    square = torch.einsum("nki,kij,nkj->nk", gap, torch.linalg.inv(covariance), gap)
    logs = torch.log(share) - 0.5 * (square + torch.logdet(covariance) + z.shape[1] * math.log(2 * math.pi))
    return -torch.logsumexp(logs, 1)


def run(dtype, perturbation=0):
    model = DAGMM()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(key, tuple(parameter.shape))))
            parameter *= 1 + perturbation * torch.randn_like(parameter)
    model = model.to(dtype)
    x = torch.from_numpy(uniform("rows", CASE["rows"] * CASE["columns"]).astype(np.float32)).reshape(CASE["rows"], -1).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=CASE["rate"], momentum=MOMENTUM, weight_decay=DECAY)
    losses, tensors = [], {}
    for step in range(10):
        optimizer.zero_grad()
        restored, z, memberships = model(x, step)
        share, mean, covariance = fit(z, memberships)
        loss = ((x - restored) ** 2).mean() + CASE["energy"] * energies(z, share, mean, covariance).mean()
        loss = loss + CASE["penalty"] * (1 / covariance.diagonal(dim1=1, dim2=2)).sum()
        loss.backward()
        if step == 0:
            for key, parameter in model.named_parameters():
                tensors[f"grad/{key}"] = parameter.grad.numpy().copy()
        losses.append(loss.item())
        optimizer.step()
    with torch.no_grad():
        restored, z, memberships = model(x)
        tensors["energies"] = energies(z, *fit(z, memberships)).numpy()
    return losses, tensors


if __name__ == "__main__":
    losses, tensors = run(torch.float64)
    torch.manual_seed(0)
    trials = [run(torch.float32)] + [run(torch.float64, 2e-7) for _ in range(6)]
    miss = max(abs(a - b) / abs(a) for trial in trials for a, b in zip(losses, trial[0]))
    scale = np.abs(tensors["energies"]).max()
    scores = max(np.abs(trial[1]["energies"] - tensors["energies"]).max() / scale for trial in trials)
    nmse = {key: ((trials[0][1][key] - value) ** 2).sum() / (value**2).sum() for key, value in tensors.items()}
    worst = max(nmse, key=nmse.get)
    print(f"losses {losses[0]:.4f} ... {losses[-1]:.4f}; rounding misses them by {miss:.1e}, energies by {scores:.1e}, "
          f"{worst} by an NMSE of {nmse[worst]:.1e}")
    assert miss < 3e-5 and scores < 5e-6 and nmse[worst] < 3e-5, "badly conditioned"
    tensors = {key: value.astype(np.float32) for key, value in tensors.items()}
    tensors["losses"] = np.array(losses)
    save(os.path.join(HERE, "mixture-dagmm.safetensors"), {"case": json.dumps(CASE), "torch": torch.__version__}, tensors)
