"""Writes statistics.json: reference values from SciPy for the package's tests.

Run: python3 statistics.py > statistics.json
"""
import json

import numpy as np
from scipy.stats import betabinom, nbinom

rng = np.random.default_rng(20261123)


def counts():
    for _ in range(60):
        mean, size = float(10 ** rng.uniform(-1, 4)), float(10 ** rng.uniform(-0.5, 2.5))
        rate = float(rng.choice([1.5, 2, 3]))
        x = int(rng.poisson(mean * rng.uniform(0, 4)))
        p0, p1 = size / (size + mean), size / (size + rate * mean)
        yield {
            "x": x, "mean": mean, "size": size, "rate": rate,
            "ratio": float(nbinom.logpmf(x, size, p1) - nbinom.logpmf(x, size, p0)),
            "low": float(nbinom.ppf(0.005, size, p0)), "high": float(nbinom.ppf(0.995, size, p0)),
        }


def failures():
    for _ in range(60):
        n = int(rng.integers(1, 400))
        f = int(rng.integers(0, n + 1))
        p, s, odds = float(rng.uniform(0.01, 0.5)), float(rng.uniform(2, 60)), float(rng.choice([3, 8]))
        q = odds * p / (1 - p + odds * p)
        yield {
            "f": f, "n": n, "p": p, "s": s, "odds": odds,
            "ratio": float(betabinom.logpmf(f, n, q * s, (1 - q) * s) - betabinom.logpmf(f, n, p * s, (1 - p) * s)),
        }


print(json.dumps({"counts": list(counts()), "failures": list(failures())}, indent=1))
