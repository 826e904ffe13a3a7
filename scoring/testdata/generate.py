"""Writes statistics.json: reference values for the package's distributions.

SciPy computes them by other routes than the package does: sums of probability
mass, numerical quadrature, the beta distribution. Run it by hand after a change
of what is tested; the tests read only the JSON.

    python3 generate.py
"""

import json
import math

import numpy as np
from scipy import integrate, special, stats


def nb(mean, r):
    return stats.nbinom(r, r / (r + mean))


def log_nb_tail(k, mean, r):
    """ln P(X >= k) as a sum of probability mass, which has no smallest value."""
    d = nb(mean, r)
    sf = d.sf(k - 1)
    if sf > 1e-3:
        return math.log(sf)
    n = int(max(50 * (mean + math.sqrt(mean + mean * mean / r)), 4 * k, 2000))
    return float(special.logsumexp(d.logpmf(np.arange(k, k + n))))


def log_bernoulli(n, k, p0):
    """ln of the mixture of likelihood ratios over [p0, 1], by quadrature."""

    def log_ratio(t):
        out = 0.0
        if k > 0:
            out += k * math.log(t / p0)
        if n > k:
            out += (n - k) * math.log((1 - t) / (1 - p0))
        return out

    peak = min(max(k / n, p0), 1 - 1e-12)
    width = max(math.sqrt(peak * (1 - peak) / n), 1e-6)
    scale = log_ratio(peak)
    edges = [p0, 1.0] + [peak + m * width for m in (-40, -10, -3, 0, 3, 10, 40)]
    edges = sorted({min(max(e, p0), 1.0) for e in edges})

    def likelihood(t):
        return math.exp(log_ratio(t) - scale) if t < 1 or n == k else 0.0

    total = 0.0
    for a, b in zip(edges, edges[1:]):
        total += integrate.quad(likelihood, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
    return scale + math.log(total) - math.log1p(-p0)


def conformal_rank(n, alpha, delta=0.05):
    """Largest j with P(Beta(j, n+1-j) > alpha) <= delta, by trying each."""
    j = 0
    while j < n and stats.beta(j + 1, n - j).sf(alpha) <= delta:
        j += 1
    return j


def smallest_n(alpha, delta=0.05):
    n = 1
    while stats.beta(1, n).sf(alpha) > delta:
        n += max(1, n // 2) if stats.beta(1, 2 * n).sf(alpha) > delta else 1
    return n


out = {}
out["negative_binomial"] = [
    {"k": k, "mean": m, "size": r, "log_tail": log_nb_tail(k, m, r)}
    for m in (0.05, 0.7, 3, 25, 400)
    for r in (0.2, 1, 7.5, 50, 900)
    for k in sorted({1, 2, 5, 30, int(m) + 1, int(3 * m) + 1, int(20 * m) + 3})
]
out["negative_binomial_quantile"] = [
    {"q": q, "mean": m, "size": r, "k": int(nb(m, r).ppf(q))}
    for m in (0.05, 0.7, 3, 25, 400)
    for r in (0.2, 1, 7.5, 50, 900)
    for q in (0.005, 0.25, 0.5, 0.9, 0.995)
]
out["student"] = [
    {"t": t, "nu": nu, "log_tail": float(stats.t.logsf(t, nu))}
    for nu in (1, 3, 6, 30, 200)
    for t in (-40, -3.707, -1, -1e-9, 0, 1e-6, 0.5, 1, 3.707, 12, 90, 400)
]
out["student_99"] = float(stats.t.ppf(0.995, 6))
out["bernoulli"] = [
    {"n": n, "k": k, "p0": p0, "log_m": log_bernoulli(n, k, p0)}
    for n in (1, 2, 8, 13, 100, 2500)
    for p0 in (0.01, 0.1, 0.35, 0.6, 0.9)
    for k in sorted({0, 1, n // 4, n // 2, int(0.97 * n), n})
]
out["conformal_rank"] = [
    {"n": n, "alpha": a, "j": conformal_rank(n, a)}
    for a in (1e-4, 1e-3, 1e-2, 0.05)
    for n in (10, 58, 59, 298, 299, 1000, 2994, 2995, 2996, 29955, 29956, 29957, 50000, 200000)
]
out["smallest_n"] = [{"alpha": a, "n": smallest_n(a)} for a in (1e-2, 1e-3, 1e-4)]

for rows in out.values():
    if isinstance(rows, list):
        for row in rows:
            for k, v in row.items():
                assert v == v and abs(v) != math.inf, row

with open("statistics.json", "w", encoding="ascii") as f:
    f.write("{\n")
    for i, (name, rows) in enumerate(out.items()):
        f.write(("" if i == 0 else ",\n") + f' "{name}": ')
        if isinstance(rows, list):
            f.write("[\n  " + ",\n  ".join(json.dumps(r) for r in rows) + "\n ]")
        else:
            f.write(json.dumps(rows))
    f.write("\n}\n")
