"""Methods of a fitted MICLClassifier that use the codes of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skredu._checks import has_gaps
from skredu._compat import namespace, to_numpy
from skredu.classification._single import explained
from skredu.coding._classes import Classes
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
    _adds_up: Any
    _merged: Any
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
        return Bunch(**explained(self, X))

    def denoise(self, X: Any) -> Any:
        r"""Project each sample on the subspace of its class.

        The subspace passes through the mean of the class, or through the origin with
        ``assume_centered``. It contains the principal directions in which the variance
        of the class exceeds :math:`\epsilon^2 / d`; variations in all other directions
        are smaller than the distortion. Before, each missing feature is replaced by its
        mean given the observed ones, in a class with the covariance
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
        scatters, found = self._merged(self._stream).scatters, np.empty_like(X)
        fitted = self._stream["parameters"]
        options = fitted["symmetry"], fitted["signal_shape"], X.shape[1]
        images = permutations_of(*options)
        for j in np.unique(labels):
            scatter = scatters[j]
            if images is not None:
                scatter = symmetric(scatter, images)
            found[labels == j] = _denoised(X[labels == j], scatter, self._epsilon)
        place = {"dtype": like.dtype, "device": like.device}
        return namespace(like).asarray(found * self._unit, **place)

    def _check_linear(self, method: str) -> None:
        """Raise an error if the kernel is not linear."""
        if "_mix" in vars(self) or not self._adds_up:
            raise ValueError(
                f"{method} needs a linear kernel, which adds up over features, found "
                f"kernel={self.kernel!r} and n_neighbors={self.n_neighbors}."
            )


def _denoised(X: Any, scatter: Any, epsilon: float) -> Any:
    """Return projections of samples on the subspace of their class."""
    noise, mean = epsilon**2 / X.shape[1], to_numpy(scatter.mean).astype(np.float64)
    if np.isnan(X).any():
        covariance = to_numpy(scatter.dense()).astype(np.float64) / (
            scatter.count or 1.0
        )
        X = completed(X, mean, covariance + noise * np.eye(len(mean)))
    group = Classes.of_scatters([scatter]).groups[0]
    values, basis = (
        to_numpy(part[0, ...]) for part in (group.eigenvalues, group.basis)
    )
    varying = slice(None) if group.varying is None else to_numpy(group.varying)
    directions = np.zeros((X.shape[1], len(values)))
    directions[varying] = basis
    return project_on(X, mean, directions[:, values > scatter.count * noise])
