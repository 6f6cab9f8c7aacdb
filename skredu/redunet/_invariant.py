"""InvariantReduNetTransformer and InvariantReduNetClassifier: networks for signals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

from skredu._compat import Interval, StrOptions
from skredu._signals import (
    NAME,
    SignalsOutMixin,
    channels_of,
    check_grid,
    grid_of,
    refuse_stacks,
)
from skredu.coding._linalg import softmax
from skredu.coding._rows import Rows
from skredu.redunet._grid import Grid, invariant_features, n_invariant_features
from skredu.redunet._net import BaseNet, BaseNetClassifier
from skredu.redunet._samples import Samples, decision_scores
from skredu.redunet._stream import StreamingNet


class BaseInvariantReduNet(SignalsOutMixin, BaseNet):
    """Base class of networks for signals."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNet._parameter_constraints,
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "output": [StrOptions({"equivariant", "invariant"})],
    }
    _kind: ClassVar[type[Any]] = Grid

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        signal_shape: int | Sequence[int] | None = None,
        output: str = "equivariant",
        step: str = "relative",
        momentum: float = 0.9,
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        tol: float = 0.0,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.signal_shape = signal_shape
        self.output = output
        self.step = step
        self.momentum = momentum
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.tol = tol
        self.warm_start = warm_start

    def _spaces(self, samples: Samples) -> list[Grid]:
        return [Grid(self.signal_shape_, self.n_channels_)]

    @property
    def _n_features_out(self) -> int:
        grid = self._restored_space()
        if not self._invariant:
            return int(grid.n_features_out)
        return n_invariant_features(grid, len(self.classes_))

    @property
    def _decides(self) -> bool:
        return self._invariant

    @property
    def _gives_signals(self) -> bool:
        return not self._invariant

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None
    ) -> Rows:
        refuse_stacks(X)
        rows = super()._training_rows(X, y, sample_weight, classes)
        if self._continues:
            check_grid(X, self.signal_shape_)
        else:
            grid = self._grid_for(X, rows.source.shape[1])
            self.signal_shape_, self.n_channels_ = grid.shape, grid.n_channels
            self._invariant = self.output == "invariant"
        return rows

    def _check_rows(self, X: Any, method: str) -> Any:
        refuse_stacks(X)
        rows = super()._check_rows(X, method)
        check_grid(X, self.signal_shape_)
        return rows

    def _shown(self, Z: Any, outside: Any, stage: int = -1) -> Any:
        if self._invariant:
            decision, nats = self._decisions[stage], math.log(2.0)
            scores = decision_scores(decision, Z) * (nats / decision["temperature"])
            return invariant_features(Z, softmax(scores), self._restored_space())
        return super()._shown(Z, outside, stage)

    def _grid_for(self, X: Any, n_features: int) -> Grid:
        """Return the grid of samples."""
        shape = grid_of(X, self.signal_shape, n_features)
        return Grid(shape, channels_of(shape, n_features, NAME))


