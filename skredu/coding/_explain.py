r"""Extra nats of a sample as a sum over its features.

With the differences :math:`z = x - \mu` from the mean of a group, the logarithm in

.. math:: \delta L = \frac{n+1+d}{2} \log\Bigl(1 + \sum_i q_i\Bigr) + \ldots, \quad
    q_i = c f\, z_i \, [(I + cS)^{-1} z]_i

is divided between the features in proportion to the terms :math:`q_i` of its argument,
and so is the change of the term of the mean in proportion to the changes of
:math:`\mu_i^2`. What is left, the change of the determinant of the group by its new
weight, is the same for all samples.
"""

from __future__ import annotations

from typing import Any

from skredu._compat import namespace
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Group
from skredu.coding._linalg import adjoint_product, coordinates, widen


def nats_by_feature(
    group: Group | DenseGroup, Z: Any, epsilon: float
) -> tuple[Any, Any]:
    """Divide the extra nats of samples between their features.

    Parameters
    ----------
    group : Group or DenseGroup
        A group of vectors.
    Z : array of shape (1, d, b)
        Features of the samples.
    epsilon : float
        The distortion.

    Returns
    -------
    nats : array of shape (b, d)
        Nats of each feature, in double precision; negative where a feature makes the
        sample more likely, given the others.
    base : array of shape (b,)
        The remaining nats. All together, they sum to ``group.extra(Z, epsilon)``.
    """
    xp, n, d = namespace(Z), group.n, group.blocks.dim
    c = float(group.blocks.scale(n + 1.0, epsilon)[0])
    X = widen(Z[0, ...].T)
    mean = None if group.mean is None else widen(group.mean)
    growth = 1.0 if mean is None else n / (n + 1.0)
    rows = X if mean is None else X - mean
    q = c * growth * rows * _solved(group, rows, c)
    total = xp.sum(q, axis=1)
    nats = (n + 1.0 + d) / 2.0 * q * _slope(xp.zeros_like(total), total)[:, None]
    if mean is not None and group.codes_mean:
        before = (mean / epsilon) ** 2
        after = ((n * mean + X) / (n + 1.0) / epsilon) ** 2
        sums = xp.sum(before) + xp.zeros_like(total), xp.sum(after, axis=1)
        nats = nats + d / 2.0 * (after - before) * _slope(*sums)[:, None]
    return nats, group.extra(Z, epsilon) - xp.sum(nats, axis=1)


def _slope(a: Any, b: Any) -> Any:
    """Return the mean slope of ``log(1 + x)`` between arrays of numbers."""
    xp, step = namespace(a), (b - a) / (1.0 + a)
    small = xp.abs(step) < 1e-12
    step = xp.where(small, xp.ones_like(step), step)
    return xp.where(small, xp.ones_like(step), xp.log1p(step) / step) / (1.0 + a)


def _solved(group: Any, rows: Any, c: float) -> Any:
    """Return ``(I + c S)^{-1} z`` of rows (b, d), in double precision."""
    xp, varying = namespace(rows), group.varying
    inner = rows if varying is None else xp.take(rows, varying, axis=1)
    Z = inner.T[None, ...]
    if isinstance(group, DenseGroup):
        W = widen(group.form_matrix(1))
        found = W @ adjoint_product(W, Z)
    else:
        V, scaled = widen(group.basis), c * group.eigenvalues[0, :]
        shares = (scaled / (1.0 + scaled))[:, None]
        found = Z - V @ (shares * coordinates(V, Z))
    found = found[0, ...].T
    if varying is None:
        return found
    places = xp.argsort(xp.concat([varying, group.constant]))
    rest = xp.take(rows, group.constant, axis=1)
    return xp.take(xp.concat([found, rest], axis=1), places, axis=1)
