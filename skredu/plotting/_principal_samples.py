"""PrincipalSamplesDisplay: samples along the principal directions of each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._checks import check_integer
from skredu.coding._linalg import on_sphere
from skredu.plotting import _looks
from skredu.plotting._display import Axes, FeatureDisplay, check_labelled, names_of


class PrincipalSamplesDisplay(FeatureDisplay):
    r"""Samples along the principal components of each class.

    The features of a class, projected to the unit sphere, have the right singular
    vectors :math:`u_1, u_2, \dots`. The display shows the samples whose features have
    the largest :math:`|z^T u_l|`, which the papers call principal images. For a
    pipeline, the samples are shown as they were before its first step.

    Parameters
    ----------
    samples : array-like of shape (m, n_features)
        The samples.
    places : array-like of shape (m, 3)
        For each sample, the index of the class, of the component, and the place among
        the samples of the component, all counted from 0.
    cosines : array-like of shape (m,)
        Absolute cosine between the features of each sample and its component.
    rows : array-like of shape (m,)
        Index of each sample in the data.
    labels : array-like of shape (n_classes,)
        Class labels, or their names.
    {image_shape}
    feature_names : array-like of shape (n_features,), default=None
        Names of the features.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All images in one, with a line per class and a column per component.
    {axes}

    See Also
    --------
    SubspaceSpectrumDisplay : Displays the size of the features along the components.

    References
    ----------
    {yu_2020}

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
        """Draw the samples along the principal components of features.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Features as ``transform`` returns them.
        {groups}
        X : array-like of shape (n_samples, n_features), default=None
            The samples to show. None shows the features themselves.
        {image_shape}
        {numbers}
        {display_labels}
        {with_image}
        """
        n_components = check_integer(n_components, "n_components", 1)
        n_samples = check_integer(n_samples, "n_samples", 1)
        shown = Z if X is None else X
        feature_names = getattr(shown, "columns", None)
        X, _, _ = check_labelled(shown, y, "X")
        Z, classes, codes = check_labelled(Z, y)
        names = names_of(classes, display_labels)
        if image_shape is not None:
            image_shape = _looks.check_image_shape(image_shape, X.shape[1])
        places, rows, cosines = _principal(on_sphere(Z), codes, n_components, n_samples)
        return cls(
            X[rows],
            places=places,
            cosines=cosines,
            rows=rows,
            labels=names,
            image_shape=image_shape,
            feature_names=feature_names,
        ).plot(ax, **kwargs)

    @classmethod
    def _known(cls, model: Any, X: Any, entered: Any, y: Any) -> dict[str, Any]:
        """Return the samples to show."""
        return {"X": X}

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> PrincipalSamplesDisplay:
        """Draw the display.

        {draw_image}
        """
        if self.image_shape is None:
            return self._plot_lines(ax, kwargs)
        places = np.asarray(self.places)
        _, components, ranks = (int(size) for size in places.max(axis=0) + 1)
        shape = len(self.labels), components * ranks, *self.image_shape
        images = np.full(shape, np.nan)
        samples = _for_screen(np.asarray(self.samples), self.image_shape)
        images[places[:, 0], places[:, 1] * ranks + places[:, 2]] = samples
        image, y, x = _looks.mosaic(images, group=ranks if ranks > 1 else 0)
        ax = self._axes(ax, _looks.mosaic_size(image, len(y)))
        ours = {"cmap": "gray", "interpolation": "nearest"}
        self.im_ = ax.imshow(image, **_looks.style_of(ours, kwargs))
        middles = x.reshape(components, ranks).mean(axis=1)
        _looks.label_axis(ax.yaxis, y, self.labels)
        _looks.label_axis(ax.xaxis, middles, np.arange(1, components + 1))
        ax.set(xlabel="component")
        _looks.hide_frame(ax)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (m, 5)
            ``class``, ``component`` and ``place`` (both counted from 1), ``row`` (the
            index of the sample in the data) and ``cosine``.
        """
        codes, component, place = np.asarray(self.places).T
        return self._frame(
            {
                "class": np.asarray(self.labels)[codes],
                "component": component + 1,
                "place": place + 1,
                "row": np.asarray(self.rows),
                "cosine": np.asarray(self.cosines),
            }
        )

    def _plot_lines(self, ax: Any, kwargs: Any) -> PrincipalSamplesDisplay:
        """Draw samples that are not images as lines, and scale each feature."""
        samples, places = np.asarray(self.samples), np.asarray(self.places)
        low, high = samples.min(axis=0), samples.max(axis=0)
        values = (samples - low) / np.where(high > low, high - low, 1.0)
        height = max(3.0, min(0.22 * len(values), 12.0)) + 0.8
        ax = self._axes(ax, (7.0, height))
        ours = {"cmap": _looks.COLORMAP, "aspect": "auto", "interpolation": "nearest"}
        style = _looks.style_of({**ours, "vmin": 0.0, "vmax": 1.0}, kwargs)
        self.im_ = ax.imshow(values, **style)
        lines = [f"{_looks.shorten(self.labels[j])}, {c + 1}" for j, c, _ in places]
        longest = _looks.MAX_NAME_IN_LEGEND
        _looks.label_axis(ax.yaxis, np.arange(len(lines)), lines, longest=longest)
        names = np.arange(samples.shape[1])
        if self.feature_names is not None:
            names = np.asarray(self.feature_names)
        _looks.label_axis(ax.xaxis, np.arange(len(names)), names)
        ax.set(xlabel="feature", ylabel="class, component")
        for edge in np.flatnonzero(np.diff(places[:, 0])) + 0.5:
            ax.axhline(edge, color="white", lw=min(1.5, 90 / len(lines)))
        bar = self.figure_.colorbar(self.im_, ax=ax, ticks=[0, 1])
        bar.ax.set_yticklabels(["smallest", "largest"])
        _looks.hide_frame(ax)
        return self


def _principal(
    Z: Any, codes: Any, n_components: int, n_samples: int
) -> tuple[Any, Any, Any]:
    """Return places, indices and cosines of the samples along the components."""
    places: list[tuple[int, int, int]] = []
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
    """Return samples as images; colours are scaled to the range from 0 to 1."""
    if len(shape) == 3:
        low, high = samples.min(), samples.max()
        if low < 0.0 or high > 1.0:
            samples = (samples - low) / (high - low)
    return samples.reshape(-1, *shape)
