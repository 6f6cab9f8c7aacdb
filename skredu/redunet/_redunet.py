"""ReduNetTransformer and ReduNetClassifier: deep networks without back-propagation."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skredu._compat import StrOptions
from skredu.coding._rows import Rows
from skredu.coding._sphere import MODERATE
from skredu.redunet._classifier import BaseNetClassifier
from skredu.redunet._net import BaseNet
from skredu.redunet._vectors import Vectors, constant_of


class BaseReduNet(BaseNet):
    """A network for plain vectors."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNet._parameter_constraints,
        "fit_intercept": ["boolean", StrOptions({"auto"})],
        "intercept_scaling": [MODERATE],
    }
    _kind: ClassVar[type[Any]] = Vectors

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        step: str = "relative",
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        fit_intercept: bool | str = "auto",
        intercept_scaling: float = 1.0,
        tol: float = 0.0,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.step = step
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.tol = tol
        self.warm_start = warm_start

    @property
    def intercept_(self) -> float:
        """The constant appended to rows, 0 where there is none."""
        check_is_fitted(self)
        return self._space["constant"] or 0.0

    def _spaces(self, rows: Rows) -> list[Vectors]:
        """With a constant behind the rows, without, or both to choose from."""
        scaling = float(self.intercept_scaling)
        constant = constant_of(rows.X, rows.weights, scaling)
        if self.fit_intercept == "auto":
            return [Vectors(constant), Vectors()]
        return [Vectors(constant if self.fit_intercept else None)]


class ReduNetTransformer(BaseReduNet):
    r"""Features by a network that is built forward to maximise the rate reduction.

    Rows are put on the unit sphere. Each layer is one step of gradient ascent on the
    rate reduction :math:`\Delta R` (see `skredu.rates.rate_reduction`),

    .. math::

        z^+ \propto z + \eta \Bigl(Ez - \sum_j \gamma_j \pi_j(z) C_j z\Bigr), \quad
        E = \alpha(I + \alpha Z^T Z)^{-1}, \;
        C_j = \alpha_j(I + \alpha_j Z^T \Pi_j Z)^{-1}

    with :math:`\alpha = d/(n\epsilon^2)`, :math:`\alpha_j = d/(n_j\epsilon^2)` and
    shares :math:`\gamma_j`: classes contract to subspaces, which turn orthogonal. The
    operators are made from the training features and labels; a row moves by estimated
    memberships :math:`\pi_j`. There are no weights to train and nothing is random.

    Parameters
    ----------
    n_layers : int, default=20
        Most layers to build; 0 leaves the rows on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion, a length on the unit sphere; published code passes its square, so
        that its ``eps=0.1`` is ``epsilon=0.1**0.5`` here. ``"auto"`` takes the one by
        which leave-one-out tells the rows on the sphere apart best, as in
        `MICLClassifier`.
    eta : float, default=0.1
        Step size, see ``step``.
    step : {"relative", "published"}, default="relative"
        ``"relative"``: the step of a layer is ``eta / alpha``. With ``eta`` up to 1 it
        never overshoots: what a row has outside the span of its class shrinks by the
        factor ``1 - eta`` at most. Where :math:`\Delta R` of the training features
        would fall, the step is halved until it does not; the network ends where no
        step is left. ``"published"``: the step is ``eta`` itself, whatever comes of it;
        it diverges where ``eta * alpha`` is more than 2.
    membership : {"coding", "residual", "weighted_residual"}, default="coding"
        Estimate of :math:`\pi_j`. ``"coding"``: two to the minus extra bits of the row
        in the class, as in `MICLClassifier` with ``assume_centered=True`` and
        ``priors=None``. ``"residual"``: the published softmax of
        :math:`-\lambda\|C_jz\|`, which favours large classes.
        ``"weighted_residual"``: of :math:`-\lambda\gamma_j\|C_jz\|`, which does not.
    inverse_temperature : float, default=500
        :math:`\lambda` of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training rows move while the network is built. ``"left_out"``: by the
        operators and memberships made from the other rows, which is how new rows will
        move; otherwise the features of training rows become more orderly than those
        of new rows, and later layers are made for features that will not come.
        ``"estimated"``: as they are (published). ``"labels"``: by their labels.
    fit_intercept : bool or "auto", default="auto"
        Append a constant before rows are put on the sphere, so that their lengths
        and affine structure are not lost. Adds one column to the features. ``"auto"``
        does so unless leave-one-out tells the rows apart better without, as where all
        have about the same length.
    intercept_scaling : float, default=1.0
        The constant, relative to the root mean square norm of the training rows.
    tol : float, default=0.0
        Stop after a layer by which :math:`\Delta R` gains less; 0: never.
    warm_start : bool, default=False
        Go on from the layers of the call before if ``n_layers`` is larger now. Layers
        follow from the features of the training rows, so rows (in their order), labels,
        weights and all other parameters must be the same; a fingerprint of them is
        compared, and what differs is refused.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    class_count_ : ndarray of shape (n_classes,)
        Weight of each class.
    epsilon_ : float
        The distortion used.
    intercept_ : float
        The constant appended to rows, 0 where there is none.
    layers_ : list of ReduNetLayer
        The layers. ``layer.expansion`` is the matrix :math:`E` and
        ``layer.compression(j)`` the matrix :math:`C_j`, made on demand; ``layer.eta``
        is the step, ``layer.gamma`` holds the shares.
    n_iter_ : int
        Number of layers.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` in nats with the true labels: of the
        training rows on the sphere, and of their features behind each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    ReduNetClassifier : The same with a decision.
    MICLClassifier : The rule of the memberships, as a classifier.

    Notes
    -----
    All motion is in the span of the training rows; what a row has outside keeps its
    direction. With ``n < d`` rows the network works in ``r + 1`` coordinates, ``r`` the
    rank, and no ``d x d`` array is made; where a tenth of the features or more are zero
    in all training rows, in the ``r`` others and one more. A class with ``n_j`` rows
    keeps its ``m_j <= n_j`` eigenvectors (``r m_j`` numbers) or two triangular or
    symmetric matrices (``2 r^2``), whichever takes fewer operations: a factored class
    costs a row :math:`2 r m_j` operations and again as many if it is a member, a dense
    one at most :math:`r^2`, and :math:`2 r^2`. All rows together keep one ``r x r``
    matrix a layer. Memberships are sharp, so that a row is a member of few classes:
    from 64 coordinates on, those with the most energy rule out most dense classes
    before the others are looked at. Moving ``r`` rows or more holds ``k r^2`` numbers
    for a while.
    Array-API input is supported.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022.

    Examples
    --------
    Two noisy classes become two points that are orthogonal.

    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu.redunet import ReduNetTransformer
    >>> X, y = make_gaussians_on_sphere(100, n_classes=2, random_state=0)
    >>> net = ReduNetTransformer(
    ...     100, 0.1**0.5, 0.5, step="published", fit_intercept=False
    ... ).fit(X, y)
    >>> net.rates_["delta_R"][[0, -1]].round(2)
    array([0.79, 0.88])
    """

    __module__ = "skredu"


