"""PolarTransformer: sample images on circles, where rotations are shifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from skredu._checks import check_finite
from skredu._compat import Interval, StrOptions, move_to, namespace
from skredu._progress import Progress
from skredu._signals import Shape, check_size, in_blocks, shape_of, small_blocks
from skredu.lifting._base import BaseLifting

# Least radius of the largest circle, by which distances are divided.
TINY = 1e-300


class PolarTransformer(BaseLifting):
    r"""Sample images on circles around their centre.

    A rotation of an image is then a cyclic shift along the circles, so estimators that
    are invariant to shifts become invariant to rotations. The result has the
    ``signal_shape`` ``n_angles``, and its channels are the radii.

    The radii are :math:`(i + 1/2) R / m`, the middles of m = ``n_radii`` rings of equal
    width that fill the largest circle in the image, which has the radius R and passes
    through the centres of the outermost pixels. The angles are
    :math:`2\pi k / \text{n\_angles}`, counted counterclockwise from the right of the
    image. The first angle is not repeated at the end, so a rotation by one step is a
    shift by one point.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        Height and width of the images. Each row contains one channel after the other,
        each in C order. The number of channels is the number of features divided by the
        number of pixels. None means one channel in the shape that is closest to a
        square and not higher than wide.
    n_radii : int, default=10
        Number of circles.
    n_angles : int, default=100
        Number of points on each circle.
    interpolation : {"linear", "cubic"}, default="cubic"
        Interpolation between pixels: linear along both axes, or cubic convolution
        (Keys), which blurs less.

    Attributes
    ----------
    image_shape_ : tuple of int
        Height and width of the images.
    radii_ : ndarray of shape (n_radii,)
        Radii of the circles, in pixels.
    angles_ : ndarray of shape (n_angles,)
        Angles of the points, in radians.
    signal_shape_ : tuple of int
        Shape of the grid of the result, ``(n_angles,)``.
    n_channels_ : int
        Number of channels of the result, ``n_radii`` per channel of the image.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    ConvolutionalLifting : Lifts signals to more channels.

    Notes
    -----
    The result has the shape (n_samples, channels * n_radii * n_angles). It contains all
    angles for each channel of the image and, within each channel, for each radius
    beginning with the smallest. It is computed as a product with a sparse matrix of 4
    (linear) or 16 (cubic) numbers per point, which ``fit`` builds circle by circle,
    with 12 bytes for each number. The samples are processed in blocks: in addition to
    input and result, ``transform`` needs at most the larger of 4 MiB and eight samples
    of input and result.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, section 5. (Their program
    samples at 0 and at 360 degrees, so that no shift is exactly a rotation.)

    Keys, "Cubic convolution interpolation for digital image processing", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981.

    Examples
    --------
    A rotation by 90 degrees is a shift by a quarter of the angles:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skredu.lifting import PolarTransformer
    >>> images = load_digits().images
    >>> polar = PolarTransformer(n_radii=4, n_angles=32).fit(images.reshape(-1, 64))
    >>> Z = polar.transform(images.reshape(-1, 64))
    >>> Z.shape
    (1797, 128)
    >>> turned = polar.transform(np.rot90(images, axes=(1, 2)).reshape(-1, 64))
    >>> np.allclose(turned.reshape(-1, 4, 32), np.roll(Z.reshape(-1, 4, 32), 8, axis=2))
    True
    """

    __module__ = "skredu"

    _reference, _shape_name = "radii_", "image_shape"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_shape": [tuple, list, None],
        "n_radii": [Interval(Integral, 1, None, closed="left")],
        "n_angles": [Interval(Integral, 1, None, closed="left")],
        "interpolation": [StrOptions({"linear", "cubic"})],
    }

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        n_radii: int = 10,
        n_angles: int = 100,
        *,
        interpolation: str = "cubic",
    ) -> None:
        self.image_shape = image_shape
        self.n_radii = n_radii
        self.n_angles = n_angles
        self.interpolation = interpolation

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        n_channels *= int(self.n_radii)
        n_features = n_channels * int(self.n_angles)
        check_size(n_features, "n_radii or n_angles", "features")
        radii = (np.arange(self.n_radii) + 0.5) * (_outermost(grid) / self.n_radii)
        angles = np.arange(self.n_angles) * (2 * np.pi / self.n_angles)
        self._operator = sampling_matrix(radii, angles, grid, self.interpolation)
        self.radii_, self.angles_ = move_to(X, radii, angles)
        self.image_shape_, self.signal_shape_ = grid, (self.n_angles,)
        self.n_channels_ = n_channels

    def inverse_transform(self, X: Any) -> Any:
        """Return images that have approximately these values on the circles.

        Pixels are interpolated between the points of the circles as `transform`
        interpolates points between pixels. Within the smallest circle and beyond the
        largest one, they have the value of the circle. The error is that of two
        interpolations: it is small for images that vary little from point to point.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Values on the circles, as `transform` returns them.

        Returns
        -------
        X_original : array of shape (n_samples, n_features)
            The images.

        Raises
        ------
        ValueError
            If ``X`` has another number of features than `transform` returns, or is so
            large that the result overflows.

        Examples
        --------
        >>> import numpy as np
        >>> from skredu import PolarTransformer
        >>> i = np.arange(16)
        >>> image = np.sin(i[:, None] / 4) * np.cos(i / 4)
        >>> polar = PolarTransformer(n_radii=16).fit(image.reshape(1, -1))
        >>> again = polar.inverse_transform(polar.transform(image.reshape(1, -1)))
        >>> error = np.abs(again.reshape(16, 16) - image)[4:12, 4:12]
        >>> bool(error.max() < 0.01)
        True
        """
        Z = self._check_features(X)
        height, width = self.image_shape_
        n_radii, n_angles = int(self.radii_.shape[0]), self.signal_shape_[0]
        y = (height - 1) / 2 - np.arange(height)[:, None]
        x = np.arange(width) - (width - 1) / 2
        step = max(_outermost(self.image_shape_), TINY) / n_radii
        radii = np.clip(np.ravel(np.hypot(x, y)) / step - 0.5, 0, n_radii - 1)
        turns = np.ravel(np.arctan2(y, x)) / (2 * np.pi)
        kind = "linear" if self._operator[2][1] == 4 else "cubic"
        circles = _taps(radii, n_radii, kind)
        points = _taps(turns % 1 * n_angles, n_angles, kind, cyclic=True)
        weights, places = _products(circles, points, n_angles)
        starts = np.arange(0, len(weights) + 1, len(weights) // (height * width))
        work, blocks = _interpolator(Z, (weights, places, starts), n_radii * n_angles)
        return in_blocks(work, blocks, Z, self.n_features_in_)

    def _work(self, X: Any) -> tuple[Callable[[Any], Any], list[slice]]:
        return _interpolator(X, self._operator, math.prod(self.image_shape_))

    def _check_mark(self, X: Any) -> None:
        """Accept samples with any mark, since image_shape says what they are."""

    def _grid_for(self, X: Any, n_features: int) -> Shape:
        """Return the given height and width, or those closest to a square."""
        if self.image_shape is not None:
            shape = shape_of(self.image_shape, "image_shape")
            if len(shape) != 2:
                raise ValueError(
                    f"Bad image_shape: must be height and width, found {shape}."
                )
            return shape
        height = math.isqrt(n_features)
        while n_features % height:
            height -= 1
        return height, n_features // height

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * self.signal_shape_[0]


def _outermost(shape: Shape) -> float:
    """Return the radius of the largest circle in an image."""
    return (min(shape) - 1) / 2


def _interpolator(
    X: Any, operator: tuple[Any, Any, Any], n_inputs: int
) -> tuple[Callable[[Any], Any], list[slice]]:
    """Return a function that interpolates in blocks of rows, and the blocks.

    Every channel of a row has ``n_inputs`` values, from which the operator, see
    `sampling_matrix`, computes as many values as it has rows.
    """
    xp, n_outputs = namespace(X), len(operator[2]) - 1
    product = _product(X, operator, (n_outputs, n_inputs))

    def work(rows: Any) -> Any:
        Z = product(xp.reshape(rows, (-1, n_inputs)))
        return check_finite(xp.reshape(Z, (rows.shape[0], -1)), "interpolated values")

    width = X.shape[1] + X.shape[1] // n_inputs * n_outputs
    return work, small_blocks(X.shape[0], width)


def _product(
    X: Any, operator: tuple[Any, Any, Any], shape: tuple[int, int]
) -> Callable[[Any], Any]:
    """Return a function that multiplies rows of the type of ``X`` by an operator."""
    xp, (weights, places, starts) = namespace(X), operator
    if xp is np:  # this takes a tenth of the time of the sum below
        entries = (weights.astype(X.dtype, copy=False), places, starts)
        matrix = sparse.csr_array(entries, shape=shape)
        return lambda rows: (matrix @ rows.T).T
    weights, places = move_to(X, weights, places)
    taps = [slice(k, None, int(starts[1])) for k in range(starts[1])]
    parts = [(xp.astype(weights[tap], X.dtype), places[tap]) for tap in taps]

    def total(rows: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return sum(xp.take(rows, p, axis=1) * w for w, p in parts)

    return total


def sampling_matrix(
    radii: Any, angles: Any, shape: Shape, interpolation: str
) -> tuple[Any, Any, Any]:
    """Build the matrix that interpolates images at the points of circles.

    Returns the data, indices and index pointer of a sparse matrix (points, pixels) with
    compressed rows, all of which have as many entries. The matrix is built circle by
    circle, and needs little more memory than it has entries.
    """
    taps = 4 if interpolation == "linear" else 16
    weights = np.empty((len(radii), len(angles) * taps))
    pixels = np.empty(weights.shape, dtype=np.int32)
    for i, radius in enumerate(radii):
        y = (shape[0] - 1) / 2 - radius * np.sin(angles)
        x = (shape[1] - 1) / 2 + radius * np.cos(angles)
        rows, columns = (
            _taps(place, size, interpolation)
            for place, size in zip((y, x), shape, strict=True)
        )
        weights[i], pixels[i] = _products(rows, columns, shape[1])
    starts = np.arange(0, weights.size + 1, taps, dtype=pixels.dtype)
    return weights.ravel(), pixels.ravel(), starts


def _products(rows: Any, columns: Any, width: int) -> tuple[Any, Any]:
    """Return weights and indices of points of a grid, all taps of a point together.

    They are the products of the taps along the two axes; see `_taps`.
    """
    (row, vertical), (column, horizontal) = rows, columns
    weights = vertical[:, :, None] * horizontal[:, None, :]
    return np.ravel(weights), np.ravel(row[:, :, None] * width + column[:, None, :])


def _taps(
    x: Any, size: int, interpolation: str, *, cyclic: bool = False
) -> tuple[Any, Any]:
    """Return pixels next to positions along an axis, and their weights, (points, taps).

    The outermost pixels are repeated beyond the border, unless the axis is cyclic.
    """
    low = np.floor(x)
    t = (x - low)[:, None]
    if interpolation == "linear":
        offsets, weights = np.arange(2), np.hstack([1 - t, t])
    else:
        offsets, s = np.arange(-1, 3), 1 - t
        # Keys' kernel with a = -1/2
        far = (-0.5 * t * s**2, -0.5 * s * t**2)
        near = (1 + t**2 * (1.5 * t - 2.5), 1 + s**2 * (1.5 * s - 2.5))
        weights = np.hstack([far[0], near[0], near[1], far[1]])
    pixels = low.astype(np.intp)[:, None] + offsets
    return pixels % size if cyclic else np.clip(pixels, 0, size - 1), weights
