"""RateReductionDisplay: R, Rc and their difference along the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display
from skredu.rates import class_coding_rate, coding_rate

# Label and marker of each line; the markers help readers who cannot see the colours.
LINES = {"R": ("$R$", "o"), "Rc": ("$R_c$", "s"), "delta_R": (r"$\Delta R$", "^")}
# Largest number of points that have markers.
MAX_MARKERS = 40


class RateReductionDisplay(Display):
    r"""Coding rates along the layers of a network.

    Parameters
    ----------
    R : array-like of shape (n_layers + 1,)
        Coding rate of all samples in nats, before the first layer and after each.
    Rc : array-like of shape (n_layers + 1,)
        Mean coding rate of the classes in nats.
    delta_R : array-like of shape (n_layers + 1,)
        Rate reduction :math:`\Delta R = R - R_c`.
    name : str, default=None
        Name of the data in the legend.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines of ``"R"``, ``"Rc"`` and ``"delta_R"``.
    {axes}

    See Also
    --------
    skredu.ReduNetTransformer : Network whose ``rates_`` are shown.
    skredu.rates.rate_reduction : Compute the rate reduction.

    References
    ----------
    {chan_2022}

    Examples
    --------
    Draw the rates of training data and of new data in the same axes:

    >>> from skredu import ReduNetTransformer
    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu.plotting import RateReductionDisplay
    >>> X, y = make_gaussians_on_sphere(50, n_classes=2, random_state=0)
    >>> net = ReduNetTransformer(5, 0.5).fit(X[::2], y[::2])
    >>> display = RateReductionDisplay.from_estimator(net, name="training data")
    >>> _ = RateReductionDisplay.from_estimator(
    ...     net, X[1::2], y[1::2], ax=display.ax_, name="new data", linestyle="--"
    ... )
    >>> list(display.frame().columns)
    ['R', 'Rc', 'delta_R']
    """

    __module__ = "skredu.plotting"

    lines_: dict[str, Any]

    def __init__(
        self, *, R: Any, Rc: Any, delta_R: Any, name: str | None = None
    ) -> None:
        self.R = R
        self.Rc = Rc
        self.delta_R = delta_R
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        ax: Axes | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> RateReductionDisplay:
        """Draw the rates of a fitted network.

        Parameters
        ----------
        estimator : estimator instance
            Fitted network with ``rates_``, or a pipeline that ends with one.
        X : array-like of shape (n_samples, n_features), default=None
            Data whose rates are shown. None shows the rates of the training data that
            the network has recorded. For networks for signals, only these are
            available.
        y : array-like of shape (n_samples,), default=None
            Class labels of ``X``.
        {ax}
        {name}
        {lines}

        {returns_or_raises}
        """
        network, X = cls._last_step(estimator, X)
        cls._require(network, ["rates_"], "rates along layers")
        if X is None:
            return cls(**network.rates_, name=name).plot(ax, **kwargs)
        cls._require(network, ["staged_transform"], "features along layers")
        if hasattr(network, "signal_shape_"):
            raise ValueError(
                f"{cls.__name__}.from_estimator shows rates of X for networks for "
                f"vectors only; those of {type(network).__name__} are of all shifts of "
                "the samples. Leave X out to show the rates of the training data."
            )
        stages, epsilon = network.staged_transform(X), network.epsilon_
        return cls.from_predictions(
            stages, y, epsilon=epsilon, ax=ax, name=name, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        stages: Iterable[Any],
        y: Any,
        *,
        epsilon: float,
        ax: Axes | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> RateReductionDisplay:
        """Draw the rates of features.

        Parameters
        ----------
        stages : iterable of arrays of shape (n_samples, n_features)
            Features before the first layer and after each, as ``staged_transform``
            yields them.
        {y}
        epsilon : float
            Distortion, a length in the units of the features. Published code uses its
            square.
        {ax}
        {name}
        {lines}

        {returns_or_raises}
        """
        rates = [
            (coding_rate(Z, epsilon=epsilon), class_coding_rate(Z, y, epsilon=epsilon))
            for Z in stages
        ]
        R, Rc = np.array(rates).reshape(-1, 2).T
        return cls(R=R, Rc=Rc, delta_R=R - Rc, name=name).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> RateReductionDisplay:
        """Draw the display.

        Parameters
        ----------
        {ax}
        name : str, default=None
            Name of the data in the legend. None means the name of the display.
        {lines}

        {returns}
        """
        ax = self._axes(ax)
        name = self.name if name is None else name
        suffix = "" if name is None else f", {name}"
        self.lines_ = {}
        for color, (key, (label, marker)) in zip(
            _looks.PALETTE, LINES.items(), strict=False
        ):
            values = np.asarray(getattr(self, key))
            ours = {
                "color": color,
                "marker": marker if len(values) <= MAX_MARKERS else "",
                "markersize": 4,
                "label": label + suffix,
            }
            style = _looks.style_of(ours, kwargs)
            (self.lines_[key],) = ax.plot(np.arange(len(values)), values, **style)
        ax.set(xlabel="layer", ylabel="nats")
        _looks.use_integer_ticks(ax.xaxis)
        if len(self.R) == 1:  # no layer
            ax.set_xlim(-0.5, 0.5)
        ax.legend(frameon=False)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_layers + 1, 3)
            ``R``, ``Rc`` and ``delta_R`` in nats. The index is the layer, 0 before the
            first.
        """
        rates = {key: np.asarray(getattr(self, key)) for key in LINES}
        return self._frame(rates).rename_axis("layer")
