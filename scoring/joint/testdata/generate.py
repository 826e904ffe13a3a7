"""Writes reference.json: reference values for the joint model.

NumPy, SciPy and scikit-learn compute them by other routes than the package does:
Mahalanobis distances by scikit-learn, conditional moments by block regression,
Brown's method by SciPy's chi-squared. Run it by hand after a change of what is
tested; the tests read only the JSON.

    python3 generate.py
"""

import json

import numpy as np
from scipy import stats
from sklearn.covariance import EmpiricalCovariance


def copula():
    rng = np.random.default_rng(3)
    for d, n in ((2, 40), (5, 200), (24, 1000)):
        a = rng.normal(size=(d, d))
        z = rng.normal(size=(n, d)) @ a
        z = np.round(np.clip(z / z.std(0), -4, 4), 6)
        k = d + 10
        r = (z.T @ z + k * np.eye(d)) / (n + k)
        # A feature that varies less than a standard normal has noise of its own.
        r[np.diag_indices(d)] = np.maximum(np.diag(r), 1)
        x = np.round(rng.normal(size=d) * 2, 6)
        cov = EmpiricalCovariance(assume_centered=True)
        cov.location_, cov.precision_ = np.zeros(d), np.linalg.inv(r)
        cases = []
        for missing in ([], [0], list(range(1, d, 2))):
            o = [j for j in range(d) if j not in missing]
            sub = EmpiricalCovariance(assume_centered=True)
            sub.location_, sub.precision_ = np.zeros(len(o)), np.linalg.inv(r[np.ix_(o, o)])
            expected, variance, drop = [], [], []
            for j in o:
                rest = [i for i in o if i != j]
                w = np.linalg.solve(r[np.ix_(rest, rest)], r[rest, j]) if rest else np.zeros(0)
                e, v = float(w @ x[rest]), float(r[j, j] - w @ r[rest, j])
                y = x.copy()
                y[j] = e
                p = sub.precision_
                expected.append(e)
                variance.append(v)
                drop.append(float(x[o] @ p @ x[o] - y[o] @ p @ y[o]))
            cases.append({
                "missing": missing, "distance": float(sub.mahalanobis(x[None, o])[0]),
                "expected": expected, "variance": variance, "drop": drop,
            })
        yield {
            "d": d, "rows": z.ravel().tolist() if n <= 200 else [], "x": x.tolist(),
            "correlation": r[np.tril_indices(d)].tolist(), "cases": cases,
        }


def brown():
    for cov in (0, 0.5, 1.7, 3.2, 4):
        for l1, l2 in ((0, 0), (-0.05, -0.2), (-1, -0.3), (-3, -4), (-20, -1), (-80, -90)):
            # Fisher's statistic, scaled to its mean and variance (Brown 1975).
            x, mean, var = -2 * (l1 + l2), 4, 8 + 2 * cov
            c, f = var / (2 * mean), 2 * mean**2 / var
            yield {"covariance": cov, "log_p1": l1, "log_p2": l2, "log_p": float(stats.chi2.logsf(x / c, f))}


def welch():
    rng = np.random.default_rng(5)
    for n1, n0 in ((5, 20), (12, 38)):
        a, b = np.round(rng.normal(1, 1, n1), 6), np.round(rng.normal(0, 2, n0), 6)
        yield {"with": a.tolist(), "without": b.tolist(), "t": float(stats.ttest_ind(a, b, equal_var=False).statistic)}


with open("reference.json", "w") as f:
    json.dump({"copula": list(copula()), "brown": list(brown()), "welch": list(welch())}, f, indent=1)
    f.write("\n")
