"""SparseRateReductionDisplay: the objective along a white-box transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display

# Label, marker and line style of each line in nats.
LINES = {
    "R": ("$R$, tokens", "o", "-"),
    "Rc_before": ("$R^c$, before attention", "s", "--"),
    "Rc": ("$R^c$, after attention", "s", "-"),
}


class SparseRateReductionDisplay(Display):
    r"""Terms of the sparse rate reduction in the layers of a white-box transformer.

    A layer should lower the rate :math:`R^c` of the tokens against its subspaces, and
    leave few nonzero entries. The display shows whether the learned layers do so.

    Parameters
    ----------
    Rc_before : array-like of shape (n_layers,)
        Coding rate of the tokens against the subspaces of each layer, in nats, before
        its attention.
    Rc : array-like of shape (n_layers,)
        The same after the attention.
    R : array-like of shape (n_layers,)
        Coding rate of the tokens after each layer, in nats.
    nonzero : array-like of shape (n_layers,)
        Share of the entries of the tokens after each layer that are not zero.
    name : str, default=None
        Name of the data in the legend.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines of ``"R"``, ``"Rc_before"``, ``"Rc"`` and ``"nonzero"``.
    share_ax_ : matplotlib Axes
        The axes on the right, of the share of nonzero entries.
    {axes}

    See Also
    --------
    skredu.torch.CRATEClassifier : The transformer whose ``layer_rates`` are shown.
    RateReductionDisplay : Rates along the layers of a ReduNet.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023, contains such figures.

    Examples
    --------
    >>> from skredu.plotting import SparseRateReductionDisplay
    >>> display = SparseRateReductionDisplay(
    ...     Rc_before=[9.0, 8.5], Rc=[8.0, 7.0], R=[9.5, 9.0], nonzero=[0.5, 0.4]
    ... ).plot()
    >>> list(display.frame().columns)
    ['Rc_before', 'Rc', 'R', 'nonzero']
    """

    __module__ = "skredu.plotting"

    lines_: dict[str, Any]
    share_ax_: Any

    def __init__(
        self, *, Rc_before: Any, Rc: Any, R: Any, nonzero: Any, name: str | None = None
    ) -> None:
        self.Rc_before = Rc_before
        self.Rc = Rc
        self.R = R
        self.nonzero = nonzero
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        epsilon: float | None = None,
        ax: Axes | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> SparseRateReductionDisplay:
        """Draw the terms for samples.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `~skredu.torch.CRATEClassifier`, or a pipeline that ends with one.
        {X}
        epsilon : float, default=None
            Distortion, a length on the unit sphere. Published code uses its square.
            None means the default of ``layer_rates``.
        {ax}
        {name}
        {lines}

        {returns_or_raises}
        """
        model, X = cls._last_step(estimator, X)
        cls._require(model, ["layer_rates"], "rates of the layers of a transformer")
        options = {} if epsilon is None else {"epsilon": epsilon}
        rates = model.layer_rates(X, **options)
        return cls(**rates, name=name).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> SparseRateReductionDisplay:
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
        layers = np.arange(1, len(self.R) + 1)
        self.lines_, self.share_ax_ = {}, ax.twinx()
        for color, (key, (label, marker, line)) in zip(
            _looks.PALETTE, LINES.items(), strict=False
        ):
            ours = {"color": color, "marker": marker, "linestyle": line}
            style = _looks.style_of(ours | {"label": label + suffix}, kwargs)
            (self.lines_[key],) = ax.plot(layers, getattr(self, key), **style)
        ours = {"color": _looks.PALETTE[3], "marker": "^", "linestyle": ":"}
        style = _looks.style_of(ours | {"label": "nonzero (right)" + suffix}, kwargs)
        (self.lines_["nonzero"],) = self.share_ax_.plot(layers, self.nonzero, **style)
        self.share_ax_.set(ylim=(0.0, 1.0), ylabel="share of nonzero entries")
        ax.set(xlabel="layer", ylabel="nats")
        _looks.use_integer_ticks(ax.xaxis)
        ax.legend(
            handles=[*self.lines_.values()],
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            frameon=False,
        )
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_layers, 4)
            ``Rc_before``, ``Rc`` and ``R`` in nats, and ``nonzero``. The index is the
            layer, from 1.
        """
        names = ("Rc_before", "Rc", "R", "nonzero")
        terms = {key: np.asarray(getattr(self, key)) for key in names}
        layers = np.arange(1, len(terms["R"]) + 1)
        return self._frame(terms, index=layers).rename_axis("layer")