class ReduNetClassifier(BaseNetClassifier, BaseReduNet):
    r"""Classifier on the features of a network that is built forward.

    The layers are those of `ReduNetTransformer`. Behind each of them the classes are
    coded as by `MICLClassifier`, and the label of a row is decided by the extra bits of
    its features. A layer is kept if it earns its place: if the loss of the training
    rows, each left out, falls.

    Parameters
    ----------
    n_layers : int, default=20
        Most layers to build; 0 decides by the rows on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion of the layers, a length on the unit sphere; published code passes its
        square. ``"auto"`` takes the one by which leave-one-out tells the rows on the
        sphere apart best. The decision always has a distortion of its own, chosen by
        leave-one-out: where no layer is kept, this one has no effect on predictions.
    eta : float, default=0.1
        Step size, see ``step``; without effect where no layer is kept.
    step : {"relative", "published"}, default="relative"
        ``"relative"``: the step of a layer is ``eta / alpha``, or half of that and so
        on where :math:`\Delta R` of the training features would fall.
        ``"published"``: the step is ``eta`` itself.
    membership : {"coding", "residual", "weighted_residual"}, default="coding"
        Estimate of the memberships by which rows move, see `ReduNetTransformer`.
    inverse_temperature : float, default=500
        Inverse temperature of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training rows move while the network is built: by the operators of the other
        rows, by those of all rows (published), or by their labels. Only features of
        rows that were left out say how well new rows will be told apart.
    fit_intercept : bool or "auto", default="auto"
        Append a constant before rows are put on the sphere. ``"auto"``: unless
        leave-one-out tells the rows apart better without.
    intercept_scaling : float, default=1.0
        The constant, relative to the root mean square norm of the training rows.
    n_iter_no_change : int or None, default=3
        Stop after so many layers without one that takes a thousandth from the loss of
        rows left out (their errors plus their Brier score, a row), and drop these.
        That may leave none: fit warns where ``epsilon`` or ``eta`` was set in vain.
        None: keep all layers.
    tol : float, default=0.0
        Stop after a layer by which :math:`\Delta R` gains less; 0: never.
    class_weight : dict or "balanced", default=None
        Factor of the weights of the rows of each class, by label; ``"balanced"``: such
        that all classes weigh the same, and rare ones are found as often as others.
    warm_start : bool, default=False
        Go on from the layers of the call before if ``n_layers`` is larger now. Layers
        follow from the features of the training rows, so rows (in their order), labels,
        weights and all other parameters must be the same; a fingerprint of them is
        compared, and what differs is refused.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    class_count_ : ndarray of shape (n_classes,)
        Weight of each class.
    epsilon_ : float
        The distortion of the layers.
    intercept_ : float
        The constant appended to rows, 0 where there is none.
    temperature_ : float
        Bits are divided by it before they become probabilities.
    layers_ : list of ReduNetLayer
        The layers, see `ReduNetTransformer`.
    n_iter_ : int
        Number of layers that are kept.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` in nats with the true labels: of the
        training rows on the sphere, and of their features behind each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    ReduNetTransformer : The features alone.
    MICLClassifier : The decision alone, on the rows as they are.

    Notes
    -----
    Time and memory of the layers are those of `ReduNetTransformer`. A decision behind
    each layer costs about as much as the fit of a `MICLClassifier` in the coordinates
    of the layer, and holds ``r m_j`` numbers a class.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022.

    Wright, Tao, Lin, Shum and Ma, "Classification via minimum incremental coding
    length (MICL)", NIPS 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu.redunet import ReduNetClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), ReduNetClassifier())
    >>> bool(cross_val_score(model, X, y).mean() > 0.96)
    True
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseReduNet._parameter_constraints,
        **BaseNetClassifier._parameter_constraints,
    }

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        step: str = "relative",
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        fit_intercept: bool | str = "auto",
        intercept_scaling: float = 1.0,
        n_iter_no_change: int | None = 3,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            n_layers,
            epsilon,
            eta,
            step=step,
            membership=membership,
            inverse_temperature=inverse_temperature,
            construction=construction,
            fit_intercept=fit_intercept,
            intercept_scaling=intercept_scaling,
            tol=tol,
            warm_start=warm_start,
        )
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
