"""Images as they are given: checks, colours, and superpixels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skredu._checks import check_integer, check_numbers, naming
from skredu.image._regions import absorbed, connected_regions

# From linear RGB to XYZ relative to the white point D65 (2 degrees), as in sRGB.
XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
# Superpixels with fewer pixels than this join a neighbour; only those that are computed
# here. Felzenszwalb and Huttenlocher's regions are connected by corners, too, so they
# leave such fragments when they are made connected by sides.
SMALLEST = 20
# Beyond this entry, sums of squares might overflow.
LARGEST = 1e100
# An axis of this length is one of channels if the given one is longer.
USUAL_CHANNELS = (3, 4)


def checked_image(image: Any, channel_axis: int | None) -> Any:
    """Return an image with the channels last; there is one if the image is grey."""
    check_numbers(image, "image")
    with naming("image"):
        image = np.asarray(image)
        if image.dtype.kind == "c":
            raise ValueError(f"must contain real numbers, found {image.dtype}.")
        if image.dtype.kind not in "buif" or image.dtype.itemsize > 8:
            with np.errstate(all="ignore"):
                image = image.astype(np.float64)
        if image.ndim < 2 or image.size == 0:
            raise ValueError(
                "must have the shape (height, width) or (height, width, n_channels), "
                f"found {image.shape}."
            )
        with np.errstate(all="ignore"):  # sums of values that are not finite
            check_array(image.reshape(-1, 1), dtype=None, input_name="image")
    if image.ndim == 2 or channel_axis is None:
        return image[..., None]
    n = image.ndim
    axis = check_integer(channel_axis, "channel_axis", -n, n - 1)
    others = np.delete(image.shape, axis)
    channels = image.shape[axis]
    if n == 3 and channels > max(USUAL_CHANNELS) and others.min() in USUAL_CHANNELS:
        raise ValueError(
            f"Bad channel_axis: an image of shape {image.shape} would have {channels} "
            f"channels along the axis {channel_axis}. Pass channel_axis="
            f"{image.shape.index(int(others.min()))}, or None for a grey volume."
        )
    return np.moveaxis(image, axis, -1)


def pixel_values(image: Any, convert2lab: bool | None) -> tuple[Any, Any]:
    """Return the values of an image that are coded, and its picture from 0 to 1.

    The values are those in the space L*a*b* for colour images, and the lightness L* for
    grey ones, unless ``convert2lab`` is False.
    """
    channels = image.shape[-1]
    if convert2lab is None:
        convert2lab = channels in (1, 3)
    if not convert2lab:
        values = image.astype(np.float64)
        low, high = float(values.min()), float(values.max())
        if max(-low, high) > LARGEST:
            raise ValueError(
                f"Bad image: numbers must be at most {LARGEST:.0e}, so that squares "
                f"are in range, found numbers from {low:.3g} to {high:.3g}."
            )
        return values, (values - low) / ((high - low) or 1.0)
    if channels not in (1, 3):
        raise ValueError(
            "Bad convert2lab: must be False or None for an image with "
            f"{channels} channels, because only grey and RGB images have colours."
        )
    if image.dtype.kind in "ui":
        if image.dtype.itemsize > 2 and image.min() >= 0:
            raise ValueError(
                f"Bad image: integers of type {image.dtype} do not tell which number "
                "is white. Convert them to uint8 (white is 255), uint16 (65535) or "
                "numbers from 0 to 1, or use convert2lab=False for other values."
            )
        image = image / np.iinfo(image.dtype).max
    image = image.astype(np.float64)
    low, high = float(image.min()), float(image.max())
    if low < 0.0 or high > 1.0:
        raise ValueError(
            "Bad image: colours must be integers of at least 0, or numbers from 0 to "
            f"1, found numbers from {low:.3g} to {high:.3g}. Use convert2lab=False for "
            "other values."
        )
    picture = np.repeat(image, 3, axis=-1) if channels == 1 else image
    return lab_of(picture)[..., :channels], picture


def lab_of(rgb: Any) -> Any:
    """Return colours in sRGB, from 0 to 1, in the space L*a*b*."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    shares = linear @ (XYZ.T / WHITE)
    roots = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16.0 / 116.0)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def superpixels_of(image: Any, picture: Any, superpixels: Any) -> Any:
    """Return connected superpixels, numbered from 0.

    Parameters
    ----------
    image : array of shape (..., n_channels)
        The image as it is given.
    picture : array of shape (..., n_channels)
        The image with values from 0 to 1.
    superpixels : str, callable or array-like of shape (...)
    """
    shape = image.shape[:-1]
    if isinstance(superpixels, str):
        found = np.zeros(shape, dtype=np.intp)
        if min(shape) > 1:  # otherwise scikit-image may fail
            found = _of_scikit_image(picture, superpixels)
        return absorbed(connected_regions(found), SMALLEST)
    if callable(superpixels):
        superpixels = superpixels(image[..., 0] if image.shape[-1] == 1 else image)
    check_numbers(superpixels, "superpixels")
    with naming("superpixels"):
        labels = np.asarray(superpixels)
        if labels.shape != shape:
            raise ValueError(
                f"must have the shape {shape} of the image, found {labels.shape}."
            )
        if labels.dtype.kind not in {"b", "i", "u"}:
            raise ValueError(f"must be integers, found the type {labels.dtype}.")
    return connected_regions(labels)


def _of_scikit_image(picture: Any, method: str) -> Any:
    """Return superpixels by a function of scikit-image."""
    try:
        from skimage.segmentation import felzenszwalb, slic
    except ImportError as error:
        raise ImportError(
            f"superpixels={method!r} needs scikit-image. Install it with "
            'pip install "skredu[image]", or pass a label image.'
        ) from error
    n_axes, most = picture.ndim - 1, 3 if method == "slic" else 2
    if n_axes > most:
        raise ValueError(
            f"Bad superpixels: {method!r} is for at most {most} dimensions, found "
            f"{n_axes}. Pass one image per fit; for a volume, pass 'slic' or a label "
            "image."
        )
    if method == "slic":
        options = (
            {"compactness": 10.0}
            if picture.shape[-1] == 3
            else {"compactness": 0.1, "convert2lab": False}
        )
        return slic(picture, 400, start_label=0, channel_axis=-1, **options)
    with warnings.catch_warnings():  # of images that look like volumes
        warnings.filterwarnings("ignore", "Got image with third dimension")
        return felzenszwalb(picture, 60.0, 0.8, 100, channel_axis=-1)
