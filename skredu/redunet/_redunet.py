"""ReduNetTransformer and ReduNetClassifier: networks without back-propagation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skredu._compat import Interval, StrOptions
from skredu.coding._linalg import MODERATE, root_mean_square
from skredu.coding._symmetry import NAMES, permutations_of
from skredu.redunet._net import BaseNet, BaseNetClassifier
from skredu.redunet._samples import Samples
from skredu.redunet._vectors import Vectors


class BaseReduNet(BaseNet):
    """Base class of networks for vectors."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNet._parameter_constraints,
        "fit_intercept": ["boolean", StrOptions({"auto"})],
        "intercept_scaling": [MODERATE],
        "symmetry": [StrOptions(set(NAMES)), "array-like", None],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
    }
    _kind: ClassVar[type[Any]] = Vectors

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        step: str = "relative",
        momentum: float = 0.9,
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        fit_intercept: bool | str = "auto",
        intercept_scaling: float = 1.0,
        symmetry: Any = None,
        signal_shape: int | Sequence[int] | None = None,
        tol: float = 0.0,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.step = step
        self.momentum = momentum
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.symmetry = symmetry
        self.signal_shape = signal_shape
        self.tol = tol
        self.warm_start = warm_start

    @property
    def intercept_(self) -> float:
        """The constant that is appended to samples; 0 without an intercept."""
        check_is_fitted(self)
        return self._space["constant"] or 0.0

    def _spaces(self, samples: Samples) -> list[Vectors]:
        """Return spaces with an intercept, without, or both to choose from."""
        scaling, rows = float(self.intercept_scaling), samples.rows
        norm = samples.mean_norm or root_mean_square(rows.X, rows.weights)
        constant = scaling * norm
        if not 0.0 < constant < math.inf:
            raise ValueError(
                f"intercept_scaling={scaling} times the root mean square norm of X "
                f"must be a positive, finite number, found {constant}: scale the "
                "samples."
            )
        d, rotates = rows.source.shape[1], self.membership != "relu"
        group = with_constant = permutations_of(self.symmetry, self.signal_shape, d)
        if group is not None:  # the constant stays where it is
            with_constant = np.insert(group, d, d, axis=1)
        spaces = {
            True: Vectors(constant, permutations=with_constant, rotates=rotates),
            False: Vectors(permutations=group, rotates=rotates),
        }
        if self.fit_intercept == "auto":
            return list(spaces.values())
        return [spaces[bool(self.fit_intercept)]]


