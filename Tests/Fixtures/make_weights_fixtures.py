"""Writes what given weights are checked by: the names and shapes of torchvision's networks, and the features of a small one
of them, whose weights both sides compute from their names, of two images.

    python Tests/Fixtures/make_weights_fixtures.py       (PyTorch 2.13, torchvision 0.28)
"""

import json
import os

import numpy as np
import torch
from torchvision.models import resnet

from make_model_fixtures import save, uniform, weight

HERE = os.path.dirname(os.path.abspath(__file__))


def parameters(network):
    """The parameters and statistics of the encoder, without the classifier."""
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }


names = {
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "wide-resnet50-2": "wide_resnet50_2",
}
shapes = {
    ours: {name: list(tensor.shape) for name, tensor in parameters(getattr(resnet, theirs)()).items()}
    for ours, theirs in names.items()
}
with open(os.path.join(HERE, "torchvision-shapes.json"), "w") as file:
    json.dump(shapes, file, indent=0, separators=(",", ":"), sort_keys=True)
    file.write("\n")

network = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1]).double().eval()
state = network.state_dict()
for name, tensor in parameters(network).items():
    if name.endswith("running_mean"):
        state[name] = torch.zeros_like(tensor)
    elif name.endswith("running_var"):
        state[name] = torch.ones_like(tensor)
    else:
        state[name] = torch.from_numpy(weight(name, tuple(tensor.shape)).astype(np.float32).astype(np.float64))
network.load_state_dict(state)
network.fc = torch.nn.Identity()
side = 64
pixels = np.floor(256 * uniform("pixels", 2 * side * side * 3)).reshape(2, side, side, 3)
images = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
with torch.no_grad():
    features = network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
save(os.path.join(HERE, "given-weights.safetensors"), {"side": str(side)}, {"features": features.astype(np.float32)})
