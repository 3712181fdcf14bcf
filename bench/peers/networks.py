"""The encoder, heads and objectives of occ-gpu in PyTorch: what the fixtures are made with and the benchmarks run against."""

import json
import math
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F

BLOCKS = {"resnet10": [1, 1, 1, 1], "resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3]}


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(inputs, 4 * width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Images [N,3,S,S] -> pooled features [N,D]; the stem follows the side, parameters have torchvision's names."""

    def __init__(self, depth="resnet18", width=1.0, side=32):
        super().__init__()
        block = Bottleneck if depth == "resnet50" else BasicBlock
        channels = [max(1, round(c * width)) for c in (64, 128, 256, 512)]
        self.large = side > 64
        kernel, stride = (7, 2) if self.large else (3, 1)
        self.conv1 = nn.Conv2d(3, channels[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        inputs = channels[0]
        for stage, count in enumerate(BLOCKS[depth]):
            blocks = []
            for index in range(count):
                blocks.append(block(inputs, channels[stage], 2 if stage > 0 and index == 0 else 1))
                inputs = channels[stage] * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


class Head(nn.Module):
    """Hidden widths of Dense + BatchNorm + ReLU, a linear last width, and a classifier of `logits` classes if any."""

    def __init__(self, inputs, widths, logits):
        super().__init__()
        self.hidden = len(widths) - 1
        for index, width in enumerate(widths[:-1]):
            layer = nn.Linear(inputs, width, bias=False)
            layer.bn = nn.BatchNorm1d(width)
            self.add_module(str(index), layer)
            inputs = width
        self.embed = nn.Linear(inputs, widths[-1], bias=logits > 0) if widths else nn.Identity()
        self.logits = nn.Linear(widths[-1] if widths else inputs, logits) if logits else nn.Identity()

    def forward(self, x):
        for index in range(self.hidden):
            layer = getattr(self, str(index))
            x = F.relu(layer.bn(layer(x)))
        return self.logits(self.embed(x))


class WideBlock(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        same = stride == 1 and inputs == width
        self.shortcut = None if same else nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return y + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """Zagoruyko & Komodakis 2016, pre-activation: images [N,3,S,S] -> pooled features [N,D]."""

    def __init__(self, depth, widening, width=1.0, side=32):
        super().__init__()
        self.large = side > 64
        kernel, stride = (7, 2) if self.large else (3, 1)
        self.conv1 = nn.Conv2d(3, 16, kernel, stride, kernel // 2, bias=False)
        inputs = 16
        for group in range(3):
            channels = max(1, round(16 * 2**group * widening * width))
            blocks = []
            for index in range((depth - 4) // 6):
                blocks.append(WideBlock(inputs, channels, 2 if group > 0 and index == 0 else 1))
                inputs = channels
            setattr(self, f"block{group + 1}", nn.Sequential(*blocks))
        self.bn1 = nn.BatchNorm2d(inputs)
        self.features = inputs

    def forward(self, x):
        x = self.conv1(x)
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        x = F.relu(self.bn1(self.block3(self.block2(self.block1(x)))))
        return x.mean(dim=(2, 3))


def encoder(name, width, side):
    """The encoder of a name, as occ-gpu calls it."""
    if name.startswith("wide-resnet-"):
        depth, widening = (int(part) for part in name.split("-")[2:])
        return WideResNet(depth, widening, width, side)
    return ResNet(name, width, side)


class Model(nn.Module):
    """An encoder and its head; `named()` has occ-gpu's names."""

    def __init__(self, depth, width, side, widths, logits):
        super().__init__()
        self.encoder = encoder(depth, width, side)
        self.head = Head(self.encoder.features, widths, logits)

    def forward(self, x):
        return self.head(self.encoder(x))

    def named(self):
        for name, tensor in self.named_parameters():
            yield name.removeprefix("encoder."), tensor


def initialize(model):
    """Convolutions: truncated normal of variance 2 / fan out; dense layers: Glorot uniform, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            deviation = math.sqrt(2 / fan_out) / 0.87962566103423978
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def nt_xent(z, temperature, form):
    """z [2B,D], rows i and i + B being two views: cross-view (view 1 against view 2) or symmetric (SimCLR)."""
    z = F.normalize(z)
    b = len(z) // 2
    if form == "cross-view":
        return F.cross_entropy(z[:b] @ z[b:].T / temperature, torch.arange(b, device=z.device))
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * b, dtype=torch.bool, device=z.device), -math.inf)
    return F.cross_entropy(similarity, (torch.arange(2 * b, device=z.device) + b) % (2 * b))


def read_safetensors(path):
    """The float tensors of a safetensors file by name."""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    result = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, last = (8 + length + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(bytearray(data[first:last]), dtype=torch.float32) if last > first else torch.empty(0)
            result[name] = flat.reshape(entry["shape"])
    return result
