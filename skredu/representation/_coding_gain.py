"""CodingGainSelector: select and weigh features by the bits that classes save."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing, warn
from skredu._checks import (
    check_finite,
    check_range,
    check_training,
)
from skredu._compat import Interval
from skredu.coding._linalg import BLOCK
from skredu.coding._rows import Rows


class CodingGainSelector(SelectorMixin, SkreduEstimator):
    r"""Select and weigh features by the bits that the class means save.

    Each feature is coded in two ways: every sample is predicted by the mean of all
    other samples, or by the mean of the other samples of its class. With the sums of
    squared errors :math:`P_0` and :math:`P_1`, the classes save

    .. math:: b = \frac12 \log_2 \frac{P_0}{P_1}

    bits per sample, the coding gain of the feature. For a feature that contains only
    noise, b is negative on average, because the mean of a class is less precise than
    that of all samples. Features with :math:`b \le 0` are removed, and the others are
    multiplied by weights in proportion to b.

    If there are more features than samples, most features tend to be noise, in which
    distances and coding lengths drown. No parameter has to be tuned in this case.

    Parameters
    ----------
    max_features : int, default=None
        Largest number of features to select, which are those that save the most bits.
        None means all features that save bits.
    weighted : bool, default=True
        Whether to multiply the selected features by ``weights_``. If False, they are
        only selected.

    Attributes
    ----------
    bits_ : ndarray of shape (n_features,)
        Bits per sample that the classes save in each feature, at most the binary
        logarithm of the number of distinct samples; 0 for constant features.
    weights_ : ndarray of shape (n_features,)
        Factors of the features; 0 for features that are removed. The root mean square
        of the others is 1. If no feature saves bits, a warning is raised, no feature is
        removed unless ``max_features`` demands it, and the weights are equal.
    support_ : ndarray of shape (n_features,)
        Mask of the features that are selected.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    MICLClassifier : Classifies by coding lengths of all features together.
    sklearn.feature_selection.SelectKBest : Selects a given number of features by the F
        statistic, which ranks features similarly.

    Notes
    -----
    The bits of a feature do not depend on its unit, but the weighted features do: put a
    `sklearn.preprocessing.StandardScaler` first, unless the features have a common
    unit. Features are judged one at a time. A feature whose classes differ only in
    their variances, or only together with another feature, is removed.

    ``fit`` takes :math:`O(nd)` operations for ``n`` samples and ``d`` features: to
    leave out a sample changes the mean of its class by a known amount. It processes
    blocks of features with at most :math:`2^{18}` numbers (or one feature), so its
    memory does not grow with ``d`` except for the results. ``transform`` takes as many
    operations as its result has numbers.

    Equal samples of a class are left out together, because copies contain no new
    information, and weights are numbers of copies. The only sample of a class is
    predicted by the mean of all other samples.

    The weights depend on the labels, so select features within each fold of a
    cross-validation, which a pipeline does. A classifier behind this transformer sees
    training samples whose own labels entered the weights. Measures that it takes from
    these samples, such as leave-one-out probabilities, are slightly too good; see
    :ref:`guide-coding-gain`.

    Examples
    --------
    Forty samples with a thousand features, ten of which are informative:

    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from skredu import CodingGainSelector, MICLClassifier
    >>> rng = np.random.default_rng(3)
    >>> y = np.arange(40) % 2
    >>> X = rng.normal(size=(40, 1000))
    >>> X[:, :10] += 1.5 * y[:, None]
    >>> model = make_pipeline(CodingGainSelector(), MICLClassifier())
    >>> bool(cross_val_score(model, X, y).mean() > 0.95)
    True
    >>> bool(cross_val_score(MICLClassifier(), X, y).mean() < 0.85)
    True
    """

    __module__ = "skredu"

    _reference = "weights_"
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "weighted": ["boolean"],
    }

    def __init__(
        self, max_features: int | None = None, *, weighted: bool = True
    ) -> None:
        self.max_features = max_features
        self.weighted = weighted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CodingGainSelector:
        """Compute the bits that each feature saves, and choose features.

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
        self : CodingGainSelector
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        self._validate_params()
        X, y, weights = check_training(self, X, y, sample_weight)
        rows = Rows.of(X, y, check_range(weights)).merged()
        bits = bits_saved(rows)
        support = np.zeros(len(bits), dtype=bool)
        support[np.argsort(-bits, kind="stable")[: self.max_features]] = True
        weights = np.where(support, bits, 0.0)
        if np.all(bits <= 0.0):
            warn("No feature saves bits: the selected features have equal weights.")
            weights = support.astype(np.float64)
        support = weights > 0.0
        weights = np.maximum(weights, 0.0) if self.weighted else support * 1.0
        self.bits_, self.support_, self.classes_ = bits, support, rows.classes
        self.weights_ = weights / np.sqrt(np.mean(weights[support] ** 2))
        return self

    def transform(self, X: Any) -> Any:
        """Select features, and multiply them by their weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_selected_features)
            The weighted features.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data, or so large that its
            product with the weights overflows.
        """
        X = self._check_rows(X, "transform")
        with np.errstate(over="ignore", under="ignore"):
            Z = X[:, self.support_] * self._factors(X.dtype)
        return check_finite(Z, "weighted features")

    def inverse_transform(self, X: Any) -> Any:
        """Divide features by their weights, and insert zeros for removed features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_selected_features)
            Weighted features, as returned by `transform`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The features before `transform`; zero where they were removed.

        Raises
        ------
        ValueError
            If ``X`` does not have as many features as were selected.
        """
        X = self._check_features(X)
        full = super().inverse_transform(X)
        with np.errstate(over="ignore", under="ignore"):
            full[:, self.support_] /= self._factors(full.dtype)
        return full

    def _factors(self, dtype: Any) -> Any:
        """Return the weights of the selected features."""
        return self.weights_[self.support_].astype(dtype)

    @property
    def _n_features_out(self) -> int:
        return int(np.sum(self.support_))

    def _get_support_mask(self) -> Any:
        check_is_fitted(self)
        return self.support_


