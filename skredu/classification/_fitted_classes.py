r"""Methods of a fitted MICLClassifier that use the codes of its classes.

`explain` divides the extra nats of a sample between its features. With the differences
:math:`z = x - \mu` from the mean of a group, the logarithm in

.. math:: \delta L = \frac{n+1+d}{2} \log\Bigl(1 + \sum_i q_i\Bigr) + \ldots, \quad
    q_i = c f\, z_i \, [(I + cS)^{-1} z]_i

is divided in proportion to the terms :math:`q_i` of its argument,
and so is the change of the term of the mean in proportion to the changes of
:math:`\mu_i^2`. What is left, the change of the determinant of the group by its new
weight, is the same for all samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skredu._checks import has_gaps
from skredu._compat import namespace, to_numpy
from skredu.classification._single import NEEDED, restored, scores_of
from skredu.coding._classes import Classes
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Group
from skredu.coding._linalg import (
    adjoint_product,
    blocks_of_rows,
    coordinates,
    softmax,
    widen,
)
from skredu.coding._missing import completed
from skredu.coding._rows import in_unit, project_on
from skredu.coding._symmetry import permutations_of, symmetric


class FittedClasses:
    """Mixin of `MICLClassifier` for what its classes say about samples."""

    kernel: Any
    n_neighbors: int | None
    # Methods and attributes of other base classes.
    _check_rows: Any
    _scores: Any
    _merged_scatters: Any
    _stream: Any
    _epsilon: float
    _unit: float

    def explain(self, X: Any) -> Bunch:
        """Divide the scores of samples between their features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        explanation : Bunch
            - ``bits``: ndarray of shape (n_samples, n_features, n_classes), or
              (n_samples, n_features) for two classes. The bits by which each feature
              speaks for a class, relative to the mean over all classes, weighted by
              their probabilities; for two classes, those by which it speaks for the
              second one.
            - ``base``: ndarray of shape (n_samples, n_classes) or (n_samples,). What no
              feature contributes: the label code and the sizes of the classes. The sum
              of the bits over all features plus the base equals `decision_function`.
            - ``importances``: ndarray of shape (n_features,). Mean size of the bits of
              each feature, over these samples and the classes.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data, or if the kernel is not
            linear, because others code features together.

        See Also
        --------
        skredu.plotting.BitsDisplay : Shows an explanation.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skredu import MICLClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MICLClassifier().fit(X, y)
        >>> found = model.explain(X)
        >>> total = found.bits.sum(axis=1) + found.base
        >>> bool(abs(total - model.decision_function(X)).max() < 1e-9)
        True
        """
        X = self._check_rows(X, "explain")
        self._check_linear("explain")
        if has_gaps(X):
            raise ValueError("X contains NaN: explain needs all features of a sample.")
        return Bunch(**_explained(self, X))

    def denoise(self, X: Any) -> Any:
        r"""Project each sample on the subspace of its class.

        The subspace passes through the mean of the class, or through the origin with
        ``assume_centered``. It contains the principal directions in which the variance
        of the class exceeds :math:`\epsilon^2 / d`; variations in all other directions
        are smaller than the distortion. Missing features are first replaced by their
        means given the observed ones, in a class with the covariance
        :math:`S/n + (\epsilon^2 / d) I`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        X_denoised : ndarray of shape (n_samples, n_features)
            The projections on the subspaces of the classes that `predict` returns.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data, or if the kernel is not
            linear.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skredu import MICLClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MICLClassifier().fit(X, y)
        >>> model.denoise([[5.0, 3.4, float("nan"), 0.2]]).round(1).tolist()
        [[5.0, 3.4, 1.4, 0.2]]
        """
        X = self._check_rows(X, "denoise")
        self._check_linear("denoise")
        labels = to_numpy(namespace(X).argmax(self._scores(X), axis=1))
        like, X = X, to_numpy(in_unit(X, self._unit)).astype(np.float64)
        scatters, found = self._merged_scatters(), np.empty_like(X)
        fitted = self._stream["parameters"]  # those of the estimator may have changed
        symmetry, grid = fitted["symmetry"], fitted["signal_shape"]
        images = permutations_of(symmetry, grid, X.shape[1])
        for j in np.unique(labels):
            scatter = scatters[j]
            if images is not None:
                scatter = symmetric(scatter, images)
            found[labels == j] = _denoised(X[labels == j], scatter, self._epsilon)
        place = {"dtype": like.dtype, "device": like.device}
        return namespace(like).asarray(found * self._unit, **place)

    def _check_linear(self, method: str) -> None:
        """Raise an error if the model was fitted with a kernel that is not linear."""
        if "_mix" in vars(self) or "_stream" not in vars(self):
            raise ValueError(
                f"{method} needs a linear kernel, which adds up over features, in the "
                f"last fit. The parameters are kernel={self.kernel!r} and "
                f"n_neighbors={self.n_neighbors} now."
            )


def _explained(estimator: Any, X: Any) -> dict[str, Any]:
    """Return what the scores of samples consist of; see `MICLClassifier.explain`."""
    fitted = {name: getattr(estimator, name) for name in NEEDED}
    (classes, Z), epsilon = restored(fitted, X), fitted["_epsilon"]
    xp, (_, d, n), parts = namespace(Z), Z.shape, []
    for block in blocks_of_rows(n, 4 * d * len(classes.groups)):
        part = Z[:, :, block]
        nats = [nats_by_feature(group, part, epsilon)[0] for group in classes.groups]
        parts.append(xp.stack(nats, axis=2) / -math.log(2.0))
    bits, scores = xp.concat(parts), scores_of(fitted, X)
    shown = estimator._decided(scores)
    if shown.ndim == 1:
        bits = bits[:, :, 1] - bits[:, :, 0]
        sizes = xp.abs(bits)
    else:  # relative to all classes together
        shares = softmax(scores * (math.log(2.0) / fitted["temperature_"]))
        bits = bits - xp.sum(shares[:, None, :] * bits, axis=2, keepdims=True)
        sizes = xp.mean(xp.abs(bits), axis=2)
    base = shown - xp.sum(bits, axis=1)
    return {"bits": bits, "base": base, "importances": xp.mean(sizes, axis=0)}


def _denoised(X: Any, scatter: Any, epsilon: float) -> Any:
    """Return projections of samples on the subspace of their class."""
    noise, mean = epsilon**2 / X.shape[1], to_numpy(scatter.mean).astype(np.float64)
    if np.isnan(X).any():
        S = to_numpy(scatter.dense()).astype(np.float64)
        covariance = S / (scatter.count or 1.0) + noise * np.eye(len(mean))
        X = completed(X, mean, covariance)
    group = Classes.of_scatters([scatter]).groups[0]
    values, basis = to_numpy(group.eigenvalues[0, :]), to_numpy(group.basis[0, ...])
    varying = slice(None) if group.varying is None else to_numpy(group.varying)
    directions = np.zeros((X.shape[1], len(values)))
    directions[varying] = basis
    return project_on(X, mean, directions[:, values > scatter.count * noise])


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
    path = xp.full_like(group.blocks.counts[:1], epsilon)
    return nats, group.extra(Z, path)[:, 0] - xp.sum(nats, axis=1)


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
