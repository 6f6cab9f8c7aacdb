"""NearestSubspaceClassifier: predict the class of the smallest residual."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from skredu._base import all_or_nothing
from skredu._checks import check_range, check_training
from skredu._classifiers import ScoringClassifier
from skredu._compat import (
    ARRAY_API_SUPPORT,
    Interval,
    RealNotInt,
    count,
    namespace,
    to_numpy,
)
from skredu._stream import StreamClassifier
from skredu.coding._linalg import blocks_of_rows, largest
from skredu.coding._rows import Rows, unit_of
from skredu.coding._scatter import Scatter, principal_directions


class NearestSubspaceClassifier(ScoringClassifier, StreamClassifier):
    r"""Classifier based on the distances to one subspace per class.

    The leading singular vectors :math:`U_j` of the samples of each class span its
    subspace, and a sample is assigned to the class with the smallest residual,

    .. math:: \arg\min_j \; \| (I - U_j U_j^T)(x - \mu_j) \|.

    The classifier is suitable for features whose classes lie on subspaces, such as
    those that maximise the rate reduction.

    Parameters
    ----------
    n_components : int or float, default=0.95
        Dimension of the subspaces, or the smallest share of the sum of squares of each
        class that its subspace has to contain. A class with fewer directions keeps all
        of them. The dimension should be well below the number of features: subspaces
        that fill the space leave no residual, so they cannot separate the classes.
    assume_centered : bool, default=True
        Whether the subspaces contain the origin. If False, they contain the mean of
        each class.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    components_ : list of n_classes arrays of shape (n_components, n_features)
        Orthonormal vectors, one per row, that span the subspace of each class.
    means_ : ndarray of shape (n_classes, n_features)
        Points that the subspaces contain; zero if ``assume_centered=True``. NaN for
        classes without a sample so far.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    MICLClassifier : Weights all directions by their coding length.

    Notes
    -----
    ``fit`` takes :math:`O(\sum_j n_j d \min(n_j, d))` operations, and the prediction of
    a sample takes :math:`O(d \sum_j r_j)`. The model contains
    :math:`d \sum_j (r_j + 1)` numbers, and, for `partial_fit` and `merge`,
    :math:`d \sum_j \min(n_j, d)` numbers of scatters; no ``d x d`` array is formed if
    :math:`n_j \le d`. Array API input is supported. After `partial_fit`, subspaces are
    computed when a prediction or an attribute first needs them.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from skredu import NearestSubspaceClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NearestSubspaceClassifier(n_components=12)
    >>> bool(cross_val_score(model, X, y).mean() > 0.94)
    True
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "assume_centered": ["boolean"],
    }
    _reference = "means_"
    _following = ("components_", "means_")
    _constant = ("assume_centered",)
    class_weight = None

    def __init__(
        self, n_components: float = 0.95, *, assume_centered: bool = True
    ) -> None:
        self.n_components = n_components
        self.assume_centered = assume_centered

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = ARRAY_API_SUPPORT
        # subspaces do not separate all classes
        tags.classifier_tags.poor_score = True
        return tags

    @all_or_nothing
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> NearestSubspaceClassifier:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent.

        Returns
        -------
        self : NearestSubspaceClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        self._validate_params()
        X, y, weights = check_training(self, X, y, sample_weight)
        rows = Rows.of(X, y, check_range(weights))
        self._forget()
        self.classes_, self._unit = rows.classes, unit_of(rows.X)
        scatters = self._scatters(rows)
        self._begin_stream(scatters, len(rows.y), None)
        self.__dict__.update(self._subspaces(scatters))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    _adds_up = True

    def _scatters(self, rows: Rows) -> list[Scatter]:
        return rows.scaled(self._unit).scatters(self.assume_centered)

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        """Return the subspaces for the parameters at the time of the last call."""
        twin = self._with_last_parameters(stream)
        return twin._subspaces(twin._merged(stream).scatters)

    def _subspaces(self, scatters: list[Scatter]) -> dict[str, Any]:
        """Return the fitted attributes."""
        nothing = [0.0 if scatter.count else math.nan for scatter in scatters]
        pairs = zip(scatters, nothing, strict=True)
        means = [s.mean * self._unit + missing for s, missing in pairs]
        return {
            "components_": [self._leading(scatter) for scatter in scatters],
            "means_": namespace(means[0]).stack(means),
        }

    def _leading(self, scatter: Scatter) -> Any:
        """Return orthonormal vectors, one per row, of the subspace of a class."""
        xp, mean = namespace(scatter.mean), scatter.mean
        eigenvalues, basis = principal_directions(scatter)
        order = xp.argsort(-eigenvalues, stable=True)
        eigenvalues = xp.take(eigenvalues, order)
        top = eigenvalues[0] if eigenvalues.shape[0] else 0.0
        floor = mean.shape[0] * float(xp.finfo(mean.dtype).eps)
        rank = count(eigenvalues > floor * top)
        if self.n_components >= 1:
            rank = min(rank, int(self.n_components))
        elif rank:
            energy = np.cumsum(to_numpy(eigenvalues))
            missing = energy < self.n_components * energy[-1]
            rank = min(rank, int(missing.sum()) + 1)
        return xp.take(basis.T, order[:rank], axis=0)

    def _scores(self, X: Any) -> Any:
        """Return the residual norms of samples with a minus sign, of shape (n, k)."""
        xp = namespace(X)
        dtype = xp.result_type(X.dtype, self.means_.dtype)
        place = {"dtype": dtype, "device": X.device}
        most = float(xp.finfo(dtype).max) / 4.0 / X.shape[1] ** 0.5
        zeros = xp.zeros_like(self.means_)
        centres = xp.where(xp.isnan(self.means_), zeros, self.means_)
        if max(largest(X), largest(centres)) > most:
            raise ValueError(
                f"X contains an entry of {largest(X):.3g} and means_ one of "
                f"{largest(centres):.3g}: distances are finite for entries of at "
                f"most {most:.3g}. Scale the samples."
            )
        residuals = xp.full((X.shape[0], len(self.classes_)), xp.inf, **place)
        for block in blocks_of_rows(X.shape[0], 5 * X.shape[1]):
            for j, components in enumerate(self.components_):
                if xp.any(xp.isnan(self.means_[j, :])):  # the class has no samples
                    continue
                rest = X[block, :] - self.means_[j, :]
                unit = unit_of(rest)
                rest = rest / unit
                # subtracting the projection, not its square, is precise for small
                # residuals
                rest = rest - (rest @ components.T) @ components
                residuals[block, j] = xp.linalg.vector_norm(rest, axis=1) * unit
        return -residuals
