"""Writes small arrays as NumPy saves them: such as are read, and such as are refused.

    python Tests/Fixtures/make_numpy_fixtures.py        (numpy)

values[i, j] of the arrays of real numbers is 10 i + j + 1/4; Tests/OCCEngineTests/NumPyArrayTests.swift knows that.
"""

import os

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "numpy")
values = 10.0 * np.arange(3)[:, None] + np.arange(5)[None, :] + 0.25

for name, array in {
    "single": values.astype("<f4"), "double": values, "row": values[1].astype("<f4"), "cube": values.reshape(3, 1, 5),
    "empty": values[:0].astype("<f4"), "big-endian": values.astype(">f4"), "half": values.astype("<f2"),
    "whole": values.astype("<i8"), "fortran": np.asfortranarray(values), "complex": values.astype("<c8"),
    "structure": np.zeros(2, [("a", "<f4"), ("b", "<f8")]), "flags": values > 10,
}.items():
    np.save(os.path.join(HERE, name + ".npy"), array)
with open(os.path.join(HERE, "version2.npy"), "wb") as file:
    np.lib.format.write_array(file, values, (2, 0))
