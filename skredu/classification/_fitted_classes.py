"""Methods of a fitted MICLClassifier that use the codes of its classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skredu._checks import has_gaps
from skredu._compat import namespace, to_numpy
from skredu.classification._single import NEEDED, restored, scores_of
from skredu.coding._linalg import softmax
from skredu.coding._missing import denoised
from skredu.coding._rows import in_unit
from skredu.coding._scatter import principal_directions
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
    _decided: Any
    temperature_: float
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
            raise ValueError(
                "X contains NaN: explain needs all features of a sample. Complete them "
                "first, such as by X = np.where(np.isnan(X), model.denoise(X), X)."
            )
        fitted = {name: getattr(self, name) for name in NEEDED}
        classes, Z = restored(fitted, X)
        bits = classes.by_feature(Z, self._epsilon) / -math.log(2.0)
        xp, scores = namespace(bits), scores_of(fitted, X)
        shown = self._decided(scores)
        if shown.ndim == 1:
            bits = bits[:, :, 1] - bits[:, :, 0]
            sizes = xp.abs(bits)
        else:  # relative to all classes together
            shares = softmax(scores * (math.log(2.0) / self.temperature_))
            bits = bits - xp.sum(shares[:, None, :] * bits, axis=2, keepdims=True)
            sizes = xp.mean(xp.abs(bits), axis=2)
        base, importances = shown - xp.sum(bits, axis=1), xp.mean(sizes, axis=0)
        return Bunch(bits=bits, base=base, importances=importances)

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
        permutations = permutations_of(symmetry, grid, X.shape[1])
        noise = self._epsilon**2 / X.shape[1]
        for j in np.unique(labels):
            scatter = scatters[j]
            if permutations is not None:
                scatter = symmetric(scatter, permutations)
            about = scatter.mean, *principal_directions(scatter)
            mean, values, basis = (to_numpy(a).astype(np.float64) for a in about)
            Z = X[labels == j]
            found[labels == j] = denoised(Z, scatter.count, mean, values, basis, noise)
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
