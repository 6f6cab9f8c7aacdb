"""MergeTreeDisplay: the tree of greedy merging, in bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage

from skredu._checks import check_integer, naming
from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display, names_of

# Default number of leaves, and the largest number that fits into a figure.
N_LEAVES, MAX_LEAVES = 30, 200


class MergeTreeDisplay(Display):
    """Dendrogram of greedy merging, with bits as heights.

    The height of a merge is the number of bits that all merges up to this one have
    saved or added, as a sum of absolute values. A dotted line separates the merges
    within groups from the merges of groups. The links below it have the colours of
    their groups.

    Parameters
    ----------
    linkage : array-like of shape (n - 1, 4)
        Linkage matrix of SciPy.
    costs : array-like of shape (n - 1,), default=None
        Bits that each merge adds; negative costs save bits. None means the differences
        of the heights, which lack the sign.
    n_groups : int, default=1
        Number of subtrees that are coloured.
    labels : array-like of shape (n,), default=None
        Names of the samples. None means 0, 1, ...

    Attributes
    ----------
    links_ : list of matplotlib Line2D
        The links, each with its four corners.
    cut_line_ : matplotlib Line2D or None
        The line between the merges within groups and the others.
    {axes}

    See Also
    --------
    skredu.CompressionClustering : Its method ``linkage`` returns the matrix, and
        ``labels_at`` cuts the tree.

    Notes
    -----
    With ``refine=True``, samples move to other groups after greedy merging, so the
    groups of the tree and those of ``labels_`` can differ.

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
        self, linkage: Any, *, costs: Any = None, n_groups: int = 1, labels: Any = None
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
            Number of subtrees that are coloured. None means the number that takes the
            fewest bits.
        display_labels : array-like of shape (n_samples,), default=None
            Names of the samples.
        {with_options}
        """
        model, _ = cls._last_step(estimator)
        cls._require(model, ["linkage", "merge_costs_"], "trees of merges")
        costs = model.merge_costs_
        n = len(costs) + 1
        if n_groups is None:
            n_groups = n - int(np.argmin(np.cumsum([0.0, *costs])))
        labels = None
        if display_labels is not None:
            labels = names_of(np.arange(n), display_labels)
        display = cls(model.linkage(), costs=costs, n_groups=n_groups, labels=labels)
        return display.plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, max_leaves: int = N_LEAVES, **kwargs: Any
    ) -> MergeTreeDisplay:
        """Draw the display.

        Parameters
        ----------
        {ax}
        max_leaves : int, default=30
            Number of leaves, or of groups if there are more groups, up to 200. If there
            are more samples, only the last merges are shown, and the label of a leaf
            that represents several samples is their number in parentheses.
        {lines}

        {returns_or_raises}
        """
        linkage = np.asarray(self.linkage, dtype=float)
        with naming("linkage"):
            is_valid_linkage(linkage, throw=True)
        check_integer(self.n_groups, "n_groups", 1, len(linkage) + 1)
        tree = self._tree(linkage, check_integer(max_leaves, "max_leaves", 1))
        ax = self._axes(ax, (8.0, 4.8))
        color = _looks.text_color(ax)
        self.links_ = []
        for x, y, own in zip(
            tree["icoord"], tree["dcoord"], _link_colors(tree, color), strict=True
        ):
            ours = {"color": own, "linewidth": 1.2, "solid_joinstyle": "miter"}
            self.links_ += ax.plot(x, y, **_looks.style_of(ours, kwargs))
        self.cut_line_ = None
        if self.n_groups > 1:
            # between the last merge within groups and the first merge of groups
            heights = np.concatenate([[0.0], linkage[:, 2], linkage[-1:, 2]])
            cut = np.mean(heights[-self.n_groups - 1 :][:2])
            self.cut_line_ = ax.axhline(cut, color=color, ls=":", lw=1)
        n = len(tree["ivl"])
        ax.set(xlim=(0.0, 10.0 * n), ylabel="bits saved or added by merges")
        # If merges are left out, the axis begins below the first one that is drawn.
        low, high = np.min(tree["dcoord"], axis=0)[1], linkage[-1, 2]
        complete = n > len(linkage) or low == high
        bottom = 0.0 if complete else max(0.0, low - 0.1 * (high - low))
        ax.set_ylim(bottom, high + 0.04 * (high - bottom) or 1.0)
        _looks.label_axis(ax.xaxis, 10.0 * np.arange(n) + 5.0, tree["ivl"])
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n - 1, 5)
            One row per merge: ``left`` and ``right`` (numbers below n are samples, and
            merge i forms the node n + i), ``cost`` in bits, ``height`` and ``size``.
        """
        left, right, height, size = np.asarray(self.linkage, dtype=float).T
        costs = np.diff(height, prepend=0.0) if self.costs is None else self.costs
        return self._frame(
            {
                "left": left.astype(np.intp),
                "right": right.astype(np.intp),
                "cost": np.asarray(costs),
                "height": height,
                "size": size.astype(np.intp),
            }
        )

    def _tree(self, linkage: Any, max_leaves: int) -> Any:
        """Return corners of links, names of leaves, and the group of each link."""
        groups = _groups_of_merges(linkage, self.n_groups)
        n = len(linkage) + 1
        return dendrogram(
            linkage,
            p=max(2, max_leaves, min(self.n_groups, MAX_LEAVES)),
            truncate_mode="lastp",
            labels=None if self.labels is None else np.asarray(self.labels),
            no_plot=True,
            link_color_func=lambda node: str(groups[node - n]),
        )


def _groups_of_merges(linkage: Any, n_groups: int) -> Any:
    """Return the last merge of the group of each merge; -1 for merges of groups."""
    n = len(linkage) + 1
    groups = np.full(n - 1, -1)
    for i in range(n - 1 - n_groups, -1, -1):
        if groups[i] < 0:
            groups[i] = i
        for child in linkage[i, :2].astype(np.intp):
            if child >= n:
                groups[child - n] = groups[i]
    return groups


def _link_colors(tree: Any, neutral: Any) -> list[Any]:
    """Return colours of links: neutral for merges of groups, else those of groups."""
    middles = [x[0] + x[-1] for x in tree["icoord"]]
    colors: dict[str, Any] = {"-1": neutral}
    for i in np.argsort(middles, kind="stable"):
        group = tree["color_list"][i]
        if group not in colors:
            colors[group] = _looks.PALETTE[(len(colors) - 1) % len(_looks.PALETTE)]
    return [colors[group] for group in tree["color_list"]]