class InvariantReduNetTransformer(BaseInvariantReduNet):
    r"""Features of signals from a network that is invariant to shifts.

    Each sample is a signal with ``C`` channels on a cyclic grid of ``T`` points. The
    network is `ReduNetTransformer` on **all cyclic shifts** of the samples, without
    forming them. In the Fourier domain, its operators are ``C x C`` matrices, one per
    frequency,

    .. math::

        E(p) = \alpha\bigl(I + \alpha T \sum_i v_i(p) v_i(p)^H\bigr)^{-1}, \quad
        C_j(p) = \alpha_j\bigl(I + \alpha_j T \sum_{i \in j} v_i(p) v_i(p)^H\bigr)^{-1}

    with orthonormal spectra :math:`v_i`, :math:`\alpha = C/(n\epsilon^2)` and
    :math:`\alpha_j = C/(n_j\epsilon^2)`. With the factor ``T``, they are equal to the
    operators of the ``nT`` shifted samples, and ``epsilon`` has the same meaning.
    Memberships combine all frequencies, so a shift of a sample shifts its features.

    Parameters
    ----------
    n_layers : int, default=20
        Largest number of layers. With 0, the features are the samples on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion, a length on the unit sphere to which whole samples are projected.
        Published code uses a square in other units; its ``eps`` is ``epsilon**2 / T``
        here, see the Notes. ``"auto"`` takes the value that separates the classes best
        on the sphere, according to leave-one-out.
    eta : float, default=0.1
        Step size; see ``step``.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Each row contains one channel after the other, each in C
        order. The number of channels is the number of features divided by the number of
        points. If None, the shape is taken from the input if this is the output of
        `ConvolutionalLifting`, `PolarTransformer` or another network; otherwise each
        row is one channel on a one-dimensional grid.
    output : {"equivariant", "invariant"}, default="equivariant"
        Output of `transform`.

        - ``"equivariant"``: signals of the same shape, which shift with the samples.
        - ``"invariant"``: features that are the same for all shifts of a sample:
          magnitudes of the spectra, phases of the bispectra at low frequencies, and
          class probabilities computed from coding lengths; see the Notes.
    step : {"relative", "published", "momentum", "nesterov"}, default="relative"
        Rule for the step size.

        - ``"relative"``: the step size of a layer is ``eta / alpha``, halved as long as
          :math:`\Delta R` of the training features would decrease.
        - ``"published"``: the step size is ``eta``.
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

        - ``"coding"``: by the extra bits that all shifts of the sample cost in the
          class, per shift.
        - ``"residual"``: the published softmax of :math:`-\lambda\|C_jz\|`, which
          favours large classes.
        - ``"weighted_residual"``: the softmax of :math:`-\lambda\gamma_j\|C_jz\|`.
        - ``"relu"``: the published nonlinearity
          :math:`z - \sum_j \mathrm{ReLU}(P_j z)` in place of
          :math:`\sum_j \pi_j (z - P_j z)`, with the soft projections :math:`P_j` on
          the classes, point by
          point; see the Notes.
    inverse_temperature : float, default=500
        The number :math:`\lambda` of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training samples move while the network is built: by the operators of the
        other samples, by those of all samples (published), or by their labels. A sample
        is left out together with all of its shifts.
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
    signal_shape_ : tuple of int
        Shape of the grid.
    n_channels_ : int
        Number of channels.
    layers_ : list of ReduNetLayer
        The layers. ``layer.expansion`` contains the filters of :math:`E`, an array of
        shape (C, C, \*signal_shape), and ``layer.compression(j)`` those of :math:`C_j`;
        ``layer.eta`` is the step size, and ``layer.gamma`` contains the shares.
    n_iter_ : int
        Number of layers.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of all shifts of the training samples with
        the true labels, in nats per point of the grid: on the sphere, and after each
        layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    InvariantReduNetClassifier : Predicts classes with this network.
    ReduNetTransformer : The network for vectors.

    Notes
    -----
    There is no intercept: a constant channel, and the mean of a class over all shifts,
    contribute only to frequency zero, which has its own operators.

    Since signals are real, ``F`` frequencies of the half spectrum suffice, about
    ``T / 2``. All but the first and, on an even axis, the last along the last axis of
    the grid count twice. A layer contains, in complex numbers, ``F C^2`` for all
    samples, and for each class ``F C^2`` and as many real ones if it has at least ``C``
    samples, and ``F C n_j`` otherwise. It takes about ``F C^3 k`` operations to build
    and, for every sample that moves, ``F C^2`` and ``F C min(C, n_j)`` per class. The
    spectra of ``n`` samples take ``16 F C n`` bytes in double precision and half of
    that in single precision, which is about the size of the data. For many samples,
    `fit` needs this memory twice while it builds layers, for the spectra and their
    change, or once without layers, and works on blocks of about 100 MB. Scatters and
    their inverses temporarily take about ``80 F C^2 k`` bytes.

    **Invariant features.** Equivariant features are not suitable for classifiers that
    are not invariant to shifts. With ``output="invariant"``, there are
    :math:`FC + 2BC + k` features that are the same for all shifts: the magnitudes
    :math:`|v_c(p)|`, scaled together to norm one (frequencies that represent two are
    multiplied by :math:`\sqrt 2`); for each channel, the real and then the imaginary
    parts of

    .. math::

        \min(|v_c(p)|, |v_c(q)|, |v_c(p + q)|) \, e^{i\varphi}, \quad
        \varphi = \arg v_c(p) v_c(q) \overline{v_c(p + q)}

    for the ``B`` pairs (55 on large grids) of the ten lowest nonzero frequencies; and
    the class probabilities. On training samples, the probabilities are sharper than on
    new ones, since the classes contain them.

    **Positive parts.** With ``membership="relu"``, a layer is :math:`z^+ \propto z +
    \eta\alpha(\sum_j \mathrm{ReLU}(P_j z) - P z)`. This is the layer with memberships
    if projections on the class of a sample are positive and those on others are not,
    for instance if classes use different features that are never negative. Otherwise
    what classes have in common is counted several times, :math:`\Delta R` falls, and
    relative steps add few layers or none. The positive parts of
    shifted signals are shifted positive parts, so the network stays equivariant. Every
    class takes two Fourier transforms of the samples more.

    **Velocity.** Steps with momentum need one more array of the size of the features in
    `fit`, and the same operations. A new sample is at rest on the sphere, and carries
    its velocity from layer to layer as training samples do.

    **The published network.** Published code has no factor ``T``: its ``eps`` is
    :math:`\epsilon^2/T`, its step size is :math:`\eta/T`, and its inverse temperature
    is :math:`\lambda/T`. To obtain the published dynamics with ``eps=0.1``, step size
    0.5 and inverse temperature 500, use ``epsilon=(0.1 * T)**0.5``, ``eta=0.5 * T``,
    ``inverse_temperature=500 * T``, ``step="published"``, ``membership="residual"`` and
    ``construction="estimated"``.

    Array API input is supported if the namespace has the FFT extension. For NumPy
    arrays, `scipy.fft` is used, which respects `scipy.fft.set_workers`.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, sections 4.3 and 4.4.

    Examples
    --------
    A shift of a signal shifts its features.

    >>> import numpy as np
    >>> from skredu import InvariantReduNetTransformer
    >>> from skredu.datasets import make_shifted_signals
    >>> X, y = make_shifted_signals(20, n_timesteps=32, random_state=0)
    >>> net = InvariantReduNetTransformer(3).fit(X, y)
    >>> Z = net.transform(np.roll(X, 5, axis=1))
    >>> np.allclose(Z, np.roll(net.transform(X), 5, axis=1))
    True
    """

    __module__ = "skredu"


