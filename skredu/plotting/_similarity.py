"""SimilarityDisplay: cosines between all samples, sorted by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._checks import check_integer
from skredu.coding._linalg import on_sphere
from skredu.plotting import _looks
from skredu.plotting._display import Axes, FeatureDisplay, check_labelled, names_of

# Largest number of classes between which lines are drawn.
MAX_SEPARATED = 25


class SimilarityDisplay(FeatureDisplay):
    """Heat map of the absolute cosines between samples, sorted by class.

    The absolute cosine of samples along one direction is 1, that of orthogonal samples
    is 0. So features of classes in orthogonal subspaces appear as bright blocks on a
    dark background.

    Parameters
    ----------
    similarity : array-like of shape (n, n)
        Absolute cosines between samples, sorted by class.
    labels : array-like of shape (n,)
        Class of each sample, or the name of the class.
    rows : array-like of shape (n,), default=None
        Index of each sample in the data. None means 0, 1, ...

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The heat map.
    {axes}

    See Also
    --------
    skredu.metrics.class_similarity : Compute the mean of each block.

    References
    ----------
    {yu_2020}

    Examples
    --------
    >>> from skredu import ReduNetTransformer
    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu.plotting import SimilarityDisplay
    >>> X, y = make_gaussians_on_sphere(50, noise=0.5, random_state=0)
    >>> net = ReduNetTransformer(5, 0.5).fit(X, y)
    >>> display = SimilarityDisplay.from_estimator(net, X, y)
    >>> display.frame().shape
    (100, 100)
    """

    __module__ = "skredu.plotting"

    im_: Any

    def __init__(self, similarity: Any, *, labels: Any, rows: Any = None) -> None:
        self.similarity = similarity
        self.labels = labels
        self.rows = rows

    @classmethod
    def from_predictions(
        cls,
        Z: Any,
        y: Any,
        *,
        max_samples: int = 1000,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SimilarityDisplay:
        """Draw the cosines between samples or features.

        Parameters
        ----------
        {Z}
        {groups}
        {max_samples}
        {display_labels}
        {with_options}
        """
        max_samples = check_integer(max_samples, "max_samples", 1)
        Z, classes, codes = check_labelled(Z, y)
        names = names_of(classes, display_labels)
        rows = _evenly_spaced(codes, max_samples)
        Z = on_sphere(Z[rows])
        similarity = np.clip(np.abs(Z @ Z.T), 0.0, 1.0)
        return cls(similarity, labels=names[codes[rows]], rows=rows).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, colorbar: bool = True, **kwargs: Any
    ) -> SimilarityDisplay:
        """Draw the display.

        Parameters
        ----------
        {ax}
        colorbar : bool, default=True
            Whether to add a colour bar.
        {image}

        {returns}
        """
        ax = self._axes(ax)
        ours = {"cmap": _looks.COLORMAP, "vmin": 0.0, "vmax": 1.0, "aspect": "equal"}
        style = _looks.style_of(ours, kwargs)
        self.im_ = ax.imshow(np.asarray(self.similarity), **style)
        if colorbar:
            self.figure_.colorbar(self.im_, ax=ax, label="absolute cosine")
        labels = np.asarray(self.labels)
        starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        ends = np.r_[starts[1:], len(labels)]
        for axis in (ax.xaxis, ax.yaxis):
            _looks.label_axis(axis, (starts + ends - 1) / 2, labels[starts], fold=True)
        if len(starts) <= MAX_SEPARATED:
            for edge in starts[1:] - 0.5:
                ax.axhline(edge, color="white", lw=0.5, alpha=0.6)
                ax.axvline(edge, color="white", lw=0.5, alpha=0.6)
        _looks.hide_frame(ax)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n, n)
            The absolute cosines. Index and columns are pairs of the class and the index
            of a sample.
        """
        labels = np.asarray(self.labels)
        rows = np.arange(len(labels)) if self.rows is None else np.asarray(self.rows)
        frame = self._frame(np.asarray(self.similarity))
        for axis in (0, 1):
            frame = frame.set_axis([labels, rows], axis=axis)
            frame = frame.rename_axis(["class", "row"], axis=axis)
        return frame


def _evenly_spaced(codes: Any, n_samples: int) -> Any:
    """Choose samples sorted by class, including the first one of every class."""
    order = np.argsort(codes, kind="stable")
    if len(order) <= n_samples:
        return order
    firsts = np.unique(codes[order], return_index=True)[1]
    places = np.linspace(0, len(order) - 1, n_samples).astype(np.intp)
    return order[np.union1d(firsts, places)]
