"""Writes scikit-learn's scores and metrics for seeded data.

    python Tests/Fixtures/make_detector_fixtures.py        (scikit-learn, numpy)
"""

import json
import os

import numpy as np
import sklearn
from sklearn.covariance import LedoitWolf
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.svm import OneClassSVM

HERE = os.path.dirname(os.path.abspath(__file__))


def features():
    rng = np.random.default_rng(5)
    # Single precision, as the engine stores features.
    mix = rng.normal(size=(12, 12)) * 0.5 + np.eye(12)
    train = (rng.normal(size=(150, 12)) @ mix + 1.5).astype(np.float32)
    test = np.concatenate([rng.normal(size=(20, 12)) @ mix + 1.5, rng.normal(size=(20, 12)) * 2]).astype(np.float32)
    return train.astype(np.float64), test.astype(np.float64)


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def detectors():
    train, test = features()
    u, v = unit(train), unit(test)
    gamma = 10 / (u.shape[1] * u.var())
    record = {"train": train.tolist(), "test": test.tolist(), "gamma": gamma}
    # One leaf: bounds over a tree would stop short of full precision far from the data.
    density = KernelDensity(bandwidth=np.sqrt(1 / (2 * gamma)), rtol=0, atol=0, leaf_size=1000).fit(u).score_samples(v)
    # log density = log sum exp(-gamma |a - b|^2) - log n + (d / 2) log(gamma / pi); score = -(1 / gamma) log sum exp(2 gamma ab)
    n, d = u.shape
    record["kde"] = (-(density + np.log(n) - d / 2 * np.log(gamma / np.pi)) / gamma - 2).tolist()
    mixture = GaussianMixture(1, covariance_type="full", reg_covar=1e-6).fit(u)
    record["gaussian"] = (-mixture.score_samples(v)).tolist()
    few = LedoitWolf().fit(u[:10])  # fewer rows than columns
    covariance, z = few.covariance_ + 1e-6 * np.eye(d), v - few.location_
    distances = np.einsum("nd,de,ne->n", z, np.linalg.inv(covariance), z)
    record["gaussian ledoit-wolf"] = (
        0.5 * (distances + np.linalg.slogdet(covariance)[1] + d * np.log(2 * np.pi))).tolist()
    for name, model, a, b in [
        ("ocsvm-rbf", OneClassSVM(kernel="rbf", gamma=gamma, nu=0.5, tol=1e-10), u, v),
        ("ocsvm-linear", OneClassSVM(kernel="linear", nu=0.5, tol=1e-10), train, test),
        ("ocsvm-rbf nu=0.1", OneClassSVM(kernel="rbf", gamma=gamma, nu=0.1, tol=1e-10), u, v),
    ]:
        model.fit(a)
        kernel = a @ a.T if model.kernel == "linear" else np.exp(-gamma * ((a[:, None] - a[None]) ** 2).sum(2))
        alpha = np.zeros(len(a))
        alpha[model.support_] = model.dual_coef_[0]
        record[name] = {"scores": (-model.score_samples(b)).tolist(), "objective": 0.5 * alpha @ kernel @ alpha,
                        "rho": float(-model.intercept_[0])}
    distances, _ = NearestNeighbors(n_neighbors=3, metric="cosine", algorithm="brute").fit(u).kneighbors(v)
    record["knn 1"] = distances[:, 0].tolist()
    record["knn 3"] = distances.mean(1).tolist()
    # Of the features as they are, by their covariance with a hundredth of a sphere in it.
    covariance = np.cov(train.T, bias=True)
    size = len(covariance)
    shrunk = 0.99 * covariance + 0.01 * np.trace(covariance) / size * np.eye(size)
    distances, _ = NearestNeighbors(
        n_neighbors=3, metric="mahalanobis", metric_params={"VI": np.linalg.inv(shrunk)}, algorithm="brute"
    ).fit(train).kneighbors(test)
    record["knn-mahalanobis 1"] = distances[:, 0].tolist()
    record["knn-mahalanobis 3"] = distances.mean(1).tolist()
    return record


def metrics():
    rng = np.random.default_rng(9)
    cases = []
    for count, levels, share in [(50, None, 0.5), (200, 7, 0.3), (1000, 40, 0.05), (30, 1, 0.5), (2, None, 0.5)]:
        labels = (np.arange(count) < max(1, count * share)).astype(int)
        rng.shuffle(labels)
        scores = rng.normal(size=count) + labels
        if levels:
            scores = np.round(scores * levels / 4) / 4 if levels > 1 else np.zeros(count)
        fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
        thresholds = np.unique(scores)
        cases.append({
            "scores": scores.tolist(), "labels": labels.tolist(), "auroc": roc_auc_score(labels, scores),
            "average_precision": average_precision_score(labels, scores),
            "best_f1": max(f1_score(labels, scores >= t) for t in thresholds),
            "fpr95": float(fpr[tpr >= 0.95].min()),
        })
    return cases


record = {"scikit-learn": sklearn.__version__, "detectors": detectors(), "metrics": metrics()}
with open(os.path.join(HERE, "detectors.json"), "w") as file:
    json.dump(record, file)
print({key: value for key, value in record["detectors"].items() if key.startswith("ocsvm")}.keys())
