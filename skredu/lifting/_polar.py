"""PolarTransformer: sample images on circles, where rotations are shifts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_rows
from skredu._compat import Interval, StrOptions
from skredu.lifting._grid import channels_of, check_size, shape_of, small_blocks
from skredu.lifting._signals import SignalsOutMixin, refuse_stacks


class PolarTransformer(SignalsOutMixin, TransformerMixin, SkreduEstimator):
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> PolarTransformer:
        """Compute the interpolation weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data. Only the number of features matters.
        y : None
            Not used, present here for API consistency by convention.

        Returns
        -------
        self : PolarTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range or inconsistent with ``X``.
        """
        self._validate_params()
        refuse_stacks(X, "image_shape")
        d = check_rows(self, X).shape[1]
        shape = _image_shape(self.image_shape, d)
        n_channels = channels_of(shape, d, "image_shape") * int(self.n_radii)
        n_features = n_channels * int(self.n_angles)
        check_size(n_features, "n_radii or n_angles", "features")
        outermost = (min(shape) - 1) / 2
        radii = (np.arange(self.n_radii) + 0.5) * (outermost / self.n_radii)
        angles = np.arange(self.n_angles) * (2 * np.pi / self.n_angles)
        self._operator = sampling_matrix(radii, angles, shape, self.interpolation)
        self.image_shape_, self.radii_, self.angles_ = shape, radii, angles
        self.signal_shape_, self.n_channels_ = (self.n_angles,), n_channels
        return self

    def transform(self, X: Any) -> Any:
        """Sample images on the circles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The images, with one image per row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_channels * n_radii * n_angles)
            Values on the circles, with all angles of one radius after the other.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        check_is_fitted(self)
        refuse_stacks(X, "image_shape")
        X = check_rows(self, X, reset=False)
        pixels = math.prod(self.image_shape_)
        weights, *places = self._operator
        entries = (weights.astype(X.dtype, copy=False), *places)
        operator = sparse.csr_array(entries, shape=(len(places[1]) - 1, pixels))
        Z = np.empty((len(X), self._n_features_out), dtype=X.dtype)
        for block in small_blocks(len(X), X.shape[1] + Z.shape[1]):
            images = np.reshape(X[block], (-1, pixels))
            Z[block] = np.reshape((operator @ images.T).T, Z[block].shape)
            if not np.all(np.isfinite(Z[block])):
                raise ValueError(
                    "X contains values so large that the interpolation overflows in "
                    f"{X.dtype}: scale the images."
                )
        return self._marked(Z)

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * len(self.angles_)


def _image_shape(given: Sequence[int] | None, n_pixels: int) -> tuple[int, int]:
    """Return the given height and width, or those closest to a square."""
    if given is not None:
        shape = shape_of(given, "image_shape")
        if len(shape) != 2:
            raise ValueError(
                f"Bad image_shape: must be height and width, found {shape}."
            )
        return shape[0], shape[1]
    height = math.isqrt(n_pixels)
    while n_pixels % height:
        height -= 1
    return height, n_pixels // height


def sampling_matrix(
    radii: Any, angles: Any, shape: tuple[int, int], interpolation: str
) -> tuple[Any, Any, Any]:
    """Build the matrix that interpolates images at the points of circles.

    Returns the data, indices and index pointer of a sparse matrix (points, pixels) with
    compressed rows. The matrix is built circle by circle, and needs little more memory
    than it has entries.
    """
    taps = 4 if interpolation == "linear" else 16
    weights = np.empty((len(radii), len(angles) * taps))
    pixels = np.empty(weights.shape, dtype=np.int32)
    for i, radius in enumerate(radii):
        y = (shape[0] - 1) / 2 - radius * np.sin(angles)
        x = (shape[1] - 1) / 2 + radius * np.cos(angles)
        rows, vertical = _taps(y, shape[0], interpolation)
        columns, horizontal = _taps(x, shape[1], interpolation)
        pixels[i] = np.ravel(rows[:, :, None] * shape[1] + columns[:, None, :])
        weights[i] = np.ravel(vertical[:, :, None] * horizontal[:, None, :])
    starts = np.arange(0, weights.size + 1, taps, dtype=pixels.dtype)
    return weights.ravel(), pixels.ravel(), starts


def _taps(x: Any, size: int, interpolation: str) -> tuple[Any, Any]:
    """Return pixels next to positions along an axis, and their weights, (points, taps).

    The outermost pixels are repeated beyond the border.
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
    return np.clip(pixels, 0, size - 1), weights