class InvariantReduNetClassifier(StreamingNet, BaseNetClassifier, BaseInvariantReduNet):
    r"""Classifier of signals that is invariant to shifts.

    The layers are those of `InvariantReduNetTransformer`. After each layer, the classes
    are coded at every frequency, and the class of a sample is predicted by the extra
    bits of its features, so predictions are the same for all cyclic shifts of a sample.
    A layer is kept if it reduces the leave-one-out loss of the training samples.

    Parameters
    ----------
    n_layers : int, default=20
        Largest number of layers. With 0, classes are predicted from the samples on the
        sphere.
    epsilon : float or "auto", default="auto"
        Distortion of the layers, a length on the unit sphere. Published code uses its
        square divided by the number of points. ``"auto"`` takes the value that
        separates the classes best on the sphere, according to leave-one-out. The
        decision always has a distortion of its own, chosen by leave-one-out. So if no
        layer is kept, this parameter has no effect on predictions.
    eta : float, default=0.1
        Step size; see ``step``. It has no effect if no layer is kept.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Each row contains one channel after the other, each in C
        order. If None, the shape is taken from the input if this is the output of
        `ConvolutionalLifting`, `PolarTransformer` or another network; otherwise each
        row is one channel on a one-dimensional grid.
    output : {"equivariant", "invariant"}, default="equivariant"
        Output of `transform`; see `InvariantReduNetTransformer`.
    step : {"relative", "published", "momentum", "nesterov"}, default="relative"
        Rule for the step size; see `InvariantReduNetTransformer`.
    momentum : float, default=0.9
        Factor of the velocity of the steps ``"momentum"`` and ``"nesterov"``.
    membership : {"coding", "residual", "weighted_residual", "relu"}, default="coding"
        Estimate of the memberships by which samples move.
    inverse_temperature : float, default=500
        Inverse temperature of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training samples move while the network is built: by the operators of the
        other samples, by those of all samples (published), or by their labels.
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
    signal_shape_ : tuple of int
        Shape of the grid.
    n_channels_ : int
        Number of channels.
    temperature_ : float
        Number by which bits are divided before they become probabilities.
    layers_ : list of ReduNetLayer
        The layers; see `InvariantReduNetTransformer`.
    n_iter_ : int
        Number of layers that are kept.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of all shifts of the training samples with
        the true labels, in nats per point of the grid: on the sphere, and after each
        layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    InvariantReduNetTransformer : Computes the features only.
    ReduNetClassifier : The classifier for vectors.

    Notes
    -----
    Time and memory of the layers are those of `InvariantReduNetTransformer`. The
    decision after each layer contains ``F C min(C, n_j)`` complex numbers per class.
    Without layers, the classifier can learn incrementally; see `partial_fit`. It then
    keeps ``F C^2`` numbers per class in double precision, and at most 5 000 samples to
    choose the distortion. If the samples are not signals, all of their shifts are still
    identified: ``(a, b)`` and ``(b, a)`` are shifts of each other, and get the same
    label. With ``signal_shape=1``, there are no shifts.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, sections 4.3 and 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu import InvariantReduNetClassifier
    >>> from skredu.datasets import make_shifted_signals
    >>> X, y = make_shifted_signals(30, max_shift=0, n_timesteps=64, random_state=0)
    >>> model = InvariantReduNetClassifier().fit(X[:40], y[:40])
    >>> [float(model.score(np.roll(X[40:], s, axis=1), y[40:])) for s in (0, 9, 31)]
    [1.0, 1.0, 1.0]
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseInvariantReduNet._parameter_constraints,
        **BaseNetClassifier._parameter_constraints,
    }

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        signal_shape: int | Sequence[int] | None = None,
        output: str = "equivariant",
        step: str = "relative",
        momentum: float = 0.9,
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        n_iter_no_change: int | None = 3,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.signal_shape = signal_shape
        self.output = output
        self.step = step
        self.momentum = momentum
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.tol = tol
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        """Return the tags; only signals are separated well by this classifier."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags
