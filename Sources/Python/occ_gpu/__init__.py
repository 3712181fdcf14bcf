"""Scores images by models of occ-gpu.

    from occ_gpu import Model
    model = Model.load("runs/bottle")
    result = model.score(array)              # uint8 [H,W,3], RGB, of any size
    result, heat = model.localize(array)     # float32 [side,side]
"""

import ctypes
import os
from dataclasses import dataclass
from typing import Optional

import numpy as np

__all__ = ["Error", "Model", "Result"]


class Error(Exception):
    """What went wrong, and what to do about it; `status` is a number of occ.h."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Result:
    """What a model says of an image."""

    score: float
    """Higher is more anomalous."""
    p_value: Optional[float]
    """The share of held-out normal images that score as high; None without such."""
    anomalous: Optional[bool]
    """Whether the score is above the threshold; None without one."""


# The OCC_ABI of occ.h that this package is written for.
_ABI = 1


class _Sized(ctypes.Structure):
    """A structure that libocc fills as far as its first member says."""

    def __init__(self):
        super().__init__(size=ctypes.sizeof(self))


class _Info(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("side", ctypes.c_int32), ("has_map", ctypes.c_int32),
                ("has_threshold", ctypes.c_int32), ("threshold", ctypes.c_double), ("map_threshold", ctypes.c_double)]


class _Result(_Sized):
    _fields_ = [("size", ctypes.c_size_t), ("score", ctypes.c_double), ("p_value", ctypes.c_double),
                ("alarm", ctypes.c_int32)]

    def result(self):
        known = self.alarm >= 0
        return Result(
            self.score, None if np.isnan(self.p_value) else self.p_value, bool(self.alarm) if known else None)


def _library():
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libocc.so")
    path = os.environ.get("OCC_LIBRARY", beside)
    library = ctypes.CDLL(path)
    abi = library.occ_abi() if hasattr(library, "occ_abi") else 0
    if abi != _ABI:
        raise ImportError(f"{path}: has the ABI {abi}, and this package takes {_ABI}: install both of one release")
    image = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int64]
    out = ctypes.POINTER(_Result)
    declared = {
        "occ_model_load": [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)],
        "occ_model_info": [ctypes.c_void_p, ctypes.POINTER(_Info)],
        "occ_score": image + [out],
        "occ_localize": image + [ctypes.c_void_p, ctypes.c_size_t, out],
    }
    for name, arguments in declared.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int32
    library.occ_model_free.argtypes, library.occ_model_free.restype = [ctypes.c_void_p], None
    library.occ_last_error.restype = ctypes.c_char_p
    return library


_occ = _library()


def _check(status):
    if status != 0:
        raise Error(status, _occ.occ_last_error().decode(errors="replace"))


class Model:
    """A model that is loaded. It can be used from any thread; calls wait for each other.

    `side` is that of the square that images become, and of maps. A score above `threshold` is an alarm, and a pixel of a map
    above `map_threshold` is anomalous; each is None where the model has none. `has_map` says whether it localizes.
    """

    def __init__(self, pointer):
        self._pointer = pointer
        info = _Info()
        _check(_occ.occ_model_info(pointer, ctypes.byref(info)))
        self.side = info.side
        self.has_map = bool(info.has_map)
        self.threshold = info.threshold if info.has_threshold else None
        self.map_threshold = None if np.isnan(info.map_threshold) else info.map_threshold

    @classmethod
    def load(cls, path, device="cpu"):
        """Loads model.safetensors, or the one in the folder of a run; device is auto, cpu, cuda or cuda:N."""
        pointer = ctypes.c_void_p()
        _check(_occ.occ_model_load(os.fsencode(path), device.encode(), ctypes.byref(pointer)))
        return cls(pointer)

    def __del__(self):
        if getattr(self, "_pointer", None):
            _occ.occ_model_free(self._pointer)
            self._pointer = None

    @staticmethod
    def _image(image):
        """An array, or the file of an image (which takes Pillow), as rows of RGB that lie one after the other."""
        if isinstance(image, (str, os.PathLike)):
            from PIL import Image

            image = Image.open(image).convert("RGB")
        array = np.ascontiguousarray(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
            raise Error(64, f"an image is uint8 [H,W,3], not {array.dtype} {list(array.shape)}")
        return array

    def score(self, image):
        """The Result of an image: uint8 [H,W,3] in RGB, or the path of a file."""
        array, result = self._image(image), _Result()
        height, width, _ = array.shape
        _check(_occ.occ_score(self._pointer, array.ctypes.data, width, height, 3 * width, ctypes.byref(result)))
        return result.result()

    def localize(self, image):
        """The Result of an image and its map, float32 [side,side], by a model that has maps."""
        array, result = self._image(image), _Result()
        height, width, _ = array.shape
        heat = np.empty((self.side, self.side), np.float32)
        _check(_occ.occ_localize(
            self._pointer, array.ctypes.data, width, height, 3 * width, heat.ctypes.data, heat.size,
            ctypes.byref(result)))
        return result.result(), heat
