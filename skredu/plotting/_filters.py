"""FilterDisplay: operators of a layer, or the filters of a lifting, as pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from skredu._checks import check_integer
from skredu._compat import to_numpy
from skredu.plotting._mosaic import fitting, image_shape_of, mosaic
from skredu.plotting._support import (
    SIGNED_SCALE,
    Display,
    bare,
    data_frame,
    label_axis,
    last_step,
    names_of,
    pyplot,
    require,
    short,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Eigenvalues of an operator that are equal up to this share are those of directions
# that it does not tell apart.
FLAT = 1e-6


class FilterDisplay(Display):
    r"""Operators of a layer of a network, or filters, as pictures.

    Of a layer of a ReduNet, either the expansion operator :math:`E` and the compression
    operators :math:`C_j` themselves or, with ``image_shape``, the directions in which
    each of them is smallest: for :math:`C_j` those that span class j, which it leaves
    alone, for :math:`E` those of all rows. Of a layer of a network for signals, the
    filters that make one channel, with the origin in the middle.

    Parameters
    ----------
    filters : array-like of shape (n_lines, n_columns, height, width)
        The pictures, in lines; NaN where there is none.
    names : array-like of shape (n_lines,), default=None
        What the lines are.
    titles : array-like of shape (n_lines, n_columns), default=None
        What each picture is, written above it; None where there is no picture.
    sizes : array-like of shape (n_lines, n_columns), default=None
        Value of each picture that gets the strongest colour; None: the largest absolute
        value.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All pictures in one. Operators are relative to their largest absolute value off
        the diagonal, filters of networks to that off the origin, which would hide all
        else.
    texts_ : list of matplotlib Text
        The titles.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.ReduNetTransformer : Its ``layers_`` have the operators.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for the operators.

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
        self,
        filters: Any,
        *,
        names: Any = None,
        titles: Any = None,
        sizes: Any = None,
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
            Number of the layer of a network; -1 is the last.
        image_shape : tuple, default=None
            (height, width) of the pictures in the rows of a network, for directions
            instead of operators. A constant that was appended to the rows is left out.
        channel : int, default=0
            Of a network for signals, the channel that the filters make, one from every
            channel.
        n_columns : int, default=8
            Directions of an operator, or filters in a line, at most.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the image.

        Returns
        -------
        display : FilterDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no filters, is not fitted, or has no such layer or
            channel, or the shape does not fit.
        """
        pyplot(cls, "from_estimator")
        layer = check_integer(layer, "layer")
        channel = check_integer(channel, "channel")
        n_columns = check_integer(n_columns, "n_columns", 1)
        model, _ = last_step(estimator)
        if hasattr(model, "filters_"):
            return cls(_bank(to_numpy(model.filters_), n_columns)).plot(ax, **kwargs)
        require(model, ["layers_"], cls, "layers or filters")
        names = ["$E$", *names_of(to_numpy(model.classes_), display_labels)]
        operators = _operators(model, layer)
        if operators.ndim > 3:
            filters, sizes = _of_channel(operators, channel, n_columns)
            return cls(filters, names=names, sizes=sizes).plot(ax, **kwargs)
        if image_shape is not None:
            shape = image_shape_of(image_shape, model.n_features_in_, colors=False)
            filters = _directions(operators, shape, n_columns)
            return cls(filters, names=names).plot(ax, **kwargs)
        columns = math.ceil(len(names) ** 0.5)
        titles = _in_lines(np.array(names, dtype=object), columns, None)
        filters = _in_lines(operators, columns, np.nan)
        sizes = _largest_but(filters, *np.diag_indices(filters.shape[3]))
        return cls(filters, titles=titles, sizes=sizes).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> FilterDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the image, such as ``cmap``.

        Returns
        -------
        display : FilterDisplay
            The display itself.
        """
        pictures = np.asarray(self.filters, dtype=float)
        sizes = _largest_but(pictures) if self.sizes is None else np.asarray(self.sizes)
        sizes = np.where(sizes > 0.0, sizes, 1.0)[:, :, None, None]
        image, y, x = mosaic(pictures / sizes, titled=self.titles is not None)
        ax = self._open(ax, fitting(image, len(y)))
        ours = {"cmap": SIGNED_SCALE, "interpolation": "nearest"}
        style = styled({**ours, "vmin": -1.0, "vmax": 1.0}, kwargs)
        self.im_ = ax.imshow(image, **style)
        ax.set(xticks=[], yticks=[])
        if self.names is not None:
            label_axis(ax.yaxis, y, self.names)
        self.texts_ = [] if self.titles is None else self._write(ax, x, y)
        bare(ax)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_pictures, height * width)
            The values of each picture; the index is the name of its line and its
            column.
        """
        filters = np.asarray(self.filters)
        lines, columns = filters.shape[:2]
        values = filters.reshape(lines * columns, -1)
        if self.titles is not None:
            names = np.asarray(self.titles).ravel()
            frame = data_frame(self, values, index=names).rename_axis("name")
        else:
            names = np.arange(lines) if self.names is None else np.asarray(self.names)
            index = [np.repeat(names, columns), np.tile(np.arange(columns), lines)]
            frame = data_frame(self, values, index=index)
            frame = frame.rename_axis(["line", "column"])
        return frame.dropna(how="all")

    def _write(self, ax: Any, x: Any, y: Any) -> list[Any]:
        """Write the titles above the pictures, as long as there is room."""
        titles = np.asarray(self.titles)
        height = np.shape(self.filters)[2]
        room = ax.get_window_extent().width / ax.figure.dpi * 72 / len(x)
        size = float(np.clip(room / 5, 5.0, 10.0))
        style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": size}
        longest = max(3, int(room / size / 0.65))
        names = [short(name, longest) for name in titles.ravel() if name is not None]
        if len(set(names)) < len(names):  # too short to tell them apart
            names = [names[0], *(f"$C_{{{j}}}$" for j in range(len(names) - 1))]
        at = np.ndindex(titles.shape)
        return [
            ax.text(x[j], y[i] - height / 2, name, **style)
            for (i, j), name in zip(at, names, strict=False)
        ]


def _bank(filters: Any, n_columns: int) -> Any:
    """Lay out filters of shape (m, channels, [height,] width) in lines of pictures."""
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


def _in_lines(things: Any, n_columns: int, missing: Any) -> Any:
    """Things in lines of so many, filled up with what stands for none."""
    n_lines = -(-len(things) // n_columns)
    columns = min(n_columns, len(things))
    shape = n_lines * columns, *things.shape[1:]
    filled = np.full(shape, missing, dtype=things.dtype)
    filled[: len(things)] = things
    return filled.reshape(n_lines, columns, *things.shape[1:])


def _largest_but(pictures: Any, *left_out: Any) -> Any:
    """Largest absolute value of each picture, but for some places."""
    sizes = np.abs(np.nan_to_num(pictures))
    if left_out:
        sizes[:, :, *left_out] = 0.0
    return np.max(sizes, axis=(2, 3))


def _of_channel(operators: Any, channel: int, n_columns: int) -> tuple[Any, Any]:
    """Choose filters to a channel, from the first ones; and their sizes."""
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
    sizes = _largest_but(filters, 0, 0)
    return np.fft.fftshift(filters, axes=(2, 3)), sizes


def _operators(network: Any, number: int) -> Any:
    """Operators of a layer, E first: (k + 1, d, d), or filters (k + 1, C, C, *grid)."""
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
    every = range(len(network.classes_))
    operators = [layer.expansion, *(layer.compression(j) for j in every)]
    return np.stack([to_numpy(operator) for operator in operators]).astype(float)


def _directions(operators: Any, shape: tuple[int, ...], n_columns: int) -> Any:
    """Directions in which operators are smallest, as pictures (k + 1, c, h, w).

    A constant behind the pixels is left out. Beyond the span of its rows an operator is
    the same in all directions, and there are no pictures to show.
    """
    pixels = math.prod(shape)
    values, vectors = np.linalg.eigh(operators[:, :pixels, :pixels])
    flat = values > (1.0 - FLAT) * values[:, -1:]
    flat &= np.sum(flat, axis=1, keepdims=True) > 1
    vectors = np.where(flat[:, None, :], np.nan, vectors)[:, :, :n_columns]
    vectors = np.swapaxes(vectors, 1, 2)
    # The sign of a direction says nothing: the largest value is positive.
    largest = np.argmax(np.abs(np.nan_to_num(vectors)), axis=2)[:, :, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=2))
    return vectors.reshape(*vectors.shape[:2], *shape)