def bits_saved(rows: Rows) -> Any:
    """Return the bits per sample that the class means save in each feature."""
    n, d = len(rows.index), rows.source.shape[1]
    bits = np.zeros(d)
    if n < 2:
        return bits
    weights = rows.all_weights
    for block in gen_batches(d, max(1, BLOCK // (16 * n))):
        X = rows.source[:, block][rows.index].astype(np.float64)
        # squares stay in range, and a power of two changes no digit
        X = np.ldexp(X, -np.frexp(np.max(np.abs(X), axis=0))[1])
        alone = left_out_errors(X, weights)
        classes = alone.copy()
        for part in rows.slices:
            if part.stop - part.start > 1:
                classes[part] = left_out_errors(X[part], weights[part])
        before, after = weights @ alone, weights @ classes
        # Samples that are equal up to rounding contain no information.
        rounding = np.sum(weights) * float(np.finfo(rows.source.dtype).eps) ** 2
        varying = before > rounding
        # n samples cannot show that an error is smaller than this.
        after = np.maximum(after[varying], before[varying] / n**2)
        bits[block][varying] = 0.5 * np.log2(before[varying] / after)
    return bits


def left_out_errors(X: Any, weights: Any) -> Any:
    """Return squared errors if each sample is predicted by the mean of the others.

    Differences are taken from the sample of the largest weight, and its rest is summed
    without it, so that nothing cancels if its weight is almost the total.
    """
    heaviest, total = int(np.argmax(weights)), np.sum(weights)
    rest = total - weights
    rest[heaviest] = np.sum(np.delete(weights, heaviest))
    errors = X - X[heaviest]
    errors -= (weights @ errors) / total
    errors *= (total / rest)[:, None]
    return np.square(errors, out=errors)
