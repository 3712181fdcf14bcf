#!/usr/bin/env python3
"""Compares the trained weights of two checkpoints: fails where one differs by more than a bound."""
import array
import json
import struct
import sys


def weights(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__" or name.startswith("velocity/") or "running_" in name:
            continue
        begin, end = entry["data_offsets"]
        values = array.array("f")
        values.frombytes(data[8 + size + begin : 8 + size + end])
        found[name] = values
    return found


def main():
    first, second, bound = weights(sys.argv[1]), weights(sys.argv[2]), float(sys.argv[3])
    assert first and first.keys() == second.keys()
    worst = max(abs(a - b) for name in first for a, b in zip(first[name], second[name]))
    print(f"{len(first)} arrays, largest difference {worst:.1e}")
    sys.exit(not worst <= bound)


main()