class ReduNetTransformer(BaseReduNet):
    r"""Features of a network that is constructed to maximise the rate reduction.

    Samples are projected to the unit sphere. Each layer is one step of gradient ascent
    on the rate reduction :math:`\Delta R` (see `skredu.rates.rate_reduction`),

    .. math::

        z^+ \propto z + \eta \Bigl(Ez - \sum_j \gamma_j \pi_j(z) C_j z\Bigr), \quad
        E = \alpha(I + \alpha Z^T Z)^{-1}, \;
        C_j = \alpha_j(I + \alpha_j Z^T \Pi_j Z)^{-1}

    with :math:`\alpha = d/(n\epsilon^2)`, :math:`\alpha_j = d/(n_j\epsilon^2)` and
    shares :math:`\gamma_j`. The classes contract to subspaces, which become orthogonal.
    The operators are computed from the training features and labels, and a sample moves
    by estimated memberships :math:`\pi_j`. There are no weights to train, and nothing
    is random.

    Parameters
    ----------
    n_layers : int, default=20
        Largest number of layers. With 0, the features are the samples on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion, a length on the unit sphere. Published code uses its square; its
        ``eps=0.1`` is ``epsilon=0.1**0.5`` here. ``"auto"`` takes the value that
        separates the classes best on the sphere, according to leave-one-out, as in
        `MICLClassifier`.
    eta : float, default=0.1
        Step size; see ``step``.
    step : {"relative", "published", "momentum", "nesterov"}, default="relative"
        Rule for the step size.

        - ``"relative"``: the step size of a layer is ``eta / alpha``. With ``eta`` up
          to 1, it never overshoots: the component of a sample outside the span of its
          class shrinks by the factor ``1 - eta`` at most. If :math:`\Delta R` of the
          training features would decrease, the step size is halved until it does not,
          and no more layers are added if no step size is left.
        - ``"published"``: the step size is ``eta``. It diverges if ``eta * alpha`` is
          greater than 2.
        - ``"momentum"``: as ``"relative"``, and each sample also moves on by
          ``momentum`` times what it has moved in the last layer. If :math:`\Delta R`
          would decrease, this velocity is dropped before the step size is halved.
        - ``"nesterov"``: as ``"momentum"``, by Nesterov's rule: the velocity is the
          difference of what the last two steps have reached before the velocity was
          added.

    momentum : float, default=0.9
        Factor of the velocity, at least 0 and less than 1. Only used by the steps
        ``"momentum"`` and ``"nesterov"``.
    membership : {"coding", "residual", "weighted_residual", "relu"}, default="coding"
        Estimate of the memberships :math:`\pi_j`.

        - ``"coding"``: two to the power of minus the extra bits of the sample in the
          class, as in `MICLClassifier` with ``assume_centered=True`` and
          ``priors=None``.
        - ``"residual"``: the published softmax of :math:`-\lambda\|C_jz\|`, which
          favours large classes.
        - ``"weighted_residual"``: the softmax of :math:`-\lambda\gamma_j\|C_jz\|`,
          which does not favour large classes.
        - ``"relu"``: the published nonlinearity
          :math:`z - \sum_j \mathrm{ReLU}(P_j z)` in place of
          :math:`\sum_j \pi_j (z - P_j z)`, with the soft projections :math:`P_j` on
          the classes; see the Notes.
    inverse_temperature : float, default=500
        The number :math:`\lambda` of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training samples move while the network is built.

        - ``"left_out"``: by operators and memberships computed from the other samples,
          which is how new samples will move. Otherwise the features of training samples
          become more orderly than those of new samples, and later layers are built for
          features that do not occur.
        - ``"estimated"``: by the operators and memberships of all samples (published).
        - ``"labels"``: by their labels.
    fit_intercept : bool or "auto", default="auto"
        Whether to append a constant before samples are projected to the sphere, so that
        their norms and affine structure are preserved. This adds one column to the
        features. ``"auto"`` appends it unless leave-one-out separates the classes
        better without, for instance because all samples have about the same norm.
    intercept_scaling : float, default=1.0
        The constant, relative to the root mean square norm of the training samples.
    symmetry : {"flip", "rot90", "dihedral"} or array-like of shape (m, d), default=None
        Permutations of features that change no class, as in `MICLClassifier`: those
        that reverse the last axis of ``signal_shape``, rotate square images by
        multiples of 90 degrees, or both; or a group of permutations of the ``d``
        features. Operators are those of all images of the samples, without forming
        them; see the Notes.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid of the samples for a named symmetry; None for one axis of all
        features. If it has fewer points than there are features, there are several
        channels.
    tol : float, default=0.0
        Stop after a layer that increases :math:`\Delta R` by less than this number; 0
        means never.
    warm_start : bool, default=False
        Whether to continue from the layers of the previous call if ``n_layers`` is
        larger now. The training samples (in their order), labels, weights and all other
        parameters must be the same; any difference raises an error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    class_count_ : ndarray of shape (n_classes,)
        Weight of each class.
    epsilon_ : float
        The distortion that is used.
    intercept_ : float
        The constant that is appended to samples; 0 without an intercept.
    layers_ : list of ReduNetLayer
        The layers. ``layer.expansion`` is the matrix :math:`E`, and
        ``layer.compression(j)`` is the matrix :math:`C_j`, both computed on demand;
        ``layer.eta`` is the step size, and ``layer.gamma`` contains the shares.
    n_iter_ : int
        Number of layers.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of the training samples with the true
        labels, in nats: on the sphere, and after each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    ReduNetClassifier : Predicts classes with this network.
    MICLClassifier : Uses the rule of the memberships as a classifier.

    Notes
    -----
    All motion takes place in the span of the training samples, and the component of a
    sample outside of it keeps its direction. If there are ``n < d`` training samples of
    rank ``r``, the network has ``r + 1`` coordinates, and no ``d x d`` array is formed.
    If a tenth of the features or more are zero in all training samples, the network
    has the ``r`` other features and one more as coordinates.

    A class with ``n_j`` samples is represented by its ``m_j <= n_j`` eigenvectors
    (``r m_j`` numbers) or by two triangular or symmetric matrices (``2 r^2``),
    whichever needs fewer operations. A factored class takes :math:`2 r m_j` operations
    per sample, and as many again if the sample is a member; a dense class takes at most
    :math:`r^2`, and :math:`2 r^2`. All samples together have one ``r x r`` matrix per
    layer. Since memberships are sharp, a sample is a member of few classes. With 128
    coordinates or more, products with dense classes are only completed for the classes
    that a quarter of the coordinates does not rule out, those with the largest sums of
    squares.

    **Positive parts.** With ``membership="relu"``, a layer is :math:`z^+ \propto z +
    \eta\alpha(\sum_j \mathrm{ReLU}(P_j z) - P z)`. This is the layer with memberships
    if projections on the class of a sample are positive and those on others are not,
    for instance if classes use different features that are never negative. Otherwise
    what classes have in common is counted several times, :math:`\Delta R` falls, and
    relative steps add few layers or none. All features are coordinates then, even if
    there are fewer samples.

    **Velocity.** Steps with momentum need one more array of the size of the features in
    `fit`, and the same operations. A new sample is at rest on the sphere, and carries
    its velocity from layer to layer as training samples do.

    **Symmetries.** With ``symmetry``, operators, rates and decisions are those of all
    images of the training samples, each of which has the weight of its sample divided
    by the number of images. Their scatters are averages of images of one scatter, so no
    image is computed for `transform` and predictions. While the network is built, a
    sample is left out together with its images, also with those that are training
    samples of its class, and the products of the sample with them are computed.
    The features of an image of a sample are the image of its features. All features
    are coordinates, even if there are fewer samples.

    Array-API input is supported.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022.

    Examples
    --------
    Two noisy classes become two points that are orthogonal.

    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu import ReduNetTransformer
    >>> X, y = make_gaussians_on_sphere(100, n_classes=2, random_state=0)
    >>> net = ReduNetTransformer(
    ...     100, 0.1**0.5, 0.5, step="published", fit_intercept=False
    ... ).fit(X, y)
    >>> net.rates_["delta_R"][[0, -1]].round(2)
    array([0.79, 0.88])
    """

    __module__ = "skredu"


