"""EpsilonPathDisplay: clusters and bits as functions of the distortion."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display

COLUMNS = ("epsilon", "n_clusters", "coding_length", "description_length")
BITS = {"description_length": "description length", "coding_length": "bits"}
# The axis is logarithmic if the numbers of clusters differ by more than this factor.
LOG_AXIS_FACTOR = 20.0


class EpsilonPathDisplay(Display):
    r"""Number of clusters and bits as functions of the distortion.

    A number of clusters that stays the same over decades of :math:`\epsilon` is a
    property of the data. The coding length decreases as :math:`\epsilon` grows, because
    details are discarded. The description length of the clusters does not depend on
    :math:`\epsilon`; ``epsilon="auto"`` minimises it.

    Parameters
    ----------
    epsilon : array-like of shape (n_epsilons,)
        Distortions.
    n_clusters : array-like of shape (n_epsilons,)
        Number of clusters for each distortion.
    coding_length : array-like of shape (n_epsilons,)
        Coding length of each partition in bits.
    description_length : array-like of shape (n_epsilons,)
        Length of a description of the clusters as Gaussians, in bits up to a constant.
    chosen : float, default=None
        A distortion to mark, usually the chosen one.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The numbers of clusters.
    bits_line_ : matplotlib Line2D
        The bits.
    chosen_line_ : matplotlib Line2D or None
        The mark of the chosen distortion.
    ax_ : matplotlib Axes
        The axes of the numbers of clusters.
    bits_ax_ : matplotlib Axes
        The axes of the bits, with ticks on the right.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.CompressionClustering : Its method ``epsilon_path`` computes the numbers.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007, contains such figures.

    Examples
    --------
    >>> from skredu import CompressionClustering
    >>> from skredu.datasets import make_subspaces
    >>> from skredu.plotting import EpsilonPathDisplay
    >>> X, _ = make_subspaces(40, dimensions=(1, 1), noise=0.01, random_state=0)
    >>> model = CompressionClustering(0.02, assume_centered=True).fit(X)
    >>> display = EpsilonPathDisplay.from_estimator(model, X, [0.005, 0.02, 0.05, 1.0])
    >>> display.frame().n_clusters.tolist()
    [2, 2, 2, 1]
    """

    __module__ = "skredu.plotting"

    line_: Any
    bits_line_: Any
    chosen_line_: Any
    bits_ax_: Any

    def __init__(
        self,
        *,
        epsilon: Any,
        n_clusters: Any,
        coding_length: Any,
        description_length: Any,
        chosen: float | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.n_clusters = n_clusters
        self.coding_length = coding_length
        self.description_length = description_length
        self.chosen = chosen

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        epsilons: Any = None,
        *,
        sample_weight: Any = None,
        bits: str = "description_length",
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> EpsilonPathDisplay:
        """Cluster data with every distortion, and draw the results.

        Parameters
        ----------
        estimator : estimator instance
            `skredu.CompressionClustering`, or a pipeline that ends with it. If it is
            fitted, its distortion is marked.
        {X}
        epsilons : array-like of shape (n_epsilons,), default=None
            Distortions. None takes those of the method ``epsilon_path``.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample.
        {bits}
        {with_lines}
        """
        model, X = cls._last_step(estimator, X, fitted=False)
        cls._require(model, ["epsilon_path"], "paths over the distortion")
        path = model.epsilon_path(X, epsilons, sample_weight)
        chosen = getattr(model, "epsilon_", None)
        return cls(**path, chosen=chosen).plot(ax, bits=bits, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, bits: str = "description_length", **kwargs: Any
    ) -> EpsilonPathDisplay:
        """Draw the display.

        Parameters
        ----------
        {ax}
        {bits}
        {lines}

        {returns_or_raises}
        """
        if bits not in BITS:
            raise ValueError(f"Bad bits: must be one of {[*BITS]}, found {bits!r}.")
        ax = self._axes(ax)
        self.bits_ax_ = ax.twinx()
        self.bits_line_ = self._line(self.bits_ax_, bits, 1, BITS[bits], kwargs)
        self.line_ = self._line(ax, "n_clusters", 0, "number of groups", kwargs)
        ax.set_zorder(self.bits_ax_.get_zorder() + 1)  # clusters in front of bits
        ax.patch.set_visible(False)
        n_clusters = np.asarray(self.n_clusters)
        ax.set(xscale="log", xlabel=r"distortion $\epsilon$")
        if n_clusters.max() > LOG_AXIS_FACTOR * max(1, n_clusters.min()):
            ax.set_yscale("log")
        else:
            _looks.use_integer_ticks(ax.yaxis)
            ax.set_ylim(bottom=min(0.5, n_clusters.min() - 0.5))
        self.chosen_line_ = None
        if self.chosen is not None:
            color = _looks.text_color(ax)
            self.chosen_line_ = ax.axvline(self.chosen, color=color, ls=":", lw=1)
            ax.annotate(
                rf"$\epsilon$ = {self.chosen:.3g}",
                (self.chosen, 1.0),
                (3, 3),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
            )
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_epsilons, 4)
            ``epsilon``, ``n_clusters``, ``coding_length`` and ``description_length``.
        """
        return self._frame({name: getattr(self, name) for name in COLUMNS})

    def _line(self, ax: Any, name: str, number: int, label: str, kwargs: Any) -> Any:
        """Draw one line, in the colour of its axis."""
        color = _looks.PALETTE[number]
        ours = {"marker": "os"[number], "markersize": 4, "color": color}
        style = _looks.style_of(ours, kwargs)
        order = np.argsort(self.epsilon)
        x, y = np.asarray(self.epsilon)[order], np.asarray(getattr(self, name))[order]
        (line,) = ax.plot(x, y, **style)
        ax.set_ylabel(label, color=style["color"])
        ax.tick_params(axis="y", labelcolor=style["color"])
        return line
