"""FilterDisplay: operators of a layer, or filters of a lifting, as images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu._checks import check_integer
from skredu._compat import to_numpy
from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display, names_of

# Relative difference below which two eigenvalues of an operator are considered equal.
# The operator does not distinguish the directions of equal eigenvalues.
EQUAL = 1e-6


class FilterDisplay(Display):
    r"""Operators of a layer of a network, or filters of a lifting, as images.

    A layer of a ReduNet is shown by its expansion operator :math:`E` and its
    compression operators :math:`C_j`. With ``image_shape``, the directions are shown in
    which each operator is smallest: for :math:`C_j`, these directions span class j, and
    for :math:`E`, they span all samples. A layer of a network for signals is shown by
    the filters that compute one channel, with the origin in the centre.

    Parameters
    ----------
    filters : array-like of shape (n_lines, n_columns, height, width)
        The images, in lines; NaN if there is no image.
    names : array-like of shape (n_lines,), default=None
        Names of the lines.
    titles : array-like of shape (n_lines, n_columns), default=None
        Titles above the images; None if there is no image.
    sizes : array-like of shape (n_lines, n_columns), default=None
        Value of each image that gets the strongest colour. None means the largest
        absolute value.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All images in one. Operators are shown relative to their largest absolute value
        off the diagonal, and filters of networks relative to that off the origin,
        because the values there would hide all others.
    texts_ : list of matplotlib Text
        The titles.
    {axes}

    See Also
    --------
    skredu.ReduNetTransformer : Its ``layers_`` contain the operators.

    References
    ----------
    {chan_2022}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu import ReduNetTransformer
    >>> from skredu.plotting import FilterDisplay
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> net = ReduNetTransformer(1, 0.5).fit(X, y)
    >>> display = FilterDisplay.from_estimator(net, image_shape=(8, 8), n_columns=4)
    >>> display.filters.shape
    (3, 4, 8, 8)
    """

    __module__ = "skredu.plotting"

    im_: Any
    texts_: list[Any]

    def __init__(
        self, filters: Any, *, names: Any = None, titles: Any = None, sizes: Any = None
    ) -> None:
        self.filters = filters
        self.names = names
        self.titles = titles
        self.sizes = sizes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        image_shape: Any = None,
        channel: int = 0,
        n_columns: int = 8,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> FilterDisplay:
        """Draw a layer of a network, or the filters of a lifting.

        Parameters
        ----------
        estimator : estimator instance
            Fitted network with ``layers_`` or estimator with ``filters_``, or a
            pipeline that ends with one.
        layer : int, default=0
            Index of the layer of a network; -1 is the last.
        image_shape : tuple, default=None
            (height, width) of images whose pixels are the features of a network, to
            show directions. None shows operators. A constant that was appended to the
            features is left out.
        channel : int, default=0
            For a network for signals, the channel that the filters compute, with one
            filter per input channel.
        n_columns : int, default=8
            Largest number of directions of an operator, or of filters per line.
        {display_labels}
        {with_image}
        """
        model, _ = cls._last_step(estimator)
        layer = check_integer(layer, "layer")
        channel = check_integer(channel, "channel")
        n_columns = check_integer(n_columns, "n_columns", 1)
        if hasattr(model, "filters_"):
            filters = _bank_in_lines(to_numpy(model.filters_), n_columns)
            return cls(filters).plot(ax, **kwargs)
        cls._require(model, ["layers_"], "layers or filters")
        names = ["$E$", *names_of(to_numpy(model.classes_), display_labels)]
        operators = _operators(model, layer)
        if operators.ndim > 3:
            filters, sizes = _filters_to(channel, operators, n_columns)
            return cls(filters, names=names, sizes=sizes).plot(ax, **kwargs)
        if image_shape is not None:
            n_features = model.n_features_in_
            shape = _looks.check_image_shape(image_shape, n_features, colors=False)
            filters = _directions(operators, shape, n_columns)
            return cls(filters, names=names).plot(ax, **kwargs)
        columns = math.ceil(len(names) ** 0.5)
        titles = _in_lines(np.array(names, dtype=object), columns, None)
        filters = _in_lines(operators, columns, np.nan)
        sizes = _largest_without(filters, *np.diag_indices(filters.shape[3]))
        return cls(filters, titles=titles, sizes=sizes).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> FilterDisplay:
        """Draw the display.

        {draw_image}
        """
        filters = np.asarray(self.filters, dtype=float)
        sizes = _largest_without(filters) if self.sizes is None else self.sizes
        sizes = np.where(np.asarray(sizes) > 0.0, sizes, 1.0)[:, :, None, None]
        image, y, x = _looks.mosaic(filters / sizes, titled=self.titles is not None)
        ax = self._axes(ax, _looks.mosaic_size(image, len(y)))
        ours = {"cmap": _looks.SIGNED_COLORMAP, "interpolation": "nearest"}
        style = _looks.style_of({**ours, "vmin": -1.0, "vmax": 1.0}, kwargs)
        self.im_ = ax.imshow(image, **style)
        ax.set(xticks=[], yticks=[])
        if self.names is not None:
            _looks.label_axis(ax.yaxis, y, self.names)
        self.texts_ = [] if self.titles is None else self._write_titles(ax, x, y)
        _looks.hide_frame(ax)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_images, height * width)
            The values of each image. The index is its title, or the name of its line
            and its column.
        """
        filters = np.asarray(self.filters)
        lines, columns = filters.shape[:2]
        values = filters.reshape(lines * columns, -1)
        if self.titles is not None:
            titles = np.asarray(self.titles).ravel()
            frame = self._frame(values, index=titles).rename_axis("name")
        else:
            names = np.arange(lines) if self.names is None else np.asarray(self.names)
            index = [np.repeat(names, columns), np.tile(np.arange(columns), lines)]
            frame = self._frame(values, index=index).rename_axis(["line", "column"])
        return frame.dropna(how="all")

    def _write_titles(self, ax: Any, x: Any, y: Any) -> list[Any]:
        """Write the titles above the images, shortened to the available space."""
        titles = np.asarray(self.titles)
        height = np.shape(self.filters)[2]
        room = ax.get_window_extent().width / ax.figure.dpi * 72 / len(x)
        size = float(np.clip(room / 5, 5.0, 10.0))
        style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": size}
        longest = max(3, int(room / size / _looks.CHARACTER))
        given = [name for name in titles.ravel() if name is not None]
        names = [_looks.shorten(name, longest) for name in given]
        if len(set(names)) < len(names):  # too short to be distinguished
            names = [names[0], *(f"$C_{{{j}}}$" for j in range(len(names) - 1))]
        places = np.ndindex(titles.shape)
        return [
            ax.text(x[j], y[i] - height / 2, name, **style)
            for (i, j), name in zip(places, names, strict=False)
        ]


