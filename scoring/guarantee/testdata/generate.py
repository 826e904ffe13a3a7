"""Writes reference.json: reference values for the guarantee's statistics.

SciPy computes them by its own routes. Run it by hand after a change of what is
tested; the tests read only the JSON.

    python3 generate.py
"""

import json

import numpy as np
from scipy import stats


def rank(n, alpha, delta):
    """The largest j with P(Bin(n, alpha) < j) <= delta."""
    j = 0
    while j < n and stats.binom.cdf(j, n, alpha) <= delta:
        j += 1
    return j


def ranks():
    for n in (10, 100, 2301, 2302, 2303, 2994, 2995, 2996, 29955, 29956, 29957, 100000):
        for alpha in (0.1, 0.01, 0.001, 0.0001):
            for delta in (0.1, 0.05):
                yield {"n": n, "alpha": alpha, "delta": delta, "j": rank(n, alpha, delta)}


def smallest():
    for alpha in (0.05, 0.01, 0.001, 0.0001, 0.00001):
        for delta in (0.1, 0.05, 0.01):
            n = 1
            n = int(np.floor(np.log(delta) / np.log1p(-alpha))) - 2
            n = max(n, 1)
            while stats.binom.cdf(0, n, alpha) > delta:
                n += 1
            yield {"alpha": alpha, "delta": delta, "n": n}


def counts():
    for n, j, m in ((3000, 1, 20000), (3000, 21, 20000), (100, 5, 50), (100000, 90, 1000000), (10, 10, 7), (10, 1, 3)):
        for c in (0.9, 0.95, 0.99):
            tail = (1 - c) / 2
            d = stats.betabinom(m, j, n + 1 - j)
            b = stats.beta(j, n + 1 - j)
            yield {
                "n": n, "j": j, "m": m, "confidence": c,
                "low": int(d.ppf(tail)), "high": int(d.ppf(1 - tail)),
                "rate_low": float(b.ppf(tail)), "rate_high": float(b.ppf(1 - tail)),
            }


def clopper_pearson():
    for k, n in ((0, 10), (10, 10), (1, 10), (3, 1000), (50, 100), (7, 1000000)):
        for c in (0.9, 0.95, 0.99):
            r = stats.binomtest(k, n).proportion_ci(c, method="exact")
            yield {"k": k, "n": n, "confidence": c, "low": float(r.low), "high": float(r.high)}


def pareto():
    rng = np.random.default_rng(7)
    for shape, scale in ((0.0, 1.0), (0.2, 3.0), (0.35, 0.5), (-0.1, 2.0)):
        y = np.round(np.sort(stats.genpareto(shape, scale=scale).rvs(400, random_state=rng)), 9)
        best = None
        # SciPy's optimiser stops early from some starts: take the likeliest.
        for start in (-0.15, 0.01, 0.1, 0.3):
            c, _, s = stats.genpareto.fit(y, start, floc=0, scale=y.mean(), method="MLE")
            ll = stats.genpareto.logpdf(y, c, 0, s).sum()
            if best is None or ll > best[0]:
                best = (ll, c, s)
        _, c, s = best
        d = stats.genpareto(c, scale=s)
        xs = [float(np.quantile(y, q)) for q in (0.1, 0.5, 0.9, 1)] + [float(y[-1] * 1.05)]
        yield {
            "excesses": y.tolist(), "shape": float(c), "scale": float(s),
            "x": xs, "log_tail": [float(d.logsf(x)) for x in xs],
            "p": [0.5, 0.1, 0.01, 0.001], "quantile": [float(d.isf(p)) for p in (0.5, 0.1, 0.01, 0.001)],
        }


with open("reference.json", "w") as f:
    json.dump(
        {
            "rank": list(ranks()), "smallest": list(smallest()), "count": list(counts()),
            "clopper_pearson": list(clopper_pearson()), "pareto": list(pareto()),
        },
        f, indent=1,
    )
    f.write("\n")
