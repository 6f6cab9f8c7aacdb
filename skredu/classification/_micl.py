"""MICLClassifier: the class where a row costs the fewest extra bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.metaestimators import available_if

from skredu._base import all_or_nothing
from skredu._checks import check_training
from skredu._compat import ARRAY_API_SUPPORT, Interval, StrOptions, namespace
from skredu.classification._base import CodingClassifier
from skredu.classification._coders import Coder
from skredu.classification._kernel_micl import KernelCoder, products_of
from skredu.classification._linear_micl import LinearCoder
from skredu.classification._local_micl import LocalCoder
from skredu.classification._selection import MAX_ROWS, Codes, choose_codes
from skredu.classification._training import (
    Training,
    check_reach,
    check_stream,
    classes_of_stream,
    in_reach,
    in_units,
    keep_evenly,
    unit_of,
)
from skredu.coding._scatter import Scatter

# Defaults of parameters, and the kernels that use them.
USED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "gamma": (None, ("rbf", "poly")),
    "degree": (3, ("poly",)),
    "coef0": (1, ("poly",)),
    "kernel_params": (None, ("a callable",)),
}


def _is_linear(estimator: MICLClassifier) -> bool:
    return estimator.kernel == "linear" and estimator.n_neighbors is None


class MICLClassifier(CodingClassifier):
    r"""Classifier by minimum incremental coding length.

    A row goes to the class in which it costs the fewest extra bits,

    .. math:: \arg\min_j \; L(X_j \cup \{x\}) - L(X_j) - \log_2 \pi_j,

    with the coding length ``L`` of `skredu.rates.coding_length`: classes are Gaussians
    or subspaces of any rank, and the distortion ``epsilon`` is all the regularisation
    they need. For many rows this is quadratic discriminant analysis with covariances
    :math:`\Sigma_j + (\epsilon^2/d) I` and a bonus of half the effective dimension for
    classes that spread.

    Parameters
    ----------
    epsilon : float or "auto", default="auto"
        Distortion, a length in the units of the rows (of feature space with a kernel);
        published code passes its square. ``"auto"`` takes the best of 20 values by
        leave-one-out, in closed form: no model is fitted again. The path is relative
        to the spread of the rows, so scaling them scales ``epsilon_``. At most 5 000
        rows, evenly over each class, are left out.
    kernel : {"linear", "rbf", "poly", "cosine", "precomputed"} or callable, \
            default="linear"
        Products of rows. Anything but ``"linear"`` works in the span of the training
        rows, whose rank takes the place of ``d``; what of a row lies outside is counted
        exactly. ``"precomputed"``: ``X`` holds products, and a row has the squared norm
        of the training rows where all have the same, else the smallest one allowed.
        A callable is symmetric, and gives real numbers: ``kernel(x, y)`` one for two
        rows of shape (d,), or ``kernel(X, Y)`` those of shape (n, m) for rows of shapes
        (n, d) and (m, d), which is much faster and the way of the functions in
        ``sklearn.metrics.pairwise``.
    gamma : float, default=None
        Coefficient of ``"rbf"`` and ``"poly"``. None: for rbf one over the mean squared
        distance between two training rows or, with ``epsilon="auto"``, an eighth of it
        where leave-one-out prefers that; for poly one over the mean squared norm. This
        and the three that follow are refused with a kernel that does not use them.
    degree : float, default=3
        Degree of ``"poly"``.
    coef0 : float, default=1
        Constant of ``"poly"``.
    kernel_params : dict, default=None
        Keyword arguments of a callable kernel.
    n_neighbors : int, default=None
        Local variant: a class is replaced by its rows nearest to the row that is
        coded, that many of them (in weight). Only with ``kernel="linear"``.
    assume_centered : bool, default=False
        Code linear subspaces through the origin instead of affine ones.
    priors : array-like of shape (n_classes,) or "auto", default="auto"
        Probabilities of the classes: :math:`-\log_2 \pi_j` bits code a label.
        ``"auto"`` starts from the class frequencies and, with ``calibrate``, corrects
        them by leave-one-out, which balances classes that their lengths favour or put
        at a disadvantage. None: the frequencies as they are.
    calibrate : bool, default=True
        Fit the label code (with ``priors="auto"``) and ``temperature_`` by
        leave-one-out, so that probabilities tell how often a class is right. It takes
        about as long as predicting the rows that are left out. False: the label code
        is that of ``priors``, and the temperature is 1.
    n_jobs : int, default=None
        Jobs for the search of neighbours.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    priors_ : ndarray of shape (n_classes,)
        Probabilities of the label code. Extreme where ``temperature_`` is high: bits
        that say little are outweighed by the label.
    epsilon_ : float
        The distortion used.
    temperature_ : float
        Bits are divided by it before they become probabilities, which are too sure of
        themselves otherwise or, below 1, not sure enough. Fitted by leave-one-out with
        ``calibrate``, otherwise 1. It changes no prediction.
    gamma_ : float
        The kernel coefficient used; only with ``"rbf"`` and ``"poly"``.
    class_coding_length_ : ndarray of shape (n_classes,)
        Bits of the training rows of each class.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    NearestSubspaceClassifier : Reads out subspaces by the smallest residual.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : Gaussian classes
        without a distortion.

    Notes
    -----
    A class is factored once on its cheaper side. With ``n`` rows, ``d`` features,
    ``k`` classes and ``r_j <= min(n_j, d)``: fit costs :math:`O(\sum_j n_j d r_j)`, a
    row :math:`O(d \sum_j r_j)`; the model holds about :math:`2 d \sum_j r_j` numbers,
    and no ``d x d`` array where :math:`n_j \le d`. A kernel costs
    :math:`O(n^2 d + n^3/3 + \sum_j n_j^3)` and a few times :math:`n^2` numbers in fit,
    twice that where two values of ``gamma`` are tried, and :math:`O(nd + \sum_j n_j^2)`
    a row; the local variant with ``m`` neighbours :math:`O(nd + k m d \min(m, d))` a
    row. With given ``epsilon`` a large class needs one Cholesky factor, no
    eigenvectors. Array-API input is supported with ``kernel="linear"`` and
    ``n_neighbors=None``. ``predict`` never writes to the estimator.

    `decision_function` gives minus the extra bits, relative to those of all classes
    together, ``temperature_`` times the binary logarithm of the probabilities; for two
    classes the bits that the second one saves.

    With ``epsilon="auto"``, `partial_fit` keeps up to 5 000 rows, evenly over all that
    came, and chooses by them again in every call; after `fit` the choice of `fit`
    stays.

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
        "kernel": [
            StrOptions({"linear", "rbf", "poly", "cosine", "precomputed"}),
            callable,
        ],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "kernel_params": [dict, None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "assume_centered": ["boolean"],
        "priors": ["array-like", StrOptions({"auto"}), None],
        "calibrate": ["boolean"],
        "n_jobs": [Integral, None],
    }
    _reference = "priors_"

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
        assume_centered: bool = False,
        priors: Any = "auto",
        calibrate: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.n_neighbors = n_neighbors
        self.assume_centered = assume_centered
        self.priors = priors
        self.calibrate = calibrate
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        tags.array_api_support = ARRAY_API_SUPPORT and _is_linear(self)
        # not all classes are told apart by linear subspaces
        tags.classifier_tags.poor_score = self.assume_centered
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MICLClassifier:
        """Code the rows of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows; their products with each other, of shape (n_samples,
            n_samples), if the kernel is precomputed.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each row; fractions are allowed, zero means absent.
            Weights that sum to one therefore say that there is one row in all.

        Returns
        -------
        self : MICLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is out of range.
        """
        self._forget()
        self._check_parameters()
        X, y, weights = check_training(self, X, y, sample_weight)
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(
                "X must be a square matrix of products with kernel='precomputed', "
                f"found shape {X.shape}."
            )
        rows = Training.of(X, y, weights)
        self.classes_, self._unit = rows.classes, self._unit_of(rows)
        rows = rows.scaled(self._unit)
        if _is_linear(self):
            self._fit_linear(rows, [None] * len(rows.sizes), rows)
        else:
            self._fit_rows(rows)
        return self

    @available_if(_is_linear)
    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MICLClassifier:
        """Add rows; the model is that of `fit` on all rows so far.

        Of more than 5 000 rows, or after `fit`, an automatic ``epsilon`` may differ:
        see the notes of the class. Only with ``kernel="linear"`` and without
        ``n_neighbors``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each row.

        Returns
        -------
        self : MICLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is out of range, ``classes`` is missing in the
            first call, or a label is not among them.
        """
        self._check_parameters()
        first = not hasattr(self, "_scatters")
        if first:
            self._forget()
        known = classes_of_stream(classes, None if first else self.classes_)
        X, y, weights = check_training(self, X, y, sample_weight, reset=first)
        rows = Training.of(X, y, weights, known)
        if first:
            self.classes_, self._unit = known, self._unit_of(rows)
            before: list[Scatter | None] = [None] * len(known)
        else:
            before = [Scatter(**scatter) for scatter in self._scatters]
            check_stream(rows, before, self)
        self._fit_linear(rows.scaled(self._unit), before, self._keep(rows, first))
        return self

    def _keep(self, rows: Training, first: bool) -> Training | None:
        """Keep rows of a stream to choose by, None where nothing is chosen."""
        kept = getattr(self, "_kept", None)
        if not (self.epsilon == "auto" or self.calibrate) or not (first or kept):
            return None
        self._kept = keep_evenly(kept, rows, MAX_ROWS)
        return Training.of_kept(self._kept, self.classes_).scaled(self._unit)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def _forget(self) -> None:
        """Drop what an earlier fit left."""
        for name in ("_model", "_scatters", "_kept", "gamma_"):
            self.__dict__.pop(name, None)

    def _check_parameters(self) -> None:
        self._validate_params()
        if self.n_neighbors is not None and self.kernel != "linear":
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs kernel='linear', found "
                f"kernel={self.kernel!r}."
            )
        kind = "a callable" if callable(self.kernel) else self.kernel
        for name, (unused, kernels) in USED.items():
            value = getattr(self, name)
            if kind not in kernels and value not in (unused, {}):
                raise ValueError(
                    f"{name}={value!r} is only used by kernel="
                    f"{' or '.join(map(repr, kernels))}, found kernel={self.kernel!r}."
                )

    def _fit_linear(
        self, rows: Training, before: list[Scatter | None], left_out: Training | None
    ) -> None:
        """Merge the scatters of new rows with those before, factor, choose codes."""
        epsilon = self._given_epsilon()
        scatters = rows.scatters(before, self.assume_centered, epsilon)
        coder = LinearCoder.from_scatters(scatters, None if self.calibrate else epsilon)
        if any(scatter is not None for scatter in before):
            coder.leverages = [None] * len(scatters)  # of the new rows only
        stay = None
        if left_out is None and hasattr(self, "_model"):
            shift = np.asarray(self._label_shift)
            stay = Codes(self._epsilon, None, shift, temperature=self.temperature_)
        codes = self._choose(coder, left_out or rows, stay)
        if epsilon is not None:
            coder = coder.at(scatters, epsilon)
        self._finish(coder, codes, rows)
        self._scatters = [vars(scatter) for scatter in scatters]

    def _fit_rows(self, rows: Training) -> None:
        """Keep the rows of the classes, for products or for neighbours."""
        centered = self.assume_centered
        if self.n_neighbors is not None:
            local = LocalCoder.fit(rows, self.n_neighbors, centered, self.n_jobs)
            self._finish(local, self._choose(local, rows), rows)
            return
        candidates = []
        for products in products_of(rows, self, self._unit):
            coder = KernelCoder.fit(rows, products, centered)
            candidates.append((self._choose(coder, rows), coder, products))
        codes, coder, products = min(candidates, key=lambda fitted: fitted[0].loss)
        self._finish(coder, codes, rows)
        if "gamma" in products.parameters and not callable(self.kernel):
            self.gamma_ = products.parameters["gamma"] / self._unit / self._unit

    def _choose(self, coder: Coder, rows: Training, stay: Codes | None = None) -> Codes:
        return choose_codes(
            coder,
            rows,
            self._given_epsilon(),
            self.priors,
            stay,
            calibrate=self.calibrate,
        )

    def _finish(self, coder: Coder, codes: Codes, rows: Training) -> None:
        """Store what prediction needs."""
        self._model, self._label_shift = coder.plain(), codes.label_shift.tolist()
        self._epsilon, self.temperature_ = codes.epsilon, codes.temperature
        self._auto, self._calibrated = self.epsilon == "auto", bool(self.calibrate)
        self.epsilon_ = in_units(codes.epsilon, self._length_unit)
        if not isinstance(self.epsilon, str):
            self.epsilon_ = float(self.epsilon)
        xp = namespace(rows.source)
        place = {"dtype": xp.float64, "device": rows.source.device}
        self._log_priors = xp.asarray(codes.log_priors, **place)
        self.priors_ = xp.exp(self._log_priors)
        epsilons = xp.asarray([codes.epsilon], **place)
        self.class_coding_length_ = coder.lengths(epsilons)[:, 0] / math.log(2.0)

    def _given_epsilon(self) -> float | None:
        """Return the distortion in the unit of the rows, None to choose it."""
        if isinstance(self.epsilon, str):
            return None
        return in_reach(float(self.epsilon), self._length_unit)

    def _unit_of(self, rows: Training) -> float:
        """Return a unit of length for rows where scaling them is without effect."""
        if self.kernel not in ("linear", "rbf", "poly", "cosine"):
            return 1.0
        given = self.kernel == "linear" and not isinstance(self.epsilon, str)
        return unit_of(rows.some, float(self.epsilon) if given else None)

    def _scores(self, X: Any) -> Any:
        """Minus the extra bits of rows in every class, label included, (n, k)."""
        if "products" not in self._model:
            check_reach(X, self._unit, min(self._epsilon, 1.0))
        rows = X if self._unit == 1.0 else X / self._unit
        return self._coder().scores(rows, self._epsilon, self._log_priors)

    @property
    def _length_unit(self) -> float:
        """Unit of epsilon: that of the rows, unless a kernel replaces them."""
        return self._unit if self.kernel == "linear" else 1.0

    def _coder(self) -> Coder:
        for kind, mark in ((LocalCoder, "searches"), (KernelCoder, "products")):
            if mark in self._model:
                return kind.of_plain(self._model)
        return LinearCoder.of_plain(self._model)
