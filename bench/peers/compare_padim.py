"""Compares PaDiM and PatchCore with anomalib's own models, on equal weights and equal images: scores, maps, and the places
that PatchCore keeps.

    swift build -c release --product occ-gpu
    python bench/peers/compare_padim.py .build/release/occ-gpu --data MVTEC/bottle     (see anomalib_models.py; safetensors, pillow)

The weights are torchvision's ResNet-18 with random weights and statistics, which occ-gpu takes by --weights --freeze. A
category in MVTec AD's layout whose images are square gives the images; nothing is resized. Prints the largest differences,
relative to the largest of each map or to the score, and exits with 1 above 1e-4 or where other places are kept.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile

import anomalib_models
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torchvision.models import resnet18

TOLERANCE = 1e-4
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def run(*words):
    found = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{found.stderr}")
    return found.stdout


def random_weights():
    """ResNet-18 as torchvision draws it, with statistics that are not those of a new network."""
    torch.manual_seed(0)
    weights = resnet18(weights=None).state_dict()
    for name, value in weights.items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return {name: value.contiguous() for name, value in weights.items()}


def pixels(paths):
    return torch.stack([torch.from_numpy(np.array(Image.open(path).convert("RGB"))) for path in paths])


def prepared(images):
    return ((images.float() / 255 - MEAN) / DEVIATION).permute(0, 3, 1, 2).contiguous()


def load(model, weights):
    """Gives the model's network the weights; timm's names are torchvision's."""
    network = model.feature_extractor.feature_extractor
    own = network.state_dict()
    network.load_state_dict({name: weights[name] for name in own})
    return model


@torch.no_grad()
def features(model, images):
    """What a model sees of images, a few at a time, as training has it."""
    model.train()
    for some in prepared(images).split(8):
        model(some)
    return model.eval()


@torch.no_grad()
def answers(model, images):
    found = [model(some) for some in prepared(images).split(8)]
    return torch.cat([one.pred_score.flatten() for one in found]), torch.cat([one.anomaly_map[:, 0] for one in found])


def ours(program, folder, detector, options, data, weights, images):
    """A model fitted on all training images, what it says of images, and its arrays."""
    out = os.path.join(folder, detector)
    run(program, "train", "--data", data, "--detector", detector, *options, "--weights", weights, "--freeze", "--hold-out", "0",
        "--math", "strict", "--device", "cpu", "--quiet", "--out", out)
    found = run(program, "localize", "--model", out, "--raw", "--quiet", "--device", "cpu", "--out", os.path.join(folder, "pictures"), *images)
    rows = list(csv.DictReader(found.splitlines()))
    maps = [np.load(row["picture"].replace(".overlay.png", ".npy")) for row in rows]
    arrays = load_file(os.path.join(out, "model.safetensors"))
    return torch.tensor([float(row["score"]) for row in rows]), torch.from_numpy(np.stack(maps)), arrays


def difference(own, other):
    return float(((own - other).abs().flatten(1).amax(1) / other.abs().flatten(1).amax(1)).max())


def compare(name, own, other):
    """Prints how far scores and maps are from each other; whether they are close enough."""
    scores, maps = difference(own[0][:, None], other[0][:, None]), difference(own[1], other[1])
    print(f"{name:10s} scores {scores:.1e}, maps {maps:.1e}", flush=True)
    return max(scores, maps) <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--data", required=True, help="a category in MVTec AD's layout")
    parser.add_argument("--train", type=int, default=24, help="training images that are taken")
    parser.add_argument("--coreset", type=float, default=0.01)
    options = parser.parse_args()
    print(f"anomalib {anomalib_models.VERSION}, PyTorch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        good = os.path.join(options.data, "train", "good")
        names = sorted(os.listdir(good))[: options.train]
        data, weights = os.path.join(folder, "data"), os.path.join(folder, "resnet18.safetensors")
        os.makedirs(os.path.join(data, "train", "good"))
        for name in names:
            os.symlink(os.path.abspath(os.path.join(good, name)), os.path.join(data, "train", "good", name))
        os.symlink(os.path.abspath(os.path.join(options.data, "test")), os.path.join(data, "test"))
        kinds = sorted(os.listdir(os.path.join(data, "test")))
        tests = [os.path.join(data, "test", kind, name) for kind in kinds for name in sorted(os.listdir(os.path.join(data, "test", kind)))[:2]]
        state = random_weights()
        save_file(state, weights)
        train, test = pixels([os.path.join(good, name) for name in names]), pixels(tests)
        program = os.path.abspath(options.program)

        layers = ["--layers", "1,2,3"]
        *own, arrays = ours(program, folder, "padim", layers, data, weights, tests)
        model = load(anomalib_models.PadimModel("resnet18", ["layer1", "layer2", "layer3"], pre_trained=False), state)
        model.idx = torch.from_numpy(arrays["detector.chosen"].astype(np.int64))
        features(model, train).fit()
        good_enough = compare("PaDiM", own, answers(model, test))

        layers = ["--layers", "2,3", "--coreset", str(options.coreset)]
        *own, arrays = ours(program, folder, "patchcore", layers, data, weights, tests)
        model = load(anomalib_models.PatchcoreModel(["layer2", "layer3"], "resnet18", pre_trained=False), state)
        store = torch.vstack(features(model, train).embedding_store)
        memory = torch.from_numpy(arrays["detector.memory"])
        # The place that ours begins with is drawn; anomalib's is told of it. A tensor of three dimensions is not projected.
        start = int((store - memory[0]).square().sum(1).argmin())
        sampler = anomalib_models.KCenterGreedy(store[:, :, None], options.coreset)
        draw, torch.randint = torch.randint, lambda *_, **__: torch.tensor([start])
        chosen = sampler.select_coreset_idxs()
        torch.randint = draw
        same = sum(int(torch.allclose(store[place], kept, rtol=1e-4, atol=1e-4)) for place, kept in zip(chosen, memory))
        print(f"PatchCore  {same} of {len(chosen)} places are kept by both, of {len(store)}")
        # Their squared distances are differences of large numbers, which single precision leaves 1e-4 of: in double.
        model.double().memory_bank = store[chosen].double()
        good_enough &= compare("PatchCore", own, answers(model, test)) and same == len(chosen) == len(memory)
    sys.exit(0 if good_enough else 1)


if __name__ == "__main__":
    main()
