"""SimilarityDisplay: cosines between all rows, sorted by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skredu._checks import check_integer
from skredu.plotting._support import (
    SCALE,
    Display,
    bare,
    data_frame,
    features_of,
    label_axis,
    labelled,
    last_step,
    names_of,
    pyplot,
    styled,
)
from skredu.redunet._sphere import on_sphere

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Classes up to which lines are drawn between them.
MOST_LINES = 25


class SimilarityDisplay(Display):
    """Heat map of the cosines between rows, sorted by class.

    Rows along one direction have the absolute cosine 1, orthogonal ones 0: features of
    classes in orthogonal subspaces show bright blocks on a dark ground.

    Parameters
    ----------
    similarity : array-like of shape (n, n)
        Absolute cosines between rows, those of a class next to each other.
    labels : array-like of shape (n,)
        Class of each row, or its name.
    rows : array-like of shape (n,), default=None
        Number of each row in the data that were given; None: 0, 1, ...

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The heat map.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.metrics.class_similarity : The mean of each block.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, for figures of
    this kind.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu import ReduNetTransformer
    >>> from skredu.plotting import SimilarityDisplay
    >>> wine = load_wine()
    >>> net = make_pipeline(StandardScaler(), ReduNetTransformer(5))
    >>> net = net.fit(wine.data, wine.target)
    >>> display = SimilarityDisplay.from_estimator(
    ...     net, wine.data, wine.target, display_labels=wine.target_names
    ... )
    >>> display.frame().shape
    (178, 178)
    """

    __module__ = "skredu.plotting"

    im_: Any

    def __init__(self, similarity: Any, *, labels: Any, rows: Any = None) -> None:
        self.similarity = similarity
        self.labels = labels
        self.rows = rows

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        max_samples: int = 1000,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SimilarityDisplay:
        """Draw the cosines between the features of rows.

        Parameters
        ----------
        estimator : estimator instance
            Fitted transformer, or a pipeline that ends with one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        max_samples : int, default=1000
            Of more rows than this an even choice is shown, with one of each class at
            least.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : SimilarityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no features, is not fitted, the rows do not fit it, or
            ``max_samples`` is not positive.
        """
        pyplot(cls, "from_estimator")
        model, X = last_step(estimator, X)
        return cls.from_predictions(
            features_of(model, X, y, cls),
            y,
            max_samples=max_samples,
            display_labels=display_labels,
            ax=ax,
            **kwargs,
        )

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
        """Draw the cosines between rows or features.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Rows, or features as ``transform`` returns them.
        y : array-like of shape (n_samples,)
            Classes, as labels or as a clustering predicts them.
        max_samples : int, default=1000
            Of more rows than this an even choice is shown, with one of each class at
            least.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : SimilarityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the features, labels, names or ``max_samples`` cannot be used.
        """
        pyplot(cls, "from_predictions")
        max_samples = check_integer(max_samples, "max_samples", 1)
        Z, classes, codes = labelled(Z, y)
        names = names_of(classes, display_labels)
        rows = _evenly(codes, max_samples)
        Z = on_sphere(Z[rows])
        similarity = np.clip(np.abs(Z @ Z.T), 0.0, 1.0)
        return cls(similarity, labels=names[codes[rows]], rows=rows).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, colorbar: bool = True, **kwargs: Any
    ) -> SimilarityDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        colorbar : bool, default=True
            Draw a colour bar beside it.
        **kwargs : dict
            Properties of the image, such as ``cmap``.

        Returns
        -------
        display : SimilarityDisplay
            The display itself.
        """
        ax = self._open(ax)
        ours = {"cmap": SCALE, "vmin": 0.0, "vmax": 1.0, "aspect": "equal"}
        style = styled(ours, kwargs)
        self.im_ = ax.imshow(np.asarray(self.similarity), **style)
        if colorbar:
            self.figure_.colorbar(self.im_, ax=ax, label="absolute cosine")
        labels = np.asarray(self.labels)
        starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        ends = np.r_[starts[1:], len(labels)]
        for axis in (ax.xaxis, ax.yaxis):
            label_axis(axis, (starts + ends - 1) / 2, labels[starts], fold=True)
        if len(starts) <= MOST_LINES:
            for edge in starts[1:] - 0.5:
                ax.axhline(edge, color="white", lw=0.5, alpha=0.6)
                ax.axvline(edge, color="white", lw=0.5, alpha=0.6)
        bare(ax)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n, n)
            The absolute cosines; index and columns are pairs of a class and the number
            of a row.
        """
        labels = np.asarray(self.labels)
        rows = np.arange(len(labels)) if self.rows is None else np.asarray(self.rows)
        frame = data_frame(self, np.asarray(self.similarity))
        for axis in (0, 1):
            frame = frame.set_axis([labels, rows], axis=axis)
            frame = frame.rename_axis(["class", "row"], axis=axis)
        return frame


def _evenly(codes: Any, most: int) -> Any:
    """Rows sorted by class; an even choice of them, with the first of every class."""
    order = np.argsort(codes, kind="stable")
    if len(order) <= most:
        return order
    firsts = np.unique(codes[order], return_index=True)[1]
    places = np.linspace(0, len(order) - 1, most).astype(np.intp)
    return order[np.union1d(firsts, places)]
