"""Times detectors of features in files: occ-gpu's `fit` and `score` beside scikit-learn and PyOD, with the memory of each.

    swift build -c release --product occ-gpu
    python bench/peers/compare_features.py --detector knn --rows 50000 --queries 5000    (numpy, scikit-learn, pyod)
    python bench/peers/compare_features.py --detector knn --rows 1000000 --queries 5000 --peers none

Rows are drawn, in parts, around 20 directions, and lie in .npy files of float32. Each side is a process of its own that reads them,
fits, scores and writes; seconds are from its start to its end, of which the peers' own work is said too, and memory is the largest
that was resident. Processor time is comparable where others use the machine too. PyOD also scores the rows that it is fitted on,
which is part of its `fit`. All search for the nearest neighbor by cosine, or add up the same kernel, and the largest difference of
their scores is printed: of densities, which differ by a constant, after their means.
"""

import argparse
import csv
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np


def write_rows(path, rows, columns, seed, portion=16384):
    """A file of rows, a part at a time."""
    centers = np.random.default_rng(0).standard_normal((20, columns), np.float32)
    random = np.random.default_rng(seed)
    shape = np.lib.format.open_memmap(path, "w+", np.float32, (rows, columns))
    for first in range(0, rows, portion):
        count = min(portion, rows - first)
        part = random.standard_normal((count, columns), np.float32)
        shape[first : first + count] = 0.7 * part + centers[random.integers(0, 20, count)]
        shape.flush()


def timed(command, output=None):
    """Runs a command: its seconds, the most memory it had in MiB, and the processor's seconds."""
    begin = time.perf_counter()
    with open(output or os.devnull, "w") as file, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=file, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{log.read()}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def gamma_of(model):
    """The kernel's width that occ-gpu chose."""
    with open(model, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return json.loads(header["__metadata__"]["detector_numbers"])["gamma"]


def peer(kind, train, new, gamma, out):
    """What a peer does of it, in a process of its own: writes its scores and prints its seconds."""
    from sklearn.neighbors import KernelDensity, NearestNeighbors

    def normalized(path):
        rows = np.load(path)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    package, detector = kind.split("-")
    # exp(-gamma |a - b|^2) is a Gaussian of this bandwidth.
    bandwidth = (1 / (2 * gamma)) ** 0.5 if gamma else None
    begin = time.perf_counter()
    rows, queries = normalized(train), normalized(new)
    if package == "sklearn":
        if detector == "knn":
            model = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(rows)
            fitted = time.perf_counter()
            scores = model.kneighbors(queries)[0][:, 0]
        else:
            model = KernelDensity(bandwidth=bandwidth).fit(rows)
            fitted = time.perf_counter()
            scores = -model.score_samples(queries)
    else:
        from pyod.models.kde import KDE
        from pyod.models.knn import KNN

        model = KNN(n_neighbors=1, metric="cosine", algorithm="brute") if detector == "knn" else KDE(bandwidth=bandwidth)
        model.fit(rows)
        fitted = time.perf_counter()
        scores = model.decision_function(queries)
    print(json.dumps({"fit": fitted - begin, "score": time.perf_counter() - fitted}))
    np.save(out, scores)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=".build/release/occ-gpu")
    parser.add_argument("--detector", choices=["knn", "kde"], default="knn")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--peers", default="sklearn,pyod", help="of sklearn and pyod, or none")
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.run:
        kind, train, new, gamma, out = o.run
        return peer(kind, train, new, float(gamma), out)
    with tempfile.TemporaryDirectory() as scratch:
        names = ("train.npy", "new.npy", "d.safetensors", "scores")
        train, new, model, rows = (os.path.join(scratch, name) for name in names)
        write_rows(train, o.rows, o.columns, 1)
        write_rows(new, o.queries, o.columns, 2)
        print(f"{o.detector}, {o.rows} rows of {o.columns}, {o.queries} queries")
        print("| | fit | score | both | processor time of both | most memory |")
        print("| --- | --- | --- | --- | --- | --- |")
        fit = timed([o.binary, "fit", train, "--detector", o.detector, "--detector-rows", str(o.rows), "--hold-out", "0",
                     "--quiet", "--out", model])
        score = timed([o.binary, "score", "--model", model, "--quiet", new], rows)
        print(f"| occ-gpu | {fit[0]:.2f} s, {fit[1]:.0f} MiB | {score[0]:.2f} s, {score[1]:.0f} MiB | {fit[0] + score[0]:.2f} s | "
              f"{fit[2] + score[2]:.2f} s | {max(fit[1], score[1]):.0f} MiB |", flush=True)
        with open(rows) as file:
            ours = np.array([float(row["score"]) for row in csv.DictReader(file)])
        gamma = gamma_of(model) if o.detector == "kde" else 0
        for package in [] if o.peers == "none" else o.peers.split(","):
            out, said = os.path.join(scratch, f"{package}.npy"), os.path.join(scratch, package)
            seconds, memory, busy = timed([sys.executable, os.path.abspath(__file__), "--run", f"{package}-{o.detector}", train, new,
                                     str(gamma), out], said)
            with open(said) as file:
                own = json.load(file)
            theirs = np.load(out) / (gamma or 1)
            difference = (ours - ours.mean()) - (theirs - theirs.mean()) if gamma else ours - theirs
            print(f"| {package} | {own['fit']:.2f} s | {own['score']:.2f} s | {seconds:.2f} s | {busy:.2f} s | "
                  f"{memory:.0f} MiB |", flush=True)
            print(f"{package}: {seconds / (fit[0] + score[0]):.1f} times our time, {busy / (fit[2] + score[2]):.1f} times our "
                  f"processor time; scores differ by {np.abs(difference).max():.1e} at most, and deviate by {ours.std():.1e}",
                  file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
