"""Colours, names on axes, legends, and mosaics of small images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu._checks import is_integer

# The colours of Okabe and Ito, which colour-blind people can distinguish. Yellow and
# black are omitted because they are invisible on a light or on a dark background.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Colour map for more classes, and for positive values. For lines, its ends are left out
# because they are hard to see on a light or on a dark background.
COLORMAP, COLORMAP_ENDS = "viridis", (0.2, 0.92)
# Colour map for values of both signs.
SIGNED_COLORMAP = "RdBu_r"
# Largest number of characters of a name on an axis, and in a legend.
MAX_NAME, MAX_NAME_IN_LEGEND = 18, 32
# Approximate width of a character relative to the font size.
CHARACTER = 0.65
# In inches: largest size of a pixel and of a page, smallest height of a line of images,
# largest height of a page, and the space for titles between lines of images.
PIXEL, PAGE, LINE, HIGHEST, TITLE = 0.25, 9.0, 0.22, 40.0, 0.2


def style_of(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return properties of lines or images; those given replace ours by any alias."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    given = normalize_kwargs(given, Line2D)
    if given.get("norm") is not None:  # it has limits of its own
        defaults = {k: v for k, v in defaults.items() if k not in ("vmin", "vmax")}
    return {**defaults, **given}


def text_color(ax: Any) -> Any:
    """Return the colour of text on axes: black on light, white on dark background."""
    return ax.xaxis.label.get_color()


def class_colors(n: int) -> list[Any]:
    """Return one colour per class."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps[COLORMAP](np.linspace(*COLORMAP_ENDS, n)))


def shorten(name: Any, longest: int = MAX_NAME) -> str:
    """Cut a name that is too long."""
    name = str(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def label_axis(
    axis: Any,
    positions: Any,
    names: Any,
    *,
    fold: bool = False,
    longest: int = MAX_NAME,
) -> None:
    """Put names at positions of an axis, as many as fit.

    Names that are too long for a horizontal axis are rotated. With ``fold``, if the
    other axis has the same names, they are left out instead.
    """
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    horizontal = axis.axis_name == "x"
    axis.axes.apply_aspect()
    box = axis.axes.get_window_extent()
    size = rcParams["xtick.labelsize" if horizontal else "ytick.labelsize"]
    size = FontProperties(size=size).get_size_in_points()
    length = (
        (box.width if horizontal else box.height) / axis.axes.figure.dpi * 72 / size
    )
    shown = np.arange(0, len(names), -(-len(names) // max(2, int(length / 1.25))))
    texts = [shorten(names[i], longest) for i in shown]
    crowded = horizontal and CHARACTER * sum(len(text) + 2 for text in texts) > length
    if crowded and fold:
        shown, texts = shown[:0], []
    axis.set_ticks([positions[i] for i in shown], texts)
    axis.set_tick_params(length=0, rotation=90 if crowded else 0)


def add_class_colorbar(ax: Any, names: Any) -> None:
    """Add a colour bar with the colours of many classes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    n = len(names)
    norm = BoundaryNorm(np.arange(n + 1) - 0.5, n)
    colors = ScalarMappable(norm, ListedColormap(class_colors(n)))
    bar = ax.figure.colorbar(colors, ax=ax, drawedges=False)
    bar.ax.minorticks_off()
    bar.ax.invert_yaxis()
    label_axis(bar.ax.yaxis, np.arange(n), names)


def use_integer_ticks(axis: Any) -> None:
    """Put ticks at integers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def use_plain_numbers(axis: Any) -> None:
    """Put ticks at 1, 2 and 5 times powers of ten on a logarithmic axis."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def hide_frame(ax: Any) -> None:
    """Remove the frame of axes that contain images."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


# -- pictures -------------------------------------------------------------------------


def check_image_shape(
    image_shape: Any, n_features: int, *, colors: bool = True
) -> tuple[int, ...]:
    """Return the height, the width and, for colours, 3 channels of images."""
    shape = tuple(np.atleast_1d(np.asarray(image_shape, dtype=object)))
    positive = all(is_integer(size) and size > 0 for size in shape)
    gray, colored = len(shape) == 2, len(shape) == 3 and shape[2] == 3 and colors
    if not positive or not (gray or colored):
        wanted = "(height, width)" + colors * " or (height, width, 3)"
        raise ValueError(f"Bad image_shape: must be {wanted}, found {image_shape!r}.")
    if math.prod(shape) != n_features:
        raise ValueError(
            f"Bad image_shape: {image_shape!r} has {math.prod(shape)} values, but "
            f"the samples have {n_features}."
        )
    return shape


def mosaic(
    pictures: Any, group: int = 0, *, titled: bool = False
) -> tuple[Any, Any, Any]:
    """Put a grid of images into one, so that a display needs only one axes object.

    Parameters
    ----------
    pictures : array of shape (rows, columns, height, width) or (..., 3)
        Images; NaN is left empty.
    group : int, default=0
        Number of columns after which a gap is wider; 0 if all gaps are equal.
    titled : bool, default=False
        Whether to leave space for titles above the images.

    Returns
    -------
    image : array of shape (H, W) or (H, W, 4)
        The mosaic, which is NaN or transparent in the gaps.
    y : array of shape (rows,)
        Middle of each row of images.
    x : array of shape (columns,)
        Middle of each column of images.
    """
    rows, columns, height, width = pictures.shape[:4]
    gap = max(1, min(width, height if height > 1 else width) // 6)
    between = gap if height > 1 else 0
    if titled:
        pixel = min(PIXEL, PAGE / (1.3 * max(rows * height, columns * width)))
        between = max(between, math.ceil(TITLE / pixel))
    tops = np.arange(rows) * (height + between)
    lefts = np.arange(columns) * (width + gap)
    if group:
        lefts = lefts + 2 * gap * (np.arange(columns) // group)
    size = int(tops[-1]) + height, int(lefts[-1]) + width
    image = np.full((*size, *pictures.shape[4:]), np.nan)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            image[top : top + height, left : left + width] = pictures[i, j]
    if image.ndim == 3:
        opaque = np.isfinite(image).all(axis=2, keepdims=True)
        image = np.concatenate([np.nan_to_num(image), opaque], axis=2)
    return image, tops + (height - 1) / 2, lefts + (width - 1) / 2


def mosaic_size(image: Any, n_lines: int) -> tuple[float, float]:
    """Return the size in inches of a figure for a mosaic, with room for labels.

    With many lines, the figure is high enough for every image to be visible.
    """
    height, width = image.shape[:2]
    unit = min(PIXEL, PAGE / max(height, width))
    unit = max(unit, min(LINE * n_lines, HIGHEST) / height)
    return max(2.5, width * unit) + 1.5, max(2.0, height * unit) + 0.8
