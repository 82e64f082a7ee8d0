"""Variance components of crossed random intercepts by restricted maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg, optimize, sparse

# What a ratio of 0 comes back as.
LEAST = 1e-12


def variance_ratios(y: np.ndarray, x: np.ndarray, levels: Sequence[np.ndarray]) -> np.ndarray:
    """Variances of random intercepts as shares of the residual variance, by REML (Patterson & Thompson 1971).

    ``y = x b + sum over j of z_j u_j + e`` with u_j of variance r_j s2 and e of s2. With Z = [z_1 ...], D the diagonal
    of the ratios and M = I + sqrt(D) Z'Z sqrt(D) (Henderson's equations), -2 log likelihood is, but for a constant,
    ``log |M| + log |A_xx| + (n - p) log(A_yy - A_yx inv(A_xx) A_xy)`` where A = W'W - W'Z sqrt(D) inv(M) sqrt(D) Z'W
    for W = [x y]: nothing of size n x n, and nothing of length n after the first products.

    Parameters
    ----------
    y : (n,)
    x : (n, p) of full rank
    levels : of each component, the number from 0 of the level of every row, (n,) integers

    Returns
    -------
    (components,) ratios r_j, at least 1e-12
    """
    n, p = x.shape
    # The component with most levels first: its part of Z'Z is diagonal, and the rest is solved without it.
    order = np.argsort([-int(one.max()) for one in levels], kind="stable")
    sizes = [int(levels[j].max()) + 1 for j in order]
    z = sparse.hstack(
        [sparse.csr_array((np.ones(n), (np.arange(n), levels[j]))) for j in order], format="csr"
    )
    w = np.column_stack([x, y])
    zz, zw, ww = (z.T @ z).toarray(), z.T @ w, w.T @ w
    first, rest = slice(0, sizes[0]), slice(sizes[0], None)

    def deviance(ratios: np.ndarray) -> float:
        d = np.repeat(np.sqrt(ratios[order]), sizes)
        root = np.sqrt(1 + np.diag(zz)[first] * d[first] ** 2)
        across = (d[first] / root)[:, None] * zz[first, rest] * d[rest]
        u = (d[first] / root)[:, None] * zw[first]
        m = d[rest, None] * zz[rest, rest] * d[rest] - across.T @ across
        m[np.diag_indices_from(m)] += 1
        factor = linalg.cholesky(m, lower=True)
        v = linalg.solve_triangular(factor, d[rest, None] * zw[rest] - across.T @ u, lower=True)
        a = linalg.cholesky(ww - u.T @ u - v.T @ v, lower=True)
        # The last diagonal entry of the factor of A is the root of the residual sum of squares.
        logs = [np.log(root).sum(), np.log(np.diag(factor)).sum(), np.log(np.diag(a)[:p]).sum()]
        return 2 * float(sum(logs) + (n - p) * np.log(a[p, p]))

    # Over roots it goes fast, but stays at 0 once there, since the slope is 0; over ratios it leaves if that is better.
    roots = _least(lambda r: deviance(r**2), np.full(len(levels), 0.5), LEAST**0.5)
    return _least(deviance, roots**2, LEAST)


def satterthwaite(
    x: np.ndarray, levels: Sequence[np.ndarray], variances: np.ndarray, residual: float
) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of fixed effects and their degrees of freedom (Satterthwaite 1946; Giesbrecht & Burns 1985).

    With C = inv(X' inv(V) X) and the variances' expected information I, I_ij = tr(P V_i P V_j) / 2 where V_i = z_i z_i'
    (the identity for the residual) and P = inv(V) - inv(V) X C X' inv(V): df = 2 C_ll^2 / (g' inv(I) g) with
    g_i = dC_ll / d variance_i = |z_i' inv(V) X C_l|^2. Nothing of size n x n: P V P = P gives the residual's terms.

    Parameters
    ----------
    x : (n, p) of full rank
    levels : of each component, the number from 0 of the level of every row
    variances : (components,), above 0
    residual : float, above 0

    Returns
    -------
    (p,), (p,)
        sqrt(C_ll), and df.
    """
    n, p = x.shape
    sizes = [int(one.max()) + 1 for one in levels]
    z = sparse.hstack([sparse.csr_array((np.ones(n), (np.arange(n), one))) for one in levels], format="csr")
    d = np.repeat(np.sqrt(np.asarray(variances) / residual), sizes)
    zz, zx = (z.T @ z).toarray(), z.T @ x
    m = d[:, None] * zz * d
    m[np.diag_indices_from(m)] += 1
    u = linalg.solve_triangular(linalg.cholesky(m, lower=True), d[:, None] * np.hstack([zz, zx]), lower=True)
    q = len(d)
    of_zz, of_zx = zz - u[:, :q].T @ u[:, :q], zx - u[:, :q].T @ u[:, q:]
    c = linalg.inv((x.T @ x - u[:, q:].T @ u[:, q:]) / residual)
    of_zx /= residual
    projected = of_zz / residual - of_zx @ c @ of_zx.T
    parts = np.split(np.arange(q), np.cumsum(sizes)[:-1])
    k = len(parts)
    information = np.empty((k + 1, k + 1))
    for i, a in enumerate(parts):
        for j, b in enumerate(parts):
            information[i, j] = (projected[np.ix_(a, b)] ** 2).sum()
    traces = np.array([np.trace(projected[np.ix_(a, a)]) for a in parts])
    with_rest = (traces - information[:k, :k] @ variances) / residual
    trace = (n - p - traces @ variances) / residual
    information[:k, k] = information[k, :k] = with_rest
    information[k, k] = (trace - with_rest @ variances) / residual
    slopes = np.stack([((of_zx[a] @ c) ** 2).sum(axis=0) for a in parts])
    own = np.diag(c)
    slopes = np.vstack([slopes, (own - variances @ slopes) / residual])
    spread = (slopes * np.linalg.solve(information / 2, slopes)).sum(axis=0)
    return np.sqrt(own), 2 * own**2 / spread


def _least(function: Callable[[np.ndarray], float], start: np.ndarray, bound: float) -> np.ndarray:
    found = optimize.minimize(
        function,
        start,
        method="L-BFGS-B",
        jac="3-point",
        bounds=[(bound, None)] * start.size,
        options={"ftol": 1e-13, "gtol": 1e-5, "maxiter": 500},
    )
    return np.asarray(found.x)
