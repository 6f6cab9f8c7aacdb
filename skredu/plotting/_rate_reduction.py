"""RateReductionDisplay: R, Rc and their difference along the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from skredu.plotting._support import (
    PALETTE,
    Display,
    data_frame,
    last_step,
    pyplot,
    require,
    styled,
    whole_numbers,
)
from skredu.rates import class_coding_rate, coding_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {"R": "$R$", "Rc": "$R_c$", "delta_R": r"$\Delta R$"}
# Colours and marks, so that colour is not all that tells the lines apart.
COLORS = dict(zip(LABELS, PALETTE, strict=False))
MARKS = {"R": "o", "Rc": "s", "delta_R": "^"}
# Layers up to which each has a mark.
MOST_MARKS = 40


class RateReductionDisplay(Display):
    r"""Coding rates along the layers of a network.

    Parameters
    ----------
    R : array-like of shape (n_layers + 1,)
        Coding rate of all rows in nats, before the first layer and behind each.
    Rc : array-like of shape (n_layers + 1,)
        Coding rate class by class.
    delta_R : array-like of shape (n_layers + 1,)
        Rate reduction :math:`\Delta R = R - R_c`.
    name : str, default=None
        What the rates are of, for the legend.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines of ``"R"``, ``"Rc"`` and ``"delta_R"``.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.ReduNetTransformer : The network; its ``rates_`` are shown.
    skredu.rates.rate_reduction : The formula.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for figures of this kind.

    Examples
    --------
    Training rows, and new rows in the same axes.

    >>> from skredu import ReduNetTransformer
    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu.plotting import RateReductionDisplay
    >>> X, y = make_gaussians_on_sphere(50, n_classes=2, random_state=0)
    >>> net = ReduNetTransformer(5, 0.5).fit(X[::2], y[::2])
    >>> display = RateReductionDisplay.from_estimator(net, name="training rows")
    >>> _ = RateReductionDisplay.from_estimator(
    ...     net, X[1::2], y[1::2], ax=display.ax_, name="new rows", linestyle="--"
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
            Rows whose features are looked at. None: the rates that the network has
            recorded, of its training rows.
        y : array-like of shape (n_samples,), default=None
            Class labels of ``X``.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        name : str, default=None
            What the rates are of, for the legend.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : RateReductionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no rates, is not fitted, or the rows do not fit it; if
            rows are given to a network for signals.
        """
        pyplot(cls, "from_estimator")
        network, X = last_step(estimator, X)
        require(network, ["rates_"], cls, "rates along layers")
        if X is None:
            return cls(**network.rates_, name=name).plot(ax, **kwargs)
        require(network, ["staged_transform"], cls, "features along layers")
        if hasattr(network, "signal_shape_"):
            raise ValueError(
                f"{cls.__name__}.from_estimator shows rates of X for networks of plain "
                f"vectors; those of {type(network).__name__} are of all shifts of the "
                "rows. Leave X out for those of the training rows."
            )
        return cls.from_predictions(
            network.staged_transform(X),
            y,
            epsilon=network.epsilon_,
            ax=ax,
            name=name,
            **kwargs,
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
            Features before the first layer and behind each, as ``staged_transform``
            yields them.
        y : array-like of shape (n_samples,)
            Class labels.
        epsilon : float
            Distortion, a length in the units of the features (published code passes
            its square).
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        name : str, default=None
            What the rates are of, for the legend.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : RateReductionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the distortion, features or labels cannot be used.
        """
        pyplot(cls, "from_predictions")
        rates = np.array(
            [
                (
                    coding_rate(Z, epsilon=epsilon),
                    class_coding_rate(Z, y, epsilon=epsilon),
                )
                for Z in stages
            ]
        ).reshape(-1, 2)
        R, Rc = rates.T
        return cls(R=R, Rc=Rc, delta_R=R - Rc, name=name).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> RateReductionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        name : str, default=None
            What the rates are of, for the legend; None: the name of the display.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : RateReductionDisplay
            The display itself.
        """
        ax = self._open(ax)
        name = self.name if name is None else name
        suffix = "" if name is None else f", {name}"
        self.lines_ = {}
        for key, label in LABELS.items():
            values = np.asarray(getattr(self, key))
            ours = {
                "color": COLORS[key],
                "marker": MARKS[key] if len(values) <= MOST_MARKS else "",
                "markersize": 4,
                "label": label + suffix,
            }
            places, style = np.arange(len(values)), styled(ours, kwargs)
            (self.lines_[key],) = ax.plot(places, values, **style)
        ax.set(xlabel="layer", ylabel="nats")
        whole_numbers(ax.xaxis)
        if len(self.R) == 1:  # no layer
            ax.set_xlim(-0.5, 0.5)
        ax.legend(frameon=False)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_layers + 1, 3)
            ``R``, ``Rc`` and ``delta_R`` in nats; the index is the layer, 0 before the
            first.
        """
        rates = {key: np.asarray(getattr(self, key)) for key in LABELS}
        frame = data_frame(self, rates)
        return frame.rename_axis("layer")
