"""InvariantReduNetTransformer and InvariantReduNetClassifier: signals and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils.metaestimators import available_if

from skredu._base import all_or_nothing
from skredu._compat import Interval, StrOptions
from skredu.coding._rows import Rows
from skredu.lifting._grid import channels_of
from skredu.lifting._signals import (
    NAME,
    SignalsOutMixin,
    check_grid,
    grid_of,
    refuse_stacks,
)
from skredu.redunet._classifier import BaseNetClassifier
from skredu.redunet._invariant_features import invariant_features, n_invariant_features
from skredu.redunet._net import BaseNet
from skredu.redunet._signals import Grid
from skredu.redunet._stream import StreamingNet


class BaseInvariantReduNet(SignalsOutMixin, BaseNet):
    """A network for signals."""

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
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.tol = tol
        self.warm_start = warm_start

    _invariant: bool

    def _spaces(self, rows: Rows) -> list[Grid]:
        return [self._grid]

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

    def _training_rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        refuse_stacks(X)
        rows = super()._training_rows(X, y, sample_weight)
        if self._continues:
            check_grid(X, self.signal_shape_)
        else:
            self._stand_on(self._grid_for(X, rows.source.shape[1]))
        return rows

    def _check_rows(self, X: Any, method: str) -> Any:
        refuse_stacks(X)
        rows = super()._check_rows(X, method)
        check_grid(X, self.signal_shape_)
        return rows

    def _shown(self, Z: Any, outside: Any, space: Any, stage: int = -1) -> Any:
        if self._invariant:
            return invariant_features(Z, self._decisions[stage], space)
        return super()._shown(Z, outside, space)

    def _grid_for(self, X: Any, n_features: int) -> Grid:
        """Grid of rows that come."""
        shape = grid_of(X, self.signal_shape, n_features)
        return Grid(shape, channels_of(shape, n_features, NAME))

    @property
    def _grid(self) -> Grid:
        return Grid(self.signal_shape_, self.n_channels_)

    def _stand_on(self, grid: Grid) -> None:
        self.signal_shape_, self.n_channels_ = grid.shape, grid.n_channels
        self._invariant = self.output == "invariant"


def _has_no_layers(net: InvariantReduNetClassifier) -> bool:
    return net.n_layers == 0


class InvariantReduNetTransformer(BaseInvariantReduNet):
    r"""Features of signals by a network to which all shifts are alike.

    Rows are signals of ``C`` channels on a cyclic grid of ``T`` points. The network is
    `ReduNetTransformer` on **all cyclic shifts** of the rows, without writing them out:
    in the Fourier domain its operators are ``C x C`` matrices, one a frequency,

    .. math::

        E(p) = \alpha\bigl(I + \alpha T \sum_i v_i(p) v_i(p)^H\bigr)^{-1}, \quad
        C_j(p) = \alpha_j\bigl(I + \alpha_j T \sum_{i \in j} v_i(p) v_i(p)^H\bigr)^{-1}

    with orthonormal spectra :math:`v_i`, :math:`\alpha = C/(n\epsilon^2)` and
    :math:`\alpha_j = C/(n_j\epsilon^2)`. The factor ``T`` makes them equal to the
    operators of the ``nT`` shifted rows, and lets ``epsilon`` mean what it means there.
    Memberships pool all frequencies, so that a shift of a row shifts its features.

    Parameters
    ----------
    n_layers : int, default=20
        Most layers to build; 0 leaves the rows on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion, a length on the unit sphere on which whole rows are put. Published
        code passes a square in other units: its ``eps`` is ``epsilon**2 / T`` here, see
        the notes. ``"auto"`` takes the one by which leave-one-out tells the rows on the
        sphere apart best.
    eta : float, default=0.1
        Step size, see ``step``.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Rows hold one channel after the other, each in C order, and
        the number of channels is that of the features divided by that of the points.
        None: as the rows say, if they come from `ConvolutionalLifting`,
        `PolarTransformer` or another network; otherwise the whole row is one channel
        on a line.
    output : {"equivariant", "invariant"}, default="equivariant"
        ``"equivariant"``: signals of the shape of the rows, which shift with them.
        ``"invariant"``: features that are the same for all shifts of a row: magnitudes
        of the spectra, phases of the bispectra at low frequencies, and probabilities of
        the classes by coding lengths, see the notes.
    step : {"relative", "published"}, default="relative"
        ``"relative"``: the step of a layer is ``eta / alpha`` or, where
        :math:`\Delta R` of the training features would fall, half of that and so on.
        ``"published"``: the step is ``eta`` itself, whatever comes of it.
    membership : {"coding", "residual", "weighted_residual"}, default="coding"
        Estimate of the memberships :math:`\pi_j`. ``"coding"``: by the extra bits that
        all shifts of the row cost in the class, a shift. ``"residual"``: the published
        softmax of :math:`-\lambda\|C_jz\|`, which favours large classes.
        ``"weighted_residual"``: of :math:`-\lambda\gamma_j\|C_jz\|`.
    inverse_temperature : float, default=500
        :math:`\lambda` of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training rows move while the network is built: by the operators of the other
        rows, by those of all rows (published), or by their labels. A row that is left
        out takes all of its shifts along.
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
    signal_shape_ : tuple of int
        The grid.
    n_channels_ : int
        Number of channels.
    layers_ : list of InvariantReduNetLayer
        The layers. ``layer.expansion`` holds the filters of :math:`E`, an array of
        shape (C, C, \*signal_shape), and ``layer.compression(j)`` those of :math:`C_j`;
        ``layer.eta`` is the step, ``layer.gamma`` holds the shares.
    n_iter_ : int
        Number of layers.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of all shifts of the training rows with the
        true labels, in nats a point of the grid: on the sphere, and behind each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    InvariantReduNetClassifier : The same with a decision.
    ReduNetTransformer : The network for plain vectors.

    Notes
    -----
    There is no intercept: a constant channel, and any class mean over all shifts, has
    no part but at frequency zero, which has operators of its own.

    Rows are real, so ``F`` frequencies of the half spectrum tell everything, about
    ``T / 2``; all but the first and, on an even axis, the last along the last axis of
    the grid count twice. A layer holds, in complex numbers, ``F C^2`` for all rows and
    for each class ``F C^2`` and as many real ones if it has at least ``C`` rows, else
    ``F C n_j``. It takes about ``F C^3 k`` operations to build and, for every row that
    moves, ``F C^2`` and ``F C min(C, n_j)`` a class. Spectra of ``n`` rows take
    ``16 F C n`` bytes in double precision, half of that in single: about what the rows
    do. Of many rows, `fit` holds them and their change while it builds layers, twice
    as much then, or once where there are none, and works on blocks of some 100 MB.
    Scatters and their inverses take about ``80 F C^2 k`` bytes meanwhile.

    **Invariant features.** Equivariant features are no good for classifiers that know
    nothing of shifts; with ``output="invariant"`` there are :math:`FC + 2BC + k` that
    are the same for all shifts: the magnitudes :math:`|v_c(p)|`, together of norm one
    (frequencies that stand for two times :math:`\sqrt 2`); for each channel, real and
    then imaginary parts of

    .. math::

        \min(|v_c(p)|, |v_c(q)|, |v_c(p + q)|) \, e^{i\varphi}, \quad
        \varphi = \arg v_c(p) v_c(q) \overline{v_c(p + q)}

    for the ``B`` pairs, 55 on large grids, of the ten lowest frequencies but zero; and
    the probabilities of the classes. On training rows the probabilities are sharper
    than on new ones, since the classes know them.

    **The published network.** Published code has no factor ``T``: its ``eps`` is
    :math:`\epsilon^2/T`, its step is :math:`\eta/T` and its inverse temperature
    :math:`\lambda/T`. The published dynamics with ``eps=0.1``, step 0.5 and 500 are
    those of ``epsilon=(0.1 * T)**0.5``, ``eta=0.5 * T``,
    ``inverse_temperature=500 * T``, ``step="published"``, ``membership="residual"``
    and ``construction="estimated"``.

    Array-API input is supported where the namespace has the FFT extension; NumPy arrays
    go through `scipy.fft`, which heeds `scipy.fft.set_workers`.

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
    r"""Classifier of signals to which all shifts are alike.

    The layers are those of `InvariantReduNetTransformer`. Behind each of them the
    classes are coded at every frequency, and the label of a row is decided by the extra
    bits of its features: predictions are the same for all cyclic shifts of a row. A
    layer is kept if the loss of the training rows, each left out, falls.

    Parameters
    ----------
    n_layers : int, default=20
        Most layers to build; 0 decides by the rows on the sphere.
    epsilon : float or "auto", default="auto"
        Distortion of the layers, a length on the unit sphere; published code passes its
        square divided by the number of points. ``"auto"`` takes the one by which
        leave-one-out tells the rows on the sphere apart best. The decision always has a
        distortion of its own, chosen by leave-one-out: where no layer is kept, this one
        has no effect on predictions.
    eta : float, default=0.1
        Step size, see ``step``; without effect where no layer is kept.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid; rows hold one channel after the other, each in C order. None:
        as the rows say, if they come from `ConvolutionalLifting`, `PolarTransformer` or
        another network; otherwise the whole row is one channel on a line.
    output : {"equivariant", "invariant"}, default="equivariant"
        What `transform` gives, see `InvariantReduNetTransformer`.
    step : {"relative", "published"}, default="relative"
        ``"relative"``: the step of a layer is ``eta / alpha``, or half of that and so
        on where :math:`\Delta R` of the training features would fall.
        ``"published"``: the step is ``eta`` itself.
    membership : {"coding", "residual", "weighted_residual"}, default="coding"
        Estimate of the memberships by which rows move.
    inverse_temperature : float, default=500
        Inverse temperature of the residual memberships.
    construction : {"left_out", "estimated", "labels"}, default="left_out"
        How training rows move while the network is built: by the operators of the other
        rows, by those of all rows (published), or by their labels.
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
    signal_shape_ : tuple of int
        The grid.
    n_channels_ : int
        Number of channels.
    temperature_ : float
        Bits are divided by it before they become probabilities.
    layers_ : list of InvariantReduNetLayer
        The layers, see `InvariantReduNetTransformer`.
    n_iter_ : int
        Number of layers that are kept.
    rates_ : dict of str to ndarray of shape (n_iter_ + 1,)
        ``"R"``, ``"Rc"`` and ``"delta_R"`` of all shifts of the training rows with the
        true labels, in nats a point of the grid: on the sphere, and behind each layer.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    InvariantReduNetTransformer : The features alone.
    ReduNetClassifier : The classifier for plain vectors.

    Notes
    -----
    Time and memory of the layers are those of `InvariantReduNetTransformer`. A decision
    behind each layer holds ``F C min(C, n_j)`` complex numbers a class. Without layers
    rows may come in parts, see `partial_fit`: it keeps ``F C^2`` numbers a class, in
    double precision, and at most 5 000 rows to judge distortions by. On rows that
    are no signals it does what was asked for: ``(a, b)`` and ``(b, a)`` are shifts of
    each other, and get the same label. With ``signal_shape=1`` there are no shifts.

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
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        n_iter_no_change: int | None = 3,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            n_layers,
            epsilon,
            eta,
            signal_shape=signal_shape,
            output=output,
            step=step,
            membership=membership,
            inverse_temperature=inverse_temperature,
            construction=construction,
            tol=tol,
            warm_start=warm_start,
        )
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight

    @available_if(_has_no_layers)
    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> InvariantReduNetClassifier:
        """Add rows; the model is that of `fit` on all rows so far.

        The distortion of the decision is judged by 5 000 rows at most, evenly over all
        so far, and may differ from that of `fit` where there are more; after `fit` it
        stays. Only with ``n_layers=0``: layers need all rows at once. Classes are
        factored, and the distortion is chosen, when a prediction or an attribute first
        needs them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each row; fractions are allowed, zero means absent.
            Times ``class_weight`` it is 0 or from 1e-30 to 1e9, as nothing is
            multiplied here.

        Returns
        -------
        self : InvariantReduNetClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is out of range, ``classes`` is missing in the
            first call, a label is not among them, the grid is another one, `fit` has
            built layers, or ``class_weight="balanced"``, which needs all rows at once.

        Examples
        --------
        >>> import numpy as np
        >>> from skredu import InvariantReduNetClassifier
        >>> from skredu.datasets import make_shifted_signals
        >>> X, y = make_shifted_signals(30, n_timesteps=64, random_state=0)
        >>> model = InvariantReduNetClassifier(n_layers=0)
        >>> for part in np.array_split(np.arange(60), 3):
        ...     model = model.partial_fit(X[part], y[part], classes=[0, 1])
        >>> [float(count) for count in model.class_count_]
        [30.0, 30.0]
        """
        return self._add_rows(X, y, classes, sample_weight)

    def __sklearn_tags__(self) -> Any:
        """Tags: rows that are no signals are told apart up to shifts only."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags
