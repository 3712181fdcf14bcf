"""Writes what detectors on feature maps are checked by: of a small ResNet-18 whose weights both sides compute from their
names, the joined maps of an image, and the scores and maps by PaDiM and PatchCore, with anomalib's formulas (2.7:
PadimModel, PatchcoreModel, MultiVariateGaussian, KCenterGreedy) in double precision.

    python Tests/Fixtures/make_feature_map_fixtures.py       (PyTorch 2.13, numpy)
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

from make_model_fixtures import HERE, save, uniform, weight
from networks import ResNet

SIDE, TRAIN, TEST = 64, 6, 2
# Every so many places of the joined maps are kept, and the place that the coreset begins with.
EVERY, START, SHARE, NEIGHBORS = 7, 100, 0.02, 9

network = ResNet("resnet18", 0.0625, SIDE).double().eval()
with torch.no_grad():
    for name, parameter in network.named_parameters():
        value = weight(name, tuple(parameter.shape)).astype(np.float32)
        parameter.copy_(torch.from_numpy(value.astype(np.float64)))


def stages(count, name):
    pixels = np.floor(256 * uniform(name, count * SIDE * SIDE * 3)).reshape(count, SIDE, SIDE, 3)
    x = torch.from_numpy(pixels / 255).permute(0, 3, 1, 2)
    with torch.no_grad():
        x = network.layer1(F.relu(network.bn1(network.conv1(x))))
        second = network.layer2(x)
        return [second, network.layer3(second)]


def join(maps, mode):
    size = maps[0].shape[-2:]
    return torch.cat([maps[0]] + [F.interpolate(m, size=size, mode=mode) for m in maps[1:]], 1)


def blur(maps, sigma=4):
    reach = int(4.0 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).double() / sigma) ** 2)
    kernel = kernel / kernel.sum()
    x = F.pad(maps, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def padim(train, test):
    train, test = join(train, "nearest"), join(test, "nearest")
    n, channels, rows, columns = train.shape
    flat = train.reshape(n, channels, -1)
    mean = flat.mean(0)
    delta = (flat - mean).permute(2, 0, 1)
    covariance = delta.transpose(1, 2) @ delta / (n - 1) + (0.01 + 1e-5) * torch.eye(channels).double()
    inverse = torch.linalg.inv(covariance)
    delta = (test.reshape(len(test), channels, -1) - mean).permute(2, 0, 1)
    distances = ((delta @ inverse) * delta).sum(2).permute(1, 0).reshape(-1, 1, rows, columns).clamp(0).sqrt()
    maps = blur(F.interpolate(distances, size=(SIDE, SIDE), mode="bilinear", align_corners=False))
    return train[0], maps.amax((1, 2, 3)), maps[:, 0]


def coreset(features, count, start):
    index, nearest, chosen = start, None, [start]
    for _ in range(count - 1):
        distance = (features - features[index]).norm(dim=1)
        nearest = distance if nearest is None else torch.minimum(nearest, distance)
        index = int(nearest.argmax())
        nearest[index] = 0
        chosen.append(index)
    return chosen


def patchcore(train, test):
    train, test = (join([F.avg_pool2d(m, 3, 1, 1) for m in maps], "bilinear") for maps in (train, test))
    _, channels, rows, columns = train.shape
    bank = train.permute(0, 2, 3, 1).reshape(-1, channels)
    chosen = coreset(bank, int(len(bank) * SHARE), START)
    bank = bank[chosen]
    distances, places = torch.cdist(test.permute(0, 2, 3, 1).reshape(len(test), -1, channels), bank).min(2)
    scores = []
    for image, (own, place) in enumerate(zip(distances, places)):
        worst = int(own.argmax())
        query = test[image].permute(1, 2, 0).reshape(-1, channels)[worst]
        support = torch.cdist(bank[place[worst]][None], bank)[0].topk(NEIGHBORS, largest=False).indices
        scores.append((1 - F.softmax((bank[support] - query).norm(dim=1), 0)[0]) * own[worst])
    maps = blur(F.interpolate(distances.reshape(-1, 1, rows, columns), size=(SIDE, SIDE)))
    return train[0], torch.stack(scores), maps[:, 0], chosen


train, test = stages(TRAIN, "train maps"), stages(TEST, "test maps")
tensors = {}
joined, tensors["padim.scores"], tensors["padim.maps"] = padim(train, test)
tensors["padim.joined"] = joined.permute(1, 2, 0).reshape(-1, joined.shape[0])[::EVERY]
joined, tensors["patchcore.scores"], tensors["patchcore.maps"], chosen = patchcore(train, test)
tensors["patchcore.joined"] = joined.permute(1, 2, 0).reshape(-1, joined.shape[0])[::EVERY]
tensors["patchcore.chosen"] = torch.tensor(chosen).double()
save(
    os.path.join(HERE, "feature-maps.safetensors"), {"torch": torch.__version__},
    {name: value.numpy().astype(np.float32) for name, value in tensors.items()})
