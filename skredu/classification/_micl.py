"""MICLClassifier: predict the class in which a sample costs the fewest extra bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from skredu._base import all_or_nothing, warn
from skredu._checks import check_training, has_gaps
from skredu._classifiers import CodingClassifier
from skredu._compat import (
    ARRAY_API_SUPPORT,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    namespace,
    to_numpy,
)
from skredu._progress import watched
from skredu._stream import StreamClassifier
from skredu.classification._fitted_classes import FittedClasses
from skredu.classification._mix import fit_mix, mix_scores
from skredu.classification._single import (
    LINEAR,
    NEEDED,
    fit_single,
    followed,
    scatters_of,
    scores_of,
    scores_with_gaps,
    unit_for,
)
from skredu.coding._choose import log_priors_of
from skredu.coding._rows import Rows, weights_to_fit
from skredu.coding._scatter import Scatter
from skredu.coding._symmetry import NAMES, permutations_of

# Kernels of which averages over images are kernels, too.
SYMMETRIC = ("linear", "rbf", "laplacian", "poly", "cosine")
KERNELS = {"auto", "linear", "rbf", "laplacian", "poly", "cosine", "precomputed"}
# Defaults of the parameters of kernels, and the kernels that use them.
USED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "gamma": (None, ("rbf", "laplacian", "poly")),
    "degree": (3, ("poly",)),
    "coef0": (1, ("poly",)),
    "kernel_params": (None, ("a callable",)),
}


class MICLClassifier(
    CallbackSupportMixin, FittedClasses, CodingClassifier, StreamClassifier
):
    r"""Classifier based on minimum incremental coding length.

    A sample is assigned to the class in which it costs the fewest extra bits,

    .. math:: \arg\min_j \; L(X_j \cup \{x\}) - L(X_j) - \log_2 \pi_j,

    with the coding length ``L`` of `skredu.rates.coding_length`. The classes are
    Gaussians or subspaces of any rank. In the limit of many samples, the rule is
    quadratic discriminant analysis with the covariances
    :math:`\Sigma_j + (\epsilon^2/d) I` and a bonus of half the effective dimension.

    Parameters
    ----------
    epsilon : float or "auto", default="auto"
        Distortion, a length in the units of the samples (or of the feature space of a
        kernel). Published code uses its square. ``"auto"`` takes the best of 20 values
        relative to the spread of the samples, by leave-one-out in closed form. At most
        5 000 samples, evenly distributed over the classes, are left out.
    kernel : {"auto", "linear", "rbf", "laplacian", "poly", "cosine", "precomputed"} \
            or callable, default="linear"
        Kernel. All kernels except ``"linear"`` work in the span of the training
        samples, whose rank replaces ``d``; components outside of it count exactly.

        - ``"auto"``: a mix of four candidates, weighted by leave-one-out, which
          predicts best but takes longest; see the notes. It is ``"linear"`` in
          `partial_fit`, with ``n_neighbors``, and, with a warning, with a given
          ``epsilon``, which is a length between samples.
        - ``"precomputed"``: ``X`` contains inner products. The squared norm of a sample
          is that of the training samples if these all have the same norm, and otherwise
          the smallest value that is possible.
        - A callable has to be symmetric and real. ``kernel(x, y)`` returns a number for
          two samples of shape (d,), or ``kernel(X, Y)``, which is much faster, an array
          of shape (n, m) for samples of shapes (n, d) and (m, d).
    gamma : float, default=None
        Coefficient of ``"rbf"``, ``"laplacian"`` and ``"poly"``. None means, for rbf,
        one over the mean squared distance between two training samples; for laplacian,
        one over their mean sum of absolute differences; for poly, one over the mean
        squared norm. With a ``symmetry``, all images of the samples count. With
        ``epsilon="auto"``, leave-one-out may prefer an eighth of this for rbf, and
        three tenths for laplacian. This parameter and the next three must not be set
        for other kernels.
    degree : float, default=3
        Degree of ``"poly"``.
    coef0 : float, default=1
        Constant of ``"poly"``.
    kernel_params : dict, default=None
        Keyword arguments of a callable kernel.
    n_neighbors : int, default=None
        If not None, use the local variant: each class is replaced by its
        ``n_neighbors`` samples (in weight) that are nearest to the sample to predict.
        Only with ``kernel="linear"`` or ``"auto"``.
    symmetry : {"flip", "rot90", "dihedral"} or array-like of shape (m, d), default=None
        Permutations of features that change no class: a sample and all its images have
        the same probabilities up to rounding. A ``StandardScaler`` before, which treats
        each feature differently, breaks the symmetry. With the linear kernel, the model
        is that of all images of the training samples, each of which counts ``1 / m``;
        other kernels are averaged over all images. Not for kernels ``"auto"`` and
        ``"precomputed"``, callables and ``n_neighbors``.

        - ``"flip"``: images or signals are mirrored along the last axis.
        - ``"rot90"``: square images are rotated by multiples of 90 degrees.
        - ``"dihedral"``: both, which leads to eight images.
        - An array of integers contains the ``m`` permutations ``p`` of a group, such
          that ``x[p]`` is an image of a sample ``x``.
    signal_shape : int, tuple of int or None, default=None
        Grid of the features for a ``symmetry`` that is named, such as ``(8, 8)``.
        Features are the points of the first channel, then those of the next one. None
        means that all features are one signal.
    assume_centered : bool, default=False
        Whether to code linear subspaces through the origin instead of affine ones.
    priors : array-like of shape (n_classes,), dict, "balanced" or "auto", \
            default="auto"
        Probabilities of the classes, such that a label costs :math:`-\log_2 \pi_j`
        bits. In leave-one-out, samples count in proportion to the prior of their class
        instead of its frequency.

        - A dict contains the priors by label.
        - ``"balanced"``: all classes have the same prior.
        - ``"auto"``: the class frequencies. With ``calibrate``, they are corrected by
          leave-one-out, which compensates for classes that are favoured by their
          lengths.
        - None: the class frequencies without correction.
    calibrate : bool, default=True
        Whether to fit the label code (unless ``priors=None``) and ``temperature_`` by
        leave-one-out, so that probabilities reflect how often a class is correct. If
        False, the label code is that of ``priors``, and the temperature is 1.
    class_weight : dict or "balanced", default=None
        Factors by which the weights of the samples of each class are multiplied, by
        label. ``"balanced"`` gives all classes the same total weight.
    n_label_refits : int, default=0
        For training labels of which some are wrong: number of times that `fit` is
        repeated with samples weighted by the probability of their label divided by that
        of the most probable one, predicted from all other samples (and at least 0.02).
        One or two improve the accuracy if a tenth of the labels or more are wrong, and
        impair it, and the probabilities, if all are right. Not for `partial_fit`.
    n_jobs : int, default=None
        Number of jobs for the search of neighbours.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    priors_ : ndarray of shape (n_classes,)
        Probabilities of the label code, which are corrected if ``calibrate=True``. They
        are extreme if bits are not informative, and ``temperature_`` is high.
    epsilon_ : float
        The distortion that is used.
    temperature_ : float
        Number by which bits are divided before they become probabilities: above 1 if
        bits are overconfident, below 1 if they are underconfident. It is fitted by
        leave-one-out if ``calibrate=True``, and 1 otherwise. It changes no prediction.
    gamma_ : float
        The kernel coefficient that is used; only for ``"rbf"``, ``"laplacian"`` and
        ``"poly"``.
    candidates_ : dict of dict
        Weight, epsilon, temperature and gamma of the candidates of ``kernel="auto"``,
        by name. The weight is zero for those that were dropped. ``priors_`` are those
        of the mix, and ``temperature_`` is 1; other attributes that describe classes
        are those of the candidate "linear".
    label_quality_ : ndarray of shape (n_samples,)
        Probability of the label of each training sample, predicted from all others;
        small values suggest that the label is wrong. NaN for samples of weight zero
        and, among more than 5 000, for those that were not left out (for all of them,
        use `skredu.metrics.label_quality`). Only after `fit`, and if something was
        chosen by leave-one-out.
    class_coding_length_ : ndarray of shape (n_classes,)
        Coding length in bits of the training samples of each class.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    NearestSubspaceClassifier : Classifies by the smallest residual.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : Gaussian classes
        without a distortion.

    Notes
    -----
    Each class is factored once, on its cheaper side. With ``n`` samples, ``d``
    features, ``k`` classes and ``r_j <= min(n_j, d)``, ``fit`` takes
    :math:`O(\sum_j n_j d r_j)` operations, and the prediction of a sample takes
    :math:`O(d \sum_j r_j)`; there is no ``d x d`` array if :math:`n_j \le d`. With a
    kernel, ``fit`` takes :math:`O(n^2 d + n^3/3 + \sum_j n_j^3)` operations and a few
    times :math:`n^2` numbers, and the prediction of a sample takes
    :math:`O(nd + \sum_j n_j^2)`. In the local variant with ``m`` neighbours, it takes
    :math:`O(nd + k m d \min(m, d))`. Array API input is supported with
    ``kernel="linear"`` and ``n_neighbors=None``.

    The candidates of ``kernel="auto"`` are the linear kernel, the rbf kernel after the
    transform of Yeo and Johnson, and the laplacian kernel of the features and of their
    ranks, with 0.4, 0.3 and 0.3 times the default of ``gamma``. Each has its own
    distortion, label code and temperature. The mix multiplies powers of their
    probabilities and a factor for each class; the exponents, which are the weights, and
    the factors minimise the log-loss of the left-out samples. Candidates with less than
    a twentieth of the total weight are dropped. Kernels use as many samples as they can
    factor in 3e10 operations, evenly distributed over the classes: 4 400 of 26 equal
    classes, 2 300 of two, and 1 500 if nearly all are in one. After `fit`,
    `partial_fit` adds samples to the linear candidate, which replaces the mix, with a
    warning.

    With ``kernel="linear"``, NaN in ``X`` marks missing features. A sample is coded on
    the features that it has, at the same distortion per feature, and classes whose
    samples have gaps are fitted by expectation-maximisation. Parameters are then chosen
    by five-fold cross-validation instead of leave-one-out.

    `decision_function` returns the negative of the extra bits, relative to those of all
    classes together, which is ``temperature_`` times the binary logarithm of the
    probabilities. For two classes, it returns the number of bits that the second one
    saves.

    `partial_fit` only adds samples, for linear kernels without ``n_neighbors``. Neither
    ``assume_centered`` and ``calibrate`` nor whether ``epsilon`` is chosen may change
    between calls and, after `fit` with ``calibrate``, ``epsilon`` and ``priors``. To
    choose ``epsilon`` and to calibrate, it keeps up to 5 000 different samples, chosen
    at random from all so far, whatever their order. After `fit`, the choice of `fit` is
    kept. Parameters are chosen when a prediction or an attribute first needs them, with
    the parameters of the last call, so many calls cost little more than one `fit`.
    Several threads may predict at the same time, and after `fit`, ``predict`` never
    modifies the estimator.

    References
    ----------
    Wright, Tao, Lin, Shum and Ma, "Classification via minimum incremental coding
    length (MICL)", NIPS 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu import MICLClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MICLClassifier())
    >>> bool(cross_val_score(model, X, y).mean() > 0.97)
    True
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epsilon": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "kernel": [StrOptions(KERNELS), callable],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "kernel_params": [dict, None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "symmetry": [StrOptions(set(NAMES)), "array-like", None],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "assume_centered": ["boolean"],
        "priors": ["array-like", dict, StrOptions({"auto", "balanced"}), None],
        "calibrate": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_label_refits": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
    }
    _reference = "priors_"
    _forgotten = ("gamma_", "label_quality_", "candidates_", "_mix")
    _constant = ("assume_centered", "calibrate")
    _following = (
        "_model",
        "_epsilon",
        "_log_priors",
        "epsilon_",
        "priors_",
        "temperature_",
        "class_coding_length_",
    )

    def __init__(
        self,
        epsilon: float | str = "auto",
        *,
        kernel: str | Callable[..., Any] = "linear",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1,
        kernel_params: dict[str, Any] | None = None,
        n_neighbors: int | None = None,
        symmetry: Any = None,
        signal_shape: int | Sequence[int] | None = None,
        assume_centered: bool = False,
        priors: Any = "auto",
        calibrate: bool = True,
        class_weight: Any = None,
        n_label_refits: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.n_neighbors = n_neighbors
        self.symmetry = symmetry
        self.signal_shape = signal_shape
        self.assume_centered = assume_centered
        self.priors = priors
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.n_label_refits = n_label_refits
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        linear = self._adds_up and self.kernel == "linear"
        tags.input_tags.allow_nan = linear and self.symmetry is None
        tags.array_api_support = ARRAY_API_SUPPORT and linear
        # linear subspaces do not separate all classes
        tags.classifier_tags.poor_score = self.assume_centered
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MICLClassifier:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data. If the kernel is precomputed, their inner products, of
            shape (n_samples, n_samples). With ``kernel="linear"`` and without
            ``n_neighbors`` and ``symmetry``, NaN marks missing values.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. If all samples of a class are absent, ``classes_`` does not contain
            the class, with a warning. If the weights sum to less than the number of
            classes or a tenth of the number of samples, they are rescaled to have mean
            one, with a warning.

        Returns
        -------
        self : MICLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        return self._fit(X, y, sample_weight)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, everything: bool = False
    ) -> MICLClassifier:
        """Fit; ``everything``: find the label quality of all samples, however many."""
        self._validate_params()
        X, y, weights = check_training(self, X, y, sample_weight)
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(
                "X must be a square matrix of products with kernel='precomputed', "
                f"found shape {X.shape}."
            )
        xp = namespace(X)
        fit: Any = fit_single
        if self.kernel == "auto" and self.n_neighbors is None and xp is np:
            if isinstance(self.epsilon, str):
                fit = fit_mix
            else:
                warn(
                    f"epsilon={self.epsilon} is a length between samples, which other "
                    "kernels than the linear one replace, so kernel='auto' is 'linear' "
                    "here: use kernel='linear', or epsilon='auto' to mix kernels."
                )
        everything = everything or self.n_label_refits > 0
        given = 1.0 if weights is None else to_numpy(weights)
        permutations = permutations_of(self.symmetry, self.signal_shape, X.shape[1])
        classes = None
        with watched(self, X=X, y=y) as progress:
            for refit in range(1 + self.n_label_refits):
                options = {"given": refit == 0}
                w = weights_to_fit(X, y, weights, self.class_weight, **options)
                rows = Rows.of(X, y, w, classes).merged(permutations)
                classes = rows.classes  # so that absent ones are named only once
                self._forget()
                left_out = fit(self, rows, progress, everything=everything)
                if left_out is not None:
                    quality, trust = left_out.of_labels(rows)
                    self.label_quality_ = xp.asarray(quality, device=X.device)
                    if self.n_label_refits:
                        weights = given * trust
        return self

    def _add(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
        first, mixed = "_stream" not in vars(self), "_mix" in vars(self)
        super()._add(X, y, classes, sample_weight)
        if self.n_label_refits:
            raise ValueError(
                f"n_label_refits={self.n_label_refits} needs all samples at once: "
                "partial_fit needs n_label_refits=0."
            )
        if first or self.symmetry is None:  # large groups take long to check
            permutations_of(self.symmetry, self.signal_shape, self.n_features_in_)
        if first:
            log_priors_of(self.priors, np.ones(len(self.classes_)), self.classes_)
        if mixed:
            warn(
                "partial_fit adds samples to the linear candidate of kernel='auto', "
                "which replaces the mix: use kernel='linear', or fit all samples."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    @property
    def _adds_up(self) -> bool:
        return self.kernel in LINEAR and self.n_neighbors is None

    @property
    def _chooses(self) -> bool:
        """Whether samples are needed to choose parameters."""
        return self.calibrate or self.epsilon == "auto"

    def _validate_params(self) -> None:
        """Validate all parameters, which the kernel must use."""
        super()._validate_params()
        if self.n_neighbors is not None and self.kernel not in LINEAR:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs kernel='linear', found "
                f"kernel={self.kernel!r}."
            )
        kind = "a callable" if callable(self.kernel) else self.kernel
        local = self.n_neighbors is not None
        if self.symmetry is not None and (kind not in SYMMETRIC or local):
            raise ValueError(
                f"symmetry needs one of the kernels {SYMMETRIC} and n_neighbors=None, "
                f"found kernel={self.kernel!r} and n_neighbors={self.n_neighbors}."
            )
        for name, (unused, kernels) in USED.items():
            value = getattr(self, name)
            if kind not in kernels and value not in (unused, {}):
                raise ValueError(
                    f"{name}={value!r} is only used by kernel="
                    f"{' or '.join(map(repr, kernels))}, found kernel={self.kernel!r}."
                )

    _unit_for, _follow = unit_for, followed

    def _scatters(self, rows: Rows) -> list[Scatter]:
        return scatters_of(self, rows.scaled(self._unit))

    def _scores(self, X: Any) -> Any:
        return mix_scores(self._mix, X) if "_mix" in vars(self) else self._bits(X)

    def _bits(self, X: Any) -> Any:
        fitted = {name: getattr(self, name) for name in NEEDED}
        if not has_gaps(X):
            return scores_of(fitted, X)
        return scores_with_gaps(fitted, self._scatters_for_gaps(), X)
