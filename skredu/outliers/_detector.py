"""CompressionOutlierDetector: find the samples that take many bits given the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skredu._base import all_or_nothing
from skredu._checks import check_rows, check_weights, has_gaps
from skredu._compat import Interval, StrOptions
from skredu._stream import StreamEstimator, Summary, hashes
from skredu.coding._choose import candidates, evenly
from skredu.coding._classes import Classes
from skredu.coding._missing import expected_scatters
from skredu.coding._rows import (
    Rows,
    check_reach,
    epsilon_in_unit,
    in_floats,
    in_unit,
    unit_of,
    weights_to_fit,
)
from skredu.coding._scatter import Scatter
from skredu.coding._symmetry import (
    NAMES,
    SymmetricGroup,
    first_images,
    permutations_of,
    symmetric,
)
from skredu.outliers._gaussian import (
    OneClassWithGaps,
    about_mean,
    bits_left_out,
    nats_of_whole,
    spread,
)
from skredu.outliers._nearest import Nearest
from skredu.outliers._threshold import bits_of_outliers


class CompressionOutlierDetector(OutlierMixin, StreamEstimator):
    r"""Outlier detection by coding length.

    A sample is scored by the bits that it takes given the other samples, either as the
    differences from the most similar ones or as one more sample of a Gaussian. Samples
    of the training data are scored without themselves and their copies, so outliers do
    not hide. The threshold needs no setting: numbers of bits are coded themselves, and
    a sample is an outlier if its number takes more bits with those of the others than
    on its own.

    Parameters
    ----------
    epsilon : float or "auto", default="auto"
        Distortion, a length in the units of the samples. With neighbours, ``"auto"`` is
        the root mean square distance of the samples from their mean. With
        ``n_neighbors=None``, it is the best of 20 values relative to that distance: the
        one with which left-out samples, at most 5 000, take the fewest bits if all are
        coded to the same final precision.
    n_neighbors : int or None, default=15
        Number of nearest samples, in weight, from which a sample is described. None
        describes all samples by one Gaussian; only then, samples may come in parts.
    contamination : float or "auto", default="auto"
        Share of outliers in the training data, above 0 and at most 0.5, which
        determines the threshold. With ``"auto"``, the bits of the training samples
        determine it; see Notes.
    symmetry : {"flip", "rot90", "dihedral"} or array-like of shape (m, d), default=None
        Permutations of features after which a sample has the same score; see
        `MICLClassifier`. Samples are described by all images of the training samples. A
        neighbour is an image that counts like a training sample, while in a Gaussian
        each image counts ``1 / m``.
    signal_shape : int, tuple of int or None, default=None
        Grid of the features for a ``symmetry`` that is named.
    n_jobs : int, default=None
        Number of jobs for the search of neighbours.

    Attributes
    ----------
    epsilon_ : float
        The distortion that is used.
    offset_ : float
        Minus the number of bits beyond which a sample is an outlier:
        ``decision_function(X) = score_samples(X) - offset_``.
    training_scores_ : ndarray of shape (n_samples,)
        Score of each training sample, left out with its copies. Only after `fit`.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    MICLClassifier : Compares the bits that a sample adds to several classes.
    sklearn.neighbors.LocalOutlierFactor : Compares densities with those of neighbours.
    sklearn.covariance.EllipticEnvelope : Fits a Gaussian to most of the samples.

    Notes
    -----
    **With neighbours**, a sample takes the mean of

    .. math:: \sum_f \tfrac12 \log_2\bigl(1 + d\,(x_f - y_f)^2 / \epsilon^2\bigr)

    bits over the ``n_neighbors`` samples ``y`` with the smallest sums of absolute
    differences. This is the coding length of each difference on its own. Features
    should have comparable scales: use a `sklearn.preprocessing.StandardScaler`.
    **With one Gaussian**, a sample takes

    .. math:: L(X \cup \{x\}) - L(X), \quad
        L(X) = \frac{n+d}{2} \log_2 \det\Bigl(I + \frac{d}{n\epsilon^2} S\Bigr)

    bits with the scatter :math:`S` about the mean, which itself takes none. So scores
    are those of a Student distribution, and rotations and shifts do not change them.

    **With contamination="auto"**, the numbers of bits of the left-out samples are coded
    in ascending order, each with all lower ones, about their mean and with a distortion
    of a twentieth of a bit. The first number, in the upper half, that takes more bits
    with those below than on its own is that of an outlier, and so are all higher ones.
    So many outliers do not hide each other. Of samples with a normal distribution,
    fewer than one in a hundred are outliers by this rule with four or more features,
    and about three in a hundred with two. Of ten or fewer samples, up to half may be:
    pass ``contamination`` or look at ``training_scores_`` instead.

    A sample that equals a training sample is judged without this sample and all of its
    copies. So ``fit(X).predict(X)`` is the same as ``fit_predict(X)``, and comparable
    with the prediction of new samples. To recognise training samples, `fit` stores a
    hash and the score of each distinct one, 16 bytes per sample. After `partial_fit`
    and `merge`, they are not recognised, so they are judged as new ones.

    NaN in ``X`` marks missing features, unless there is a ``symmetry``. A sample is
    described on the features that it has, and its bits are multiplied by the ratio of
    those that usual samples take on all features and on these; see the user guide.

    With one Gaussian and ``r = min(n, d)``, ``fit`` takes :math:`O(n d r)` operations,
    the score of a sample :math:`O(d r)`, and the model contains :math:`d r` numbers. To
    choose ``epsilon`` and the threshold, `fit` and `partial_fit` use the same at most
    5 000 samples, those with the smallest hashes. So new samples get the same scores
    after both. With ``m`` neighbours, the model contains the distinct training samples,
    and a score takes :math:`O(n d)` operations at most, much fewer if there are few
    features, because the search uses trees, and :math:`O(m d)` for its bits.

    References
    ----------
    Wright, Tao, Lin, Shum and Ma, "Classification via minimum incremental coding
    length (MICL)", NIPS 2007, for the bits that a sample adds.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu import CompressionOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(200, 3)), [[6, 0, 0], [0, -9, 3]]])
    >>> model = CompressionOutlierDetector().fit(X)
    >>> np.argsort(model.training_scores_)[:2].tolist()
    [201, 200]
    >>> model.predict([[0, 0, 1], [7, 7, 7]]).tolist()
    [1, -1]
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epsilon": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "contamination": [
            Interval(Real, 0, 0.5, closed="right"),
            StrOptions({"auto"}),
        ],
        "symmetry": [StrOptions(set(NAMES)), "array-like", None],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "n_jobs": [Integral, None],
    }
    _following = ("_model", "_images", "_epsilon", "epsilon_", "offset_")
    _constant = ("symmetry", "signal_shape")
    _forgotten = ("_known", "training_scores_")
    _chooses = True
    # All samples are of one class.
    classes_: Any = np.zeros(1, dtype=np.intp)
    class_weight = None

    def __init__(
        self,
        epsilon: float | str = "auto",
        *,
        n_neighbors: int | None = 15,
        contamination: float | str = "auto",
        symmetry: Any = None,
        signal_shape: int | Sequence[int] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.n_neighbors = n_neighbors
        self.contamination = contamination
        self.symmetry = symmetry
        self.signal_shape = signal_shape
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.symmetry is None
        return tags

    @all_or_nothing
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> CompressionOutlierDetector:
        """Describe the training samples, and find the threshold of outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data. NaN marks missing values, unless there is a ``symmetry``.
        y : None
            Not used, present here for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. If the weights sum to less than a tenth of the number of samples,
            they are rescaled to have mean one, with a warning.

        Returns
        -------
        self : CompressionOutlierDetector
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        self._validate_params()
        X = check_rows(self, X)
        X = _canonical(X, self._permutations(X.shape[1]))
        y = np.zeros(len(X), dtype=np.intp)
        weights = weights_to_fit(X, y, check_weights(sample_weight, X))
        rows = Rows.of(X, y, weights, self.classes_).merged()
        self._forget()
        self._unit = self._unit_for(X)
        if self._adds_up:
            summary = Summary.of(rows, self._scatters(rows), keep=True)
            self._begin_stream(summary.scatters, summary.seen, None)
            self._stream |= {"summary": summary.to_state(), "keep": True}
            scores = self._fit_gaussian(summary, rows.scaled(self._unit))
        else:
            scores = self._fit_nearest(rows.scaled(self._unit))
        found, order = np.unique(hashes(rows.X, rows.y), return_index=True)
        self._known = {"hash": found, "score": scores[order]}
        self.training_scores_ = self._scores(X)
        return self

    @available_if(lambda self: self._adds_up)
    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> CompressionOutlierDetector:
        """Add samples; new samples are scored as after `fit` on all samples so far.

        Only available with ``n_neighbors=None``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : None
            Not used, present here for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample, 0 or between 1e-30 and 1e9.

        Returns
        -------
        self : CompressionOutlierDetector
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid, or if ``epsilon`` has changed from or
            to ``"auto"``.
        """
        y = np.zeros(np.shape(X)[:1], dtype=np.intp)
        self._add(X, y, self.classes_, sample_weight)
        del self.classes_  # the attribute of the class remains
        return self

    def score_samples(self, X: Any) -> Any:
        """Compute minus the number of bits of each sample given the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples. Training samples are scored without their copies.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The scores; higher means more normal.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return self._scores(self._checked(X))

    def decision_function(self, X: Any) -> Any:
        """Compute the scores minus the score at the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Bits; negative for outliers.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return self._scores(self._checked(X)) - self.offset_

    def predict(self, X: Any) -> Any:
        """Predict which samples are outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for all others.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return np.where(self._scores(self._checked(X)) < self.offset_, -1, 1)

    def __sklearn_is_fitted__(self) -> bool:
        return not vars(self).keys().isdisjoint({"_model", "_stream"})

    @property
    def _adds_up(self) -> bool:
        return self.n_neighbors is None

    def _unit_for(self, X: Any) -> float:
        given = None if isinstance(self.epsilon, str) else float(self.epsilon)
        return unit_of(X, given)

    def _given_epsilon(self) -> float | None:
        """Return the distortion in the unit of the samples, None to choose it."""
        if isinstance(self.epsilon, str):
            return None
        return epsilon_in_unit(float(self.epsilon), self._unit)

    def _fit_nearest(self, rows: Rows) -> Any:
        """Fit neighbours to distinct samples; return their scores, left out."""
        # sorted, so that ties between neighbours do not depend on the order of samples
        order = np.lexsort(rows.X.T[::-1])
        rows = rows.part(order)
        images = self._permutations(rows.X.shape[1])
        epsilon = self._given_epsilon() or spread(rows, images)
        assert self.n_neighbors is not None
        options = self.n_neighbors, self.n_jobs, images
        nearest, bits = Nearest.fit(rows, epsilon, *options)
        found = self._found(vars(nearest), images, epsilon, bits, nearest.weights)
        self.__dict__.update(found)
        scores = np.empty(len(order))
        scores[order] = -bits
        return scores

    def _scatters(self, rows: Rows) -> list[Scatter]:
        rows = rows.scaled(self._unit)
        if has_gaps(rows.X):
            return expected_scatters(rows, assume_centered=False)
        return rows.scatters(False, self._given_epsilon())

    def _checked_part(self, *part: Any) -> tuple[dict[str, Any], Any]:
        """Return valid samples of `partial_fit`."""
        found, classes = super()._checked_part(*part)
        images = self._permutations(found["X"].shape[1])
        return {**found, "X": _canonical(found["X"], images)}, classes

    def _permutations(self, n_features: int) -> Any:
        """Return the permutations of features that change no score, or None."""
        return permutations_of(self.symmetry, self.signal_shape, n_features)

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        """Describe all samples with the parameters at the time of the last call."""
        twin = self._with_last_parameters(stream)
        return twin._gaussian(twin._merged(stream))[1]

    def _fit_gaussian(self, summary: Summary, rows: Rows) -> Any:
        """Fit one Gaussian; return the scores of distinct samples, left out."""
        classes, found, bits = self._gaussian(summary)
        self.__dict__.update(found)
        if len(bits) < len(rows.y):
            chosen, path = np.arange(len(rows.y)), np.asarray([self._epsilon])
            bits = bits_left_out(classes, rows, chosen, path)[:, 0]
        return -bits

    def _gaussian(self, summary: Summary) -> tuple[Classes, dict[str, Any], Any]:
        """Choose the distortion and the threshold.

        Return the group, the fitted attributes, and bits of samples left out for them.
        """
        assert summary.kept is not None
        rows = Rows.of_parts([summary.kept], self.classes_).merged()
        (scatter,) = self._scatters(rows) if summary.complete else summary.scatters
        rows, images = rows.scaled(self._unit), self._permutations(rows.X.shape[1])
        if images is not None:
            scatter = symmetric(scatter, images)
        group = about_mean(scatter)
        classes = Classes([group])
        if images is not None:
            classes = Classes([SymmetricGroup.of(group, images)])
        elif has_gaps(rows.X):
            classes = OneClassWithGaps(rows, [scatter], [group])
        chosen, copies = evenly(rows.sizes)
        weights = copies * rows.all_weights[chosen]
        epsilon = self._given_epsilon()
        path = np.asarray([epsilon])
        if epsilon is None:
            path = candidates(spread(rows, images), rows.X.shape[1])
        bits = bits_left_out(classes, rows, chosen, path)
        # as if all directions in which samples differ had the same final precision
        rank = np.count_nonzero(group.eigenvalues > 0.0)
        best = int(np.argmin(weights @ (bits + rank * np.log2(path))))
        bits, options = bits[:, best], (classes.to_state(), images, float(path[best]))
        return classes, self._found(*options, bits, weights), bits

    def _found(
        self, model: dict[str, Any], images: Any, epsilon: float, bits: Any, w: Any
    ) -> dict[str, Any]:
        """Return the fitted attributes, for bits and weights of left-out samples."""
        given = self.epsilon
        if isinstance(given, str):
            given = in_floats(epsilon * self._unit)
        threshold = bits_of_outliers(bits, w, self.contamination)
        return {
            "_model": model,
            "_images": images,
            "_epsilon": epsilon,
            "epsilon_": float(given),
            "offset_": -threshold,
        }

    def _checked(self, X: Any) -> Any:
        """Return valid samples for a method of the fitted estimator."""
        check_is_fitted(self)
        return _canonical(check_rows(self, X, reset=False), self._images)

    def _scores(self, X: Any) -> Any:
        """Return minus the bits of samples; training samples are left out."""
        scores, new = np.empty(len(X)), np.ones(len(X), dtype=bool)
        if "_known" in vars(self):
            known, own = self._known, hashes(X, np.zeros(len(X), dtype=np.intp))
            places = np.searchsorted(known["hash"], own)
            places = np.minimum(places, len(known["hash"]) - 1)
            new, scores = known["hash"][places] != own, known["score"][places]
        if new.any():
            scores[new] = self._scores_of_new(X[new])
        return scores

    def _scores_of_new(self, X: Any) -> Any:
        """Return minus the bits of samples given all training samples."""
        model, epsilon = self._model, self._epsilon
        check_reach(X, self._unit, min(epsilon, 1.0))
        Z = in_unit(X, self._unit)
        if "groups" not in model:
            return -Nearest(**model).bits(Z, epsilon)
        gaps, scores = np.isnan(Z).any(axis=1), np.empty(len(Z))
        if gaps.any():
            (scatter,), path = self._scatters_for_gaps(), np.array([epsilon])
            scores[gaps] = nats_of_whole(scatter, Z[gaps], path)[:, 0] / -math.log(2.0)
        if not gaps.all():
            whole, classes = Z[~gaps].T[None, ...], Classes.of_state(model)
            scores[~gaps] = classes.scores(whole, epsilon, np.zeros(1))[:, 0]
        return scores


def _canonical(X: Any, images: Any) -> Any:
    """Return samples whose images, and whose gaps, all have the same hash."""
    if images is not None:
        return first_images(X, images)
    return np.where(np.isnan(X), np.nan, X) if has_gaps(X) else X
