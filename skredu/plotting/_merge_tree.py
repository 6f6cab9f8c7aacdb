"""MergeTreeDisplay: the tree of greedy merging, in bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage

from skredu._checks import check_integer, naming
from skredu.plotting._support import (
    PALETTE,
    Display,
    data_frame,
    ink,
    label_axis,
    last_step,
    names_of,
    pyplot,
    require,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Subtrees that are drawn, unless there are more groups.
MOST_LEAVES = 30
# Groups for which there is room.
MOST_GROUPS = 200


class MergeTreeDisplay(Display):
    """Dendrogram of the greedy merging of groups, with bits as heights.

    The height of a merge is the number of bits that all merges up to it have saved or
    added, in sum of absolute values. A dotted line separates the merges into groups
    from those of groups with each other; links below it have a colour for each group,
    in turn.

    Parameters
    ----------
    linkage : array-like of shape (n - 1, 4)
        Linkage matrix of SciPy.
    costs : array-like of shape (n - 1,), default=None
        Bits that each merge adds; negative ones save bits. None: the differences of the
        heights, without their sign.
    n_groups : int, default=1
        Number of subtrees that get colours.
    labels : array-like of shape (n,), default=None
        Names of the rows; None: 0, 1, ...

    Attributes
    ----------
    links_ : list of matplotlib Line2D
        The links, each with its four corners.
    cut_line_ : matplotlib Line2D or None
        The line between the merges into groups and the others.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.CompressionClustering : Its method ``linkage`` returns the matrix, and
        ``labels_at`` cuts the tree.

    Notes
    -----
    With ``refine=True`` the rows move on after greedy merging, so that the groups of
    the tree and those of ``labels_`` need not be the same.

    Examples
    --------
    >>> from skredu import CompressionClustering
    >>> from skredu.datasets import make_subspaces
    >>> from skredu.plotting import MergeTreeDisplay
    >>> X, _ = make_subspaces(40, dimensions=(1, 1), noise=0.01, random_state=0)
    >>> model = CompressionClustering(0.02, assume_centered=True).fit(X)
    >>> display = MergeTreeDisplay.from_estimator(model)
    >>> display.n_groups
    2
    >>> display.frame().columns.tolist()
    ['left', 'right', 'cost', 'height', 'size']
    """

    __module__ = "skredu.plotting"

    links_: list[Any]
    cut_line_: Any

    def __init__(
        self,
        linkage: Any,
        *,
        costs: Any = None,
        n_groups: int = 1,
        labels: Any = None,
    ) -> None:
        self.linkage = linkage
        self.costs = costs
        self.n_groups = n_groups
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_groups: int | None = None,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> MergeTreeDisplay:
        """Draw the tree of a fitted clustering.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `skredu.CompressionClustering`, or a pipeline that ends with it.
        n_groups : int, default=None
            Number of subtrees that get colours. None: as many as take the fewest bits.
        display_labels : array-like of shape (n_samples,), default=None
            Names to show for the rows.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : MergeTreeDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no tree or is not fitted, or there is one row only.
        """
        pyplot(cls, "from_estimator")
        model, _ = last_step(estimator)
        require(model, ["linkage", "merge_costs_"], cls, "trees of merges")
        costs = model.merge_costs_
        n = len(costs) + 1
        if n_groups is None:
            bits = np.concatenate([[0.0], np.cumsum(costs)])
            n_groups = n - int(np.argmin(bits))
        labels = None
        if display_labels is not None:
            labels = names_of(np.arange(n), display_labels)
        display = cls(model.linkage(), costs=costs, n_groups=n_groups, labels=labels)
        return display.plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, max_leaves: int = MOST_LEAVES, **kwargs: Any
    ) -> MergeTreeDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        max_leaves : int, default=30
            With more rows, the last merges only, with so many leaves, or as many as
            there are groups, up to 200. A leaf that stands for several rows has their
            number in brackets.
        **kwargs : dict
            Properties of the links.

        Returns
        -------
        display : MergeTreeDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the linkage is none, or a number is out of range.
        """
        linkage = np.asarray(self.linkage, dtype=float)
        with naming("linkage"):
            is_valid_linkage(linkage, throw=True)
        check_integer(self.n_groups, "n_groups", 1, len(linkage) + 1)
        tree = self._tree(linkage, check_integer(max_leaves, "max_leaves", 1))
        ax = self._open(ax, (8.0, 4.8))
        self.links_ = []
        corners = zip(
            tree["icoord"], tree["dcoord"], _colors(tree, ink(ax)), strict=True
        )
        for x, y, color in corners:
            ours = {"color": color, "linewidth": 1.2, "solid_joinstyle": "miter"}
            self.links_ += ax.plot(x, y, **styled(ours, kwargs))
        self.cut_line_ = None
        if self.n_groups > 1:
            cut = self._cut(linkage)
            self.cut_line_ = ax.axhline(cut, color=ink(ax), ls=":", lw=1)
        n = len(tree["ivl"])
        ax.set(xlim=(0.0, 10.0 * n), ylabel="bits saved or added by merges")
        # where all begins, or a little below the first merge that is drawn
        low, high = np.min(tree["dcoord"], axis=0)[1], linkage[-1, 2]
        whole = n > len(linkage) or low == high
        bottom = 0.0 if whole else max(0.0, low - 0.1 * (high - low))
        ax.set_ylim(bottom, high + 0.04 * (high - bottom) or 1.0)
        label_axis(ax.xaxis, 10.0 * np.arange(n) + 5.0, tree["ivl"])
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n - 1, 5)
            A line for each merge: ``left`` and ``right`` (rows below n, merge i makes
            the node n + i), ``cost`` in bits, ``height`` and ``size``.
        """
        left, right, height, size = np.asarray(self.linkage, dtype=float).T
        return data_frame(
            self,
            {
                "left": left.astype(np.intp),
                "right": right.astype(np.intp),
                "cost": np.diff(height, prepend=0.0)
                if self.costs is None
                else np.asarray(self.costs),
                "height": height,
                "size": size.astype(np.intp),
            },
        )

    def _tree(self, linkage: Any, max_leaves: int) -> Any:
        """Corners of the links, names of the leaves, and the group of each link."""
        groups = _groups(linkage, self.n_groups)
        n = len(linkage) + 1
        return dendrogram(
            linkage,
            p=max(2, max_leaves, min(self.n_groups, MOST_GROUPS)),
            truncate_mode="lastp",
            labels=None if self.labels is None else np.asarray(self.labels),
            no_plot=True,
            link_color_func=lambda node: str(groups[node - n]),
        )

    def _cut(self, linkage: Any) -> float:
        """Height between the last merge into groups and the first of groups."""
        heights = np.concatenate([[0.0], linkage[:, 2], linkage[-1:, 2]])
        last = len(linkage) + 1 - self.n_groups
        return 0.5 * float(heights[last] + heights[last + 1])


def _groups(linkage: Any, n_groups: int) -> Any:
    """Group that each merge is within, numbered by its last merge; -1: within none."""
    n = len(linkage) + 1
    groups = np.full(n - 1, -1)
    for i in range(n - 1 - n_groups, -1, -1):
        if groups[i] < 0:
            groups[i] = i
        for child in linkage[i, :2].astype(np.intp):
            if child >= n:
                groups[child - n] = groups[i]
    return groups


def _colors(tree: Any, neutral: Any) -> list[Any]:
    """Colours of the links: neighbouring groups differ, links of groups are neutral."""
    middles = [x[0] + x[-1] for x in tree["icoord"]]
    found: dict[str, Any] = {"-1": neutral}
    for i in np.argsort(middles, kind="stable"):
        group = tree["color_list"][i]
        if group not in found:
            found[group] = PALETTE[(len(found) - 1) % len(PALETTE)]
    return [found[group] for group in tree["color_list"]]
