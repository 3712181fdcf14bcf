"""anomalib's models for the comparisons: `PadimModel`, `PatchcoreModel`, `KCenterGreedy`.

Takes torch, torchvision, timm, kornia, numpy, scipy, scikit-learn, tqdm and anomalib 2.7 itself, which may be installed
without what it depends on (pip install --no-deps anomalib==2.7.0): its packages import all of its models, trainers and data
sets, of which none is wanted here. So the modules of these models are imported alone, under packages that import nothing.
"""

import sys
import types
import typing
from importlib.metadata import version

import torch

# torchvision's own operations are compiled for the torch that it was built with, and none of them is used.
operations = torch.library.Library("torchvision", "DEF")
for name in ["nms", "qnms"]:
    operations.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


class InferenceBatch(typing.NamedTuple):
    """What a model gives: the fields of anomalib.data.InferenceBatch that are used."""

    pred_score: torch.Tensor | None = None
    pred_label: torch.Tensor | None = None
    anomaly_map: torch.Tensor | None = None
    pred_mask: torch.Tensor | None = None


def package(name, **contents):
    """A package whose modules can be imported, without what its own __init__ imports."""
    folders = [f"{folder}/{name.replace('.', '/')}" for folder in sys.path]
    module = types.ModuleType(name)
    module.__path__ = folders
    module.__dict__.update(contents)
    sys.modules[name] = module
    return module


def deprecate(*_, **__):
    return lambda function: function


for name in ["anomalib", "anomalib.models", "anomalib.models.image", "anomalib.models.image.padim", "anomalib.models.image.patchcore"]:
    package(name)
package("anomalib.data", InferenceBatch=InferenceBatch)
package("anomalib.utils", deprecate=deprecate)
parts = package("anomalib.models.components")
base = package("anomalib.models.components.base")
from anomalib.models.components.base.dynamic_buffer import DynamicBufferMixin  # noqa: E402

base.DynamicBufferMixin = parts.DynamicBufferMixin = DynamicBufferMixin
from anomalib.models.components.feature_extractors import TimmFeatureExtractor  # noqa: E402
from anomalib.models.components.filters import GaussianBlur2d  # noqa: E402
from anomalib.models.components.sampling import KCenterGreedy  # noqa: E402
from anomalib.models.components.stats import MultiVariateGaussian  # noqa: E402

parts.TimmFeatureExtractor, parts.GaussianBlur2d = TimmFeatureExtractor, GaussianBlur2d
parts.KCenterGreedy, parts.MultiVariateGaussian = KCenterGreedy, MultiVariateGaussian
from anomalib.models.image.padim.torch_model import PadimModel  # noqa: E402
from anomalib.models.image.patchcore.torch_model import PatchcoreModel  # noqa: E402

VERSION = version("anomalib")

__all__ = ["KCenterGreedy", "PadimModel", "PatchcoreModel", "VERSION"]