class ReduNetClassifier(BaseNetClassifier, BaseReduNet):
    r"""Classifier on the features of a network that is constructed layer by layer.

    The layers are those of `ReduNetTransformer`. After each layer, the classes are
    coded as by `MICLClassifier`, and the class of a sample is predicted by the extra
    bits of its features. A layer is kept if it reduces the leave-one-out loss of the
    training samples.

    Parameters
    ----------
    n_layers : int, default=20
        Largest number of layers. With 0, classes are predicted from the samples on the
        sphere.
    epsilon : float or "auto", default="auto"
        Distortion of the layers, a length on the unit sphere. Published code uses its
        square. ``"auto"`` takes the value that separates the classes best on the
        sphere, according to leave-one-out. The decision always has a distortion of its
        own, chosen by leave-one-out. So if no layer is kept, this parameter has no
        effect on predictions.
    eta : float, default=0.1
        Step size; see ``step``. It has no effect if no layer is kept.
    step : {"relative", "published", "momentum", "nesterov"}, default="relative"
        Rule for the step size.

        - ``"relative"``: the step size of a layer is ``eta / alpha``, halved as long as
          :math:`\Delta R` of the training features would decrease.
        - ``"published"``: the step size is ``eta``.
        - ``"momentum"`` and ``"nesterov"``: as ``"relative"``, with a velocity; see
          `ReduNetTransformer`.

    momentum : float, default=0.9
        Factor of the velocity of the steps ``"momentum"`` and ``"nesterov"``.
    membership : {"coding", "residual", "weighted_residual", "relu"}, default="coding"
        Estimate of the memberships by which samples move; see `ReduNetTransformer`.
    inverse_temperature : float, default=500
        Inverse temperature of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training samples move while the network is built: by the operators of the
        other samples, by those of all samples (published), or by their labels. Only
        features of samples that were left out show how well new samples will be
        classified.
    fit_intercept : bool or "auto", default="auto"
        Whether to append a constant before samples are projected to the sphere.
        ``"auto"`` appends it unless leave-one-out separates the classes better without.
    intercept_scaling : float, default=1.0
        The constant, relative to the root mean square norm of the training samples.
    symmetry : {"flip", "rot90", "dihedral"} or array-like of shape (m, d), default=None
        Permutations of features that change no class; see `ReduNetTransformer`. A
        sample and its images have the same predictions.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid of the samples for a named symmetry; see
        `ReduNetTransformer`.
    n_iter_no_change : int or None, default=3
        Stop after this number of consecutive layers that do not reduce the
        leave-one-out loss (errors plus Brier score, per sample) by at least 0.001, and
        drop these layers. If no layer is left, `fit` warns if ``epsilon`` or ``eta``
        was set, because they have no effect then. None keeps all layers.
    tol : float, default=0.0
        Stop after a layer that increases :math:`\Delta R` by less than this number; 0
        means never.
    class_weight : dict or "balanced", default=None
        Factors by which the weights of the samples of each class are multiplied, by
        label. ``"balanced"`` gives all classes the same total weight, so that rare
        classes are predicted as often as others.
    warm_start : bool, default=False
        Whether to continue from the layers of the previous call if ``n_layers`` is
        larger now. The training samples (in their order), labels, weights and all other
        parameters must be the same; any difference raises an error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    class_count_ : ndarray of shape (n_classes,)
        Weight of each class.
    epsilon_ : float
        The distortion of the layers.
    intercept_ : float
        The constant that is appended to samples; 0 without an intercept.
    temperature_ : float
        Number by which bits are divided before they become probabilities.
    layers_ : list of ReduNetLayer
        The layers; see `ReduNetTransformer`.
    n_iter_ : int
        Number of layers that are kept.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of the training samples with the true
        labels, in nats: on the sphere, and after each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    ReduNetTransformer : Computes the features only.
    MICLClassifier : Predicts classes from the samples without a network.

    Notes
    -----
    Time and memory of the layers are those of `ReduNetTransformer`. The decision after
    each layer takes about as long as the fit of a `MICLClassifier` in the coordinates
    of the layer, and contains ``r m_j`` numbers per class.

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
    >>> from skredu import ReduNetClassifier
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
        momentum: float = 0.9,
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        fit_intercept: bool | str = "auto",
        intercept_scaling: float = 1.0,
        symmetry: Any = None,
        signal_shape: int | Sequence[int] | None = None,
        n_iter_no_change: int | None = 3,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.step = step
        self.momentum = momentum
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.symmetry = symmetry
        self.signal_shape = signal_shape
        self.tol = tol
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