def _bank_in_lines(filters: Any, n_columns: int) -> Any:
    """Arrange filters of shape (m, channels, [height,] width) in lines of images."""
    if filters.ndim == 3:
        return filters[:, :, None, :]
    if filters.ndim != 4:
        raise ValueError(
            "FilterDisplay.from_estimator shows filters of one or two dimensions, "
            f"found an array of shape {filters.shape}."
        )
    if filters.shape[1] > 1:
        return filters
    return _in_lines(filters[:, 0], n_columns, np.nan)


def _in_lines(items: Any, n_columns: int, missing: Any) -> Any:
    """Arrange items in lines; the last line is filled up with ``missing``."""
    n_columns = min(n_columns, len(items))
    n_lines = -(-len(items) // n_columns)
    shape = n_lines * n_columns, *items.shape[1:]
    filled = np.full(shape, missing, dtype=items.dtype)
    filled[: len(items)] = items
    return filled.reshape(n_lines, n_columns, *items.shape[1:])


def _largest_without(pictures: Any, *left_out: Any) -> Any:
    """Return the largest absolute value of each image, with some places left out."""
    sizes = np.abs(np.nan_to_num(pictures))
    if left_out:
        sizes[:, :, *left_out] = 0.0
    return np.max(sizes, axis=(2, 3))


def _filters_to(channel: int, operators: Any, n_columns: int) -> tuple[Any, Any]:
    """Return the filters to a channel from the first channels, and their sizes."""
    if operators.ndim > 5:
        raise ValueError(
            "FilterDisplay.from_estimator shows filters of one or two dimensions, "
            f"found a grid of shape {operators.shape[3:]}."
        )
    if not 0 <= channel < operators.shape[1]:
        raise ValueError(
            f"Bad channel: the network has {operators.shape[1]} channels, found "
            f"{channel!r}."
        )
    filters = operators[:, channel, :n_columns]
    if filters.ndim == 3:
        filters = filters[:, :, None, :]
    sizes = _largest_without(filters, 0, 0)
    return np.fft.fftshift(filters, axes=(2, 3)), sizes


def _operators(network: Any, number: int) -> Any:
    """Return operators of a layer, E first: (k + 1, d, d) or (k + 1, C, C, *grid)."""
    layers = network.layers_
    if not -len(layers) <= number < len(layers):
        raise ValueError(
            f"Bad layer: the network has {len(layers)} layers, found {number!r}."
        )
    layer = layers[number]
    if not hasattr(layer, "compression"):
        raise ValueError(
            "FilterDisplay.from_estimator shows operators; layers of "
            f"{type(network).__name__} have none."
        )
    compressions = map(layer.compression, range(len(network.classes_)))
    return np.stack([*map(to_numpy, (layer.expansion, *compressions))]).astype(float)


def _directions(operators: Any, shape: tuple[int, ...], n_columns: int) -> Any:
    """Return directions in which operators are smallest, as images (k + 1, m, h, w).

    A constant after the pixels is left out. Outside of the span of its samples, an
    operator is the same in all directions, so no images are shown for these.
    """
    n_pixels = math.prod(shape)
    values, vectors = np.linalg.eigh(operators[:, :n_pixels, :n_pixels])
    equal = values > (1.0 - EQUAL) * values[:, -1:]
    equal &= np.sum(equal, axis=1, keepdims=True) > 1
    vectors = np.where(equal[:, None, :], np.nan, vectors)[:, :, :n_columns]
    vectors = np.swapaxes(vectors, 1, 2)
    # The sign of a direction has no meaning: the largest value is made positive.
    largest = np.argmax(np.abs(np.nan_to_num(vectors)), axis=2)[:, :, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=2))
    return vectors.reshape(*vectors.shape[:2], *shape)
