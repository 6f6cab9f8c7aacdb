"""ScatteringTransformer: averaged moduli of wavelet transforms of signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy import fft

from skredu._compat import Interval, StrOptions, move_to, namespace, to_numpy
from skredu._progress import Progress
from skredu._signals import (
    NAME,
    Shape,
    as_signals,
    check_grid,
    check_size,
    small_blocks,
)
from skredu.lifting import _morlet
from skredu.lifting._base import BaseLifting
from skredu.lifting._responses import moderate, scaled
from skredu.lifting._scattering_tree import paths_of, scatterer, steps_of

# Number of training samples that determine the offsets of the logarithm, and the share
# of the mean coefficient.
MAX_ROWS, OFFSET = 1000, 0.2
# Least number of points along an axis after subsampling.
FEWEST = 4
# Coefficients below this many rounding errors of the largest channel are no signal.
ROUNDING = 100.0
# Width of the margin of padded signals, in standard deviations of the average and the
# largest wavelet together.
MARGIN = 2.0


class ScatteringTransformer(BaseLifting):
    r"""Describe signals by averaged moduli of wavelet transforms.

    The scattering transform of a signal x, a series or an image, consists of local
    averages (:math:`* \varphi`) of the signal, of the strength of each wavelet
    :math:`\psi_a`, and of the strength of the variations of this strength:

    .. math::

        S_0 = x * \varphi, \quad S_a = |x * \psi_a| * \varphi, \quad
        S_{ab} = \bigl||x * \psi_a| * \psi_b\bigr| * \varphi.

    It changes little if the signal is shifted by much less than ``2**n_scales`` points
    or slightly deformed, and it keeps more about the signal than averages of filters
    alone. Nothing is learned except for the offsets of a logarithm, so few training
    samples are enough. A network that is invariant to shifts, which relates the
    channels to each other, is a classifier that suits these features; see
    `make_invariant_pipeline`.

    Parameters
    ----------
    n_scales : int or "auto", default="auto"
        Number of scales J. The average covers about ``2**n_scales`` points, and the
        wavelets have periods from about three points to that size. ``2**n_scales``
        must not exceed the smallest axis of the grid. ``"auto"`` takes the largest
        number for which ``2**n_scales`` is at most two sevenths of the smallest axis of
        an image (but two to four scales, if they fit), or a 32nd of a series (but at
        least one).
    n_angles : int, default=6
        Number of directions of the wavelets of images. No effect for series.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid: the length of series, or height and width of images. Each row
        contains one channel after the other, each in C order; every channel is
        transformed on its own. If None, the shape is taken from the input if this is
        the output of `PolarTransformer`, a lifting or a network for signals; otherwise
        each row is one channel of a series.
    quality : int, default=1
        Number of wavelets per octave of series, for :math:`\psi_a`; there is one per
        octave for :math:`\psi_b`. Larger numbers distinguish frequencies better, and
        times worse. No effect for images.
    order : {0, 1, 2}, default=2
        Largest number of wavelets one after the other.
    padding : {"cyclic", "reflect", "zero"}, default="cyclic"
        How signals continue beyond their ends. With ``"cyclic"``, a shift by a multiple
        of the distance of output points shifts the output, which networks that are
        invariant to shifts need.
    subsampling : int or "auto", default="auto"
        Distance between output points along each axis, in points of the grid. With
        ``"cyclic"``, it must divide the grid. ``"auto"`` takes the largest power of two
        up to ``2**n_scales`` that leaves at least four points and, with ``"cyclic"``,
        divides the axis. With 1, every cyclic shift of the signal shifts the output.
    activation : {"log", "root"} or None, default="log"
        Function that is applied to the coefficients, with the sign of those of order
        zero.

        - ``"log"``: :math:`\log(1 + |S| / \text{offset})`.
        - ``"root"``: :math:`\sqrt{|S|}`.
        - None: the coefficients.
    offset : float or "auto", default="auto"
        Size of coefficients up to which the logarithm is nearly linear. ``"auto"``
        takes, for each channel, a fifth of its mean size over at most 1000 training
        samples, so the unit of the signals does not matter.

    Attributes
    ----------
    signal_shape_ : tuple of int
        Shape of the grid of the output.
    n_channels_ : int
        Number of channels of the output, ``len(paths_)`` per channel of the signals.
    n_scales_ : int
        Number of scales.
    paths_ : ndarray of shape (n_paths, 2)
        Indices of the wavelets a and b of each channel; -1 means none.
    frequencies_ : ndarray of shape (n_wavelets, n_axes)
        Centre frequency of each wavelet along the axes, in cycles per point.
    offsets_ : ndarray of shape (n_channels_,)
        Offset of the logarithm for each channel. Defined only with
        ``activation="log"``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    make_invariant_pipeline : Builds the transformer and a network after it.
    ConvolutionalLifting : Applies filters that are learned from the samples.
    PolarTransformer : Turns rotations of images into shifts.

    Notes
    -----
    The filters are those of the software Kymatio: Morlet wavelets that are elongated
    across their wave for images, and the Gaussian of the largest scale. All wavelets of
    an order are multiplied by one number, such that no signal gains energy:
    :math:`\hat\varphi^2 + \frac12 \sum_a (|\hat\psi_a(\omega)|^2 +
    |\hat\psi_a(-\omega)|^2) \le 1`, with equality at zero. So with ``subsampling=1``
    and ``activation=None``, the squares of all coefficients sum to at most those of a
    cyclic signal, and the distance of two signals does not grow.

    A path (a, b) is left out if :math:`\psi_b` is faster than the modulus before it can
    be, which leaves :math:`1 + JL + L^2 J(J - 1)/2` channels for images with J scales
    and L angles. A modulus is computed at every r points, r being the largest power of
    two up to a fifth of the reciprocal bandwidth of its wavelet. This changes the
    coefficients by less than one per cent; ``subsampling=1`` computes all points. Each
    channel takes three or four Fourier transforms of so many points.

    Samples are processed in blocks: in addition to input and result, ``transform``
    needs about the larger of 4 MiB and eight samples of 8T numbers, and four times the
    result for so many samples. `scipy.fft` is used, which respects
    `scipy.fft.set_workers`.

    References
    ----------
    Mallat, "Group invariant scattering", Communications on Pure and Applied Mathematics
    65(10), 2012.

    Bruna and Mallat, "Invariant scattering convolution networks", IEEE Transactions on
    Pattern Analysis and Machine Intelligence 35(8), 2013.

    Andreux et al., "Kymatio: scattering transforms in Python", Journal of Machine
    Learning Research 21, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu import ScatteringTransformer
    >>> X = load_digits().data
    >>> scattering = ScatteringTransformer(signal_shape=(8, 8)).fit(X)
    >>> scattering.signal_shape_, scattering.n_channels_
    ((4, 4), 49)
    >>> scattering.transform(X).shape
    (1797, 784)
    """

    __module__ = "skredu"

    _reference = "frequencies_"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_scales": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_angles": [Interval(Integral, 1, None, closed="left")],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "quality": [Interval(Integral, 1, None, closed="left")],
        "order": [Interval(Integral, 0, 2, closed="both")],
        "padding": [StrOptions({"cyclic", "reflect", "zero"})],
        "subsampling": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "activation": [StrOptions({"log", "root"}), None],
        "offset": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_scales: int | str = "auto",
        n_angles: int = 6,
        *,
        signal_shape: int | Sequence[int] | None = None,
        quality: int = 1,
        order: int = 2,
        padding: str = "cyclic",
        subsampling: int | str = "auto",
        activation: str | None = "log",
        offset: float | str = "auto",
    ) -> None:
        self.n_scales = n_scales
        self.n_angles = n_angles
        self.signal_shape = signal_shape
        self.quality = quality
        self.order = order
        self.padding = padding
        self.subsampling = subsampling
        self.activation = activation
        self.offset = offset

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        self.n_scales_ = _scales(self.n_scales, grid)
        self._activation, self._mode = self.activation, self.padding
        self._grid, self._step = grid, self._distances(grid)
        self.signal_shape_ = tuple(
            -(-size // step) for size, step in zip(grid, self._step, strict=True)
        )
        arrays = self._make_filters(n_channels)
        self._psi, self._phi, self.paths_, self.frequencies_ = move_to(X, *arrays)
        self.n_channels_ = n_channels * len(arrays[2])
        self._set_offsets(X)

    def _work(self, X: Any) -> tuple[Callable[[Any], Any], list[slice]]:
        scatter, width = self._scatterer(X)
        offsets = getattr(self, "offsets_", None)

        def work(rows: Any) -> Any:
            return _activate(scatter(rows), self._activation, offsets)

        return work, small_blocks(X.shape[0], width)

    def _check_mark(self, X: Any) -> None:
        check_grid(X, self._grid)

    def _grid_for(self, X: Any, n_features: int) -> Shape:
        """Return the shape of the grid, which has one or two axes."""
        grid = super()._grid_for(X, n_features)
        if len(grid) > 2:
            raise ValueError(
                f"Bad {NAME}: must be the length of series, or height and width of "
                f"images, found {grid}."
            )
        return grid

    @property
    def _n_points(self) -> int:
        return math.prod(self.signal_shape_)

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * self._n_points

    def _distances(self, grid: Shape) -> Shape:
        """Return the distances of output points along the axes."""
        cyclic, most = self.padding == "cyclic", 2**self.n_scales_
        if self.subsampling == "auto":
            steps = [math.gcd(most, size) if cyclic else most for size in grid]
            few = [max(1, size // FEWEST) for size in grid]
            pairs = zip(steps, few, strict=True)
            return tuple(min(step, 2 ** (k.bit_length() - 1)) for step, k in pairs)
        step = int(self.subsampling)
        if cyclic and any(size % step for size in grid):
            raise ValueError(
                "Bad subsampling: must divide the grid if padding='cyclic', found "
                f"subsampling={step} for a grid of shape {grid}."
            )
        return (step,) * len(grid)

    def _make_filters(self, n_channels: int) -> tuple[Any, Any, Any, Any]:
        """Return wavelets, the average, paths and frequencies; set margins and steps.

        They are those of the signals after padding.
        """
        numbers = int(self.n_angles), int(self.quality)
        pairs = (self.n_scales_ * max(numbers)) ** 2
        check_size(pairs, "n_angles or quality", "pairs of wavelets")
        axes = len(self._grid)
        found = _morlet.wavelets(axes, self.n_scales_, *numbers)
        centres, covariances, low, n_first = found
        paths = paths_of(centres, covariances, n_first, int(self.order))
        n_features = n_channels * len(paths) * self._n_points
        check_size(n_features, "n_angles or quality", "features")
        spread = low[0, 0] + np.max(covariances)
        self._margins = self._padded(MARGIN * math.sqrt(spread))
        size = tuple(map(sum, zip(self._grid, *self._margins, strict=True)))
        check_size(len(centres) * math.prod(size), "n_angles or quality", "numbers")
        self._steps = [steps_of(wave, self._step) for wave in covariances]
        return *_morlet.bank(size, *found), paths, centres / (2.0 * np.pi)

    def _padded(self, margin: float) -> tuple[Shape, Shape]:
        """Return how many points are added before and after the signals."""
        if self.padding == "cyclic":
            return (0,) * len(self._grid), (0,) * len(self._grid)
        before, after = [], []
        for size, step in zip(self._grid, self._step, strict=True):
            before.append(step * math.ceil(margin / step))
            total = math.ceil((before[-1] + size + margin) / step)
            after.append(step * fft.next_fast_len(total) - before[-1] - size)
        return tuple(before), tuple(after)

    def _scatterer(self, X: Any) -> tuple[Callable[[Any], Any], int]:
        """Return a function that scatters rows, and how many numbers it needs per row.

        It returns coefficients (b, channels, points). Rows are scaled by powers of two
        to avoid overflow and underflow.
        """
        xp, paths = namespace(X), to_numpy(self.paths_).tolist()
        psi, phi = (xp.astype(f, X.dtype, copy=False) for f in (self._psi, self._phi))
        steps = [tuple(map(int, step)) for step in self._steps]
        scatter, width = scatterer(psi, phi, paths, steps, self._step)
        n_channels = self.n_channels_ // len(paths)
        largest = float(xp.finfo(X.dtype).max)

        def work(rows: Any) -> Any:
            rows, powers = moderate(rows)
            signals = self._extended(as_signals(rows, n_channels, self._grid))
            Z = scatter(signals, self._margins[0], self.signal_shape_)
            Z = xp.reshape(Z, (rows.shape[0], self.n_channels_, -1))
            if np.any(powers):  # averages exceed the largest number by rounding only
                return xp.clip(scaled(Z, powers), -largest, largest)
            return Z

        return work, width * n_channels

    def _extended(self, signals: Any) -> Any:
        """Return channels (b, *grid) of signals as signals of their own, padded."""
        xp, grid = namespace(signals), self._grid
        signals = xp.reshape(signals, (-1, *grid))
        if self._mode == "zero":
            sizes = map(sum, zip(grid, *self._margins, strict=True))
            shape = (signals.shape[0], *sizes)
            padded = xp.zeros(shape, dtype=signals.dtype, device=signals.device)
            inner = zip(self._margins[0], grid, strict=True)
            padded[(..., *(slice(a, a + size) for a, size in inner))] = signals
            return padded
        for axis, (size, *margins) in enumerate(zip(grid, *self._margins, strict=True)):
            if any(margins):
                places = np.pad(np.arange(size), margins, mode="reflect")
                signals = xp.take(signals, *move_to(signals, places), axis=axis + 1)
        return signals

    def _set_offsets(self, X: Any) -> None:
        """Set the offsets of the logarithm, from evenly chosen training samples."""
        if self.activation != "log":
            self.__dict__.pop("offsets_", None)
            return
        if self.offset == "auto":
            sizes = self._mean_sizes(X)
            # The logarithm must not enlarge rounding errors.
            least = ROUNDING * float(namespace(X).finfo(X.dtype).eps) * np.max(sizes)
            offsets = OFFSET * np.maximum(sizes, least or 1.0)
        else:
            offsets = np.full(self.n_channels_, float(self.offset))
        (self.offsets_,) = move_to(X, offsets)

    def _mean_sizes(self, X: Any) -> Any:
        """Return mean absolute values of the coefficients of evenly chosen samples."""
        xp = namespace(X)
        scatter, width = self._scatterer(X)
        some = np.unique(np.linspace(0, X.shape[0] - 1, MAX_ROWS).astype(int))
        share = 1.0 / (len(some) * self._n_points)
        sizes = np.zeros(self.n_channels_)
        for block in small_blocks(len(some), width):
            Z = xp.abs(scatter(xp.take(X, *move_to(X, some[block]), axis=0)))
            sizes += to_numpy(xp.sum(Z * share, axis=(0, 2), dtype=xp.float64))
        return sizes


def _scales(n_scales: Any, grid: Shape) -> int:
    """Return the number of scales, which the grid limits."""
    most = max(1, math.floor(math.log2(min(grid))))
    if n_scales == "auto":
        if len(grid) == 1:
            return max(1, most - 5)
        return min(most, max(2, min(4, math.floor(math.log2(min(grid) / 3.5)))))
    if n_scales > most:
        raise ValueError(
            f"Bad n_scales: must be at most {most} for a grid of shape {grid}, since "
            f"2**n_scales points must not exceed the grid, found {n_scales}."
        )
    return int(n_scales)


def _activate(Z: Any, activation: str | None, offsets: Any) -> Any:
    """Apply the activation to coefficients (b, channels, points)."""
    if activation is None:
        return Z
    xp = namespace(Z)
    size = xp.abs(Z)
    if activation == "root":
        size = xp.sqrt(size)
    else:
        limits = xp.finfo(Z.dtype)
        low, high = float(limits.smallest_normal), float(limits.max)
        offsets = xp.astype(xp.clip(offsets, low, high), Z.dtype)[:, None]
        with np.errstate(over="ignore"):
            size = xp.log1p(xp.clip(size / offsets, 0.0, high))
    return xp.copysign(size, Z)
