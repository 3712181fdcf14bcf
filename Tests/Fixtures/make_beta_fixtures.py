"""Writes scipy's beta distribution, Clopper-Pearson intervals and beta-binomial tails.

    python Tests/Fixtures/make_beta_fixtures.py        (scipy)
"""

import json
import os

import scipy
from scipy import stats

HERE = os.path.dirname(os.path.abspath(__file__))

PAIRS = [(1, 1), (1, 20), (20, 1), (2, 19), (0.5, 0.5), (0.3, 7.5), (10, 991), (991, 10), (50, 50), (1, 99), (40, 161),
         (3000, 7000)]

cumulative = [[a, b, x, stats.beta.cdf(x, a, b)] for a, b in PAIRS
              for x in (1e-6, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.95, 0.999)]
quantiles = [[a, b, p, stats.beta.ppf(p, a, b)] for a, b in PAIRS for p in (0.001, 0.025, 0.05, 0.5, 0.95, 0.975)]
intervals = []
for count, total in [(0, 1), (1, 1), (0, 60), (10, 60), (60, 60), (1, 20), (33, 1000), (500, 1000)]:
    found = stats.binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    intervals.append([count, total, found.low, found.high])
# The false alarms of a test: of n scores the k-th is the threshold.
tails = [[n, k, total, count, float(stats.betabinom.sf(count - 1, total, n + 1 - k, k))]
         for n, k in [(20, 19), (20, 20), (99, 99), (200, 190)] for total in (1, 60) for count in (0, 1, 10, 60)
         if count <= total]

with open(os.path.join(HERE, "beta.json"), "w") as file:
    json.dump({"scipy": scipy.__version__, "cumulative": cumulative, "quantiles": quantiles, "intervals": intervals,
               "tails": tails}, file, indent=0)
    file.write("\n")
