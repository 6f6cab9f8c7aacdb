"""Many small pictures as one, so that a display needs one axes only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu._checks import is_integer

# Inches: a pixel and a page at most, a line of pictures at least, and the highest page.
PIXEL, PAGE, LINE, HIGHEST = 0.25, 9.0, 0.22, 40.0
# Inches between lines of pictures for titles.
TITLE = 0.2


def image_shape_of(
    image_shape: Any, n_features: int, *, colors: bool = True
) -> tuple[int, ...]:
    """Height, width and, for colours, 3 channels, of rows of pixels."""
    shape = tuple(np.atleast_1d(np.asarray(image_shape, dtype=object)))
    whole = all(is_integer(size) and size > 0 for size in shape)
    gray, colored = len(shape) == 2, len(shape) == 3 and shape[2] == 3 and colors
    if not whole or not (gray or colored):
        wanted = "(height, width)" + colors * " or (height, width, 3)"
        raise ValueError(f"Bad image_shape: must be {wanted}, found {image_shape!r}.")
    if math.prod(shape) != n_features:
        raise ValueError(
            f"Bad image_shape: {image_shape!r} has {math.prod(shape)} values, the rows "
            f"have {n_features}."
        )
    return shape


def mosaic(
    pictures: Any, group: int = 0, *, titled: bool = False
) -> tuple[Any, Any, Any]:
    """One picture of many in a grid, with gaps that nothing is drawn in.

    Parameters
    ----------
    pictures : array of shape (rows, columns, height, width) or (..., 3)
        Pictures; NaN is left empty.
    group : int, default=0
        A wider gap follows every so many columns; 0: none does.
    titled : bool, default=False
        Leave room for titles above the pictures.

    Returns
    -------
    image : array of shape (H, W) or (H, W, 4)
        The picture, NaN or transparent in the gaps.
    y : array of shape (rows,)
        Middle of each row of pictures.
    x : array of shape (columns,)
        Middle of each column of pictures.
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


def fitting(image: Any, lines: int) -> tuple[float, float]:
    """Size in inches of a figure for lines of pictures, with room for labels.

    Many lines make a high figure, in which every picture can still be looked at.
    """
    height, width = image.shape[:2]
    unit = min(PIXEL, PAGE / max(height, width))
    unit = max(unit, min(LINE * lines, HIGHEST) / height)
    return max(2.5, width * unit) + 1.5, max(2.0, height * unit) + 0.8
