"""PrincipalSamplesDisplay: the rows that lie along the directions of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skredu._checks import check_integer
from skredu.plotting._mosaic import fitting, image_shape_of, mosaic
from skredu.plotting._support import (
    LONGEST_IN_LEGEND,
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
    short,
    styled,
)
from skredu.redunet._sphere import on_sphere

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where a row stands: class, component, place among the rows of the component.
Places = list[tuple[int, int, int]]


class PrincipalSamplesDisplay(Display):
    r"""Rows along the principal components of each class.

    The features of a class, on the unit sphere, have the right singular vectors
    :math:`u_1, u_2, \dots`; shown are the rows whose features have the largest
    :math:`|z^T u_l|`. The papers call them principal images.

    Parameters
    ----------
    samples : array-like of shape (m, n_features)
        The rows.
    places : array-like of shape (m, 3)
        Index of the class of each row, of the component, and place among the rows of
        the component, all from 0.
    cosines : array-like of shape (m,)
        Absolute cosine between the features of each row and its component.
    rows : array-like of shape (m,)
        Number of each row in the data that were given.
    labels : array-like of shape (n_classes,)
        Classes, or their names.
    image_shape : tuple, default=None
        Height, width and, for colours, 3, of the pictures in the rows. None: rows are
        no pictures, and become lines of a heat map.
    feature_names : array-like of shape (n_features,), default=None
        Names of the features.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All pictures in one: a line for each class, a column for each component.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    SubspaceSpectrumDisplay : How much there is along the components.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, for figures of
    this kind.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu import NearestSubspaceClassifier
    >>> from skredu.plotting import PrincipalSamplesDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> model = NearestSubspaceClassifier(5).fit(X, y)
    >>> display = PrincipalSamplesDisplay.from_estimator(
    ...     model, X, y, image_shape=(8, 8), n_components=4
    ... )
    >>> display.frame().shape
    (12, 5)
    """

    __module__ = "skredu.plotting"

    im_: Any

    def __init__(
        self,
        samples: Any,
        *,
        places: Any,
        cosines: Any,
        rows: Any,
        labels: Any,
        image_shape: Any = None,
        feature_names: Any = None,
    ) -> None:
        self.samples = samples
        self.places = places
        self.cosines = cosines
        self.rows = rows
        self.labels = labels
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        image_shape: Any = None,
        n_components: int = 8,
        n_samples: int = 1,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> PrincipalSamplesDisplay:
        """Draw the rows along the principal components of their features.

        Parameters
        ----------
        estimator : estimator instance
            Fitted transformer or nearest subspace classifier, or a pipeline that ends
            with one.
        X : array-like of shape (n_samples, n_features)
            Rows. They are shown as they are, before the steps of a pipeline.
        y : array-like of shape (n_samples,)
            Class labels.
        image_shape : tuple, default=None
            (height, width) or (height, width, 3) of the pictures in the rows. None:
            rows are no pictures, and become lines of a heat map.
        n_components : int, default=8
            Components of each class.
        n_samples : int, default=1
            Rows for each component.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the image.

        Returns
        -------
        display : PrincipalSamplesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no features, is not fitted, the rows or their shape do
            not fit, or a number is out of range.
        """
        pyplot(cls, "from_estimator")
        model, entered = last_step(estimator, X)
        return cls.from_predictions(
            features_of(model, entered, y, cls),
            y,
            X,
            image_shape=image_shape,
            n_components=n_components,
            n_samples=n_samples,
            display_labels=display_labels,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        Z: Any,
        y: Any,
        X: Any = None,
        *,
        image_shape: Any = None,
        n_components: int = 8,
        n_samples: int = 1,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> PrincipalSamplesDisplay:
        """Draw the rows along the principal components of features.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Features as ``transform`` returns them.
        y : array-like of shape (n_samples,)
            Classes, as labels or as a clustering predicts them.
        X : array-like of shape (n_samples, n_features), default=None
            The rows to show; None: the features themselves.
        image_shape : tuple, default=None
            (height, width) or (height, width, 3) of the pictures in the rows. None:
            rows are no pictures, and become lines of a heat map.
        n_components : int, default=8
            Components of each class.
        n_samples : int, default=1
            Rows for each component.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the image.

        Returns
        -------
        display : PrincipalSamplesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If features, labels, names, rows, their shape or a number cannot be used.
        """
        pyplot(cls, "from_predictions")
        n_components = check_integer(n_components, "n_components", 1)
        n_samples = check_integer(n_samples, "n_samples", 1)
        source = Z if X is None else X
        features = getattr(source, "columns", None)
        X, _, _ = labelled(source, y, "X")
        Z, classes, codes = labelled(Z, y)
        names = names_of(classes, display_labels)
        if image_shape is not None:
            image_shape = image_shape_of(image_shape, X.shape[1])
        places, rows, cosines = _principal(on_sphere(Z), codes, n_components, n_samples)
        return cls(
            X[rows],
            places=places,
            cosines=cosines,
            rows=rows,
            labels=names,
            image_shape=image_shape,
            feature_names=features,
        ).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> PrincipalSamplesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the image, such as ``cmap``.

        Returns
        -------
        display : PrincipalSamplesDisplay
            The display itself.
        """
        if self.image_shape is None:
            return self._plot_lines(ax, kwargs)
        places = np.asarray(self.places)
        _, components, ranks = (int(size) for size in places.max(axis=0) + 1)
        shape = len(self.labels), components * ranks, *self.image_shape
        pictures = np.full(shape, np.nan)
        samples = _for_screen(np.asarray(self.samples), self.image_shape)
        pictures[places[:, 0], places[:, 1] * ranks + places[:, 2]] = samples
        image, y, x = mosaic(pictures, group=ranks if ranks > 1 else 0)
        ax = self._open(ax, fitting(image, len(y)))
        style = styled({"cmap": "gray", "interpolation": "nearest"}, kwargs)
        self.im_ = ax.imshow(image, **style)
        middles = x.reshape(components, ranks).mean(axis=1)
        label_axis(ax.yaxis, y, self.labels)
        label_axis(ax.xaxis, middles, np.arange(1, components + 1))
        ax.set(xlabel="component")
        bare(ax)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (m, 5)
            ``class``, ``component`` and ``place`` (both from 1), ``row`` (the number of
            the row in the data) and ``cosine``.
        """
        codes, component, place = np.asarray(self.places).T
        return data_frame(
            self,
            {
                "class": np.asarray(self.labels)[codes],
                "component": component + 1,
                "place": place + 1,
                "row": np.asarray(self.rows),
                "cosine": np.asarray(self.cosines),
            },
        )

    def _plot_lines(self, ax: Any, options: Any) -> PrincipalSamplesDisplay:
        """Rows that are no pictures as lines, each feature on its own scale."""
        samples, places = np.asarray(self.samples), np.asarray(self.places)
        low, high = samples.min(axis=0), samples.max(axis=0)
        values = (samples - low) / np.where(high > low, high - low, 1.0)
        height = max(3.0, min(0.22 * len(values), 12.0)) + 0.8
        ax = self._open(ax, (7.0, height))
        ours = {"cmap": SCALE, "aspect": "auto", "interpolation": "nearest"}
        style = styled({**ours, "vmin": 0.0, "vmax": 1.0}, options)
        self.im_ = ax.imshow(values, **style)
        lines = [f"{short(self.labels[j])}, {c + 1}" for j, c, _ in places]
        label_axis(ax.yaxis, np.arange(len(lines)), lines, longest=LONGEST_IN_LEGEND)
        names = np.arange(samples.shape[1])
        if self.feature_names is not None:
            names = np.asarray(self.feature_names)
        label_axis(ax.xaxis, np.arange(len(names)), names)
        ax.set(xlabel="feature", ylabel="class, component")
        starts = np.flatnonzero(np.diff(places[:, 0])) + 0.5
        for edge in starts:
            ax.axhline(edge, color="white", lw=min(1.5, 90 / len(lines)))
        bar = self.figure_.colorbar(self.im_, ax=ax, ticks=[0, 1])
        bar.ax.set_yticklabels(["least", "largest"])
        bare(ax)
        return self


def _principal(
    Z: Any, codes: Any, n_components: int, n_samples: int
) -> tuple[Any, Any, Any]:
    """Places, numbers and cosines of the rows along the components of each class."""
    places: Places = []
    rows, cosines = [], []
    for j in range(int(codes.max()) + 1):
        members = np.flatnonzero(codes == j)
        _, sigma, V = np.linalg.svd(Z[members], full_matrices=False)
        rank = int(np.count_nonzero(sigma > 1e-12 * sigma[0]))
        along = np.abs(Z[members] @ V[: min(rank, n_components)].T)
        for component, values in enumerate(along.T):
            best = np.argsort(-values, kind="stable")[:n_samples]
            places += [(j, component, place) for place in range(len(best))]
            rows.append(members[best])
            cosines.append(values[best])
    return np.array(places), np.concatenate(rows), np.concatenate(cosines)


def _for_screen(samples: Any, shape: Any) -> Any:
    """Pictures of rows; colours are brought to the range from 0 to 1."""
    if len(shape) == 3:
        low, high = samples.min(), samples.max()
        if low < 0.0 or high > 1.0:
            samples = (samples - low) / (high - low)
    return samples.reshape(-1, *shape)
