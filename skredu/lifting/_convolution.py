"""ConvolutionalLifting: signals through a bank of filters on a cyclic grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_numbers, check_rows, naming
from skredu._compat import CallbackSupportMixin, Interval, StrOptions
from skredu._progress import Progress, watched
from skredu.lifting import _filters
from skredu.lifting._correlate import correlator
from skredu.lifting._grid import (
    as_signals,
    channels_of,
    refuse_too_many,
    rows_at_a_time,
    shape_of,
)
from skredu.lifting._responses import Nonlinearity, exponents
from skredu.lifting._signals import (
    NAME,
    SignalsOutMixin,
    check_grid,
    grid_of,
    refuse_stacks,
)

FLOATS = [np.float64, np.float32]


class ConvolutionalLifting(
    CallbackSupportMixin, SignalsOutMixin, TransformerMixin, SkreduEstimator
):
    r"""Lift signals to many channels: cyclic filters and a sparsifying nonlinearity.

    Rows are signals :math:`x_c[t]` of one or more channels on a cyclic grid of any
    dimension: series, images, volumes. The responses of filter f are

    .. math:: y_f[t] = \sum_c \sum_s w_{fc}[s] \, x_c[t + s]

    with indices modulo the grid. What is above a threshold, :math:`\sigma(y_f)`, makes
    a channel of the result, after square roots and a local average. A cyclic shift of
    the signal shifts the result. After it, classes that are made of all shifts of their
    signals can be told apart by linear means at every frequency.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters, see ``filters``.
    kernel_size : int, tuple of int or "auto", default="auto"
        Size of the filters along each axis of the grid, one number for all axes or one
        for each. ``"auto"``: three eighths of the grid along each axis, but from 3 to
        17 points. No filter is made larger than the grid.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Rows hold one channel after the other, each in C order, and
        the number of channels is that of the features divided by that of the points.
        None: as the rows say, if they come from another lifting or a network for
        signals; otherwise the whole row is one channel on a line.
    filters : {"auto", "gaussian", "pca", "kmeans", "dct"} or array-like, default="auto"
        The bank, over all channels of the signals together.

        ``"auto"``: ``"kmeans"`` or, where there are fewer patches than filters,
        ``"gaussian"``. ``"gaussian"``: random directions; those of fewer filters are
        the first of more, for one ``random_state``. ``"pca"``: principal directions,
        about the origin, of all patches of the training rows. ``"kmeans"``: directions
        of the centres of clusters of patches, at random points, without their mean and
        of norm one. ``"dct"``: cosines, the smoothest first. An array of shape
        ``(n_filters, *kernel)`` or ``(n_filters, n_channels, *kernel)`` is used as it
        is, and ``n_filters`` and ``kernel_size`` are not.
    activation : {"relu", "soft", "split"} or None, default="relu"
        The nonlinearity :math:`\sigma`. ``"relu"``: what is above the threshold,
        :math:`\max(x - \tau, 0)`. ``"soft"``: both signs,
        :math:`\mathrm{sign}(x) \max(|x| - \tau, 0)`. ``"split"``: both signs as two
        channels, :math:`\max(x - \tau, 0)` of all filters and then
        :math:`\max(-x - \tau, 0)` of all filters. None: the responses as they are.
        With ``activation="relu"``, ``threshold=0`` and ``pooling=None`` the lifting is
        that of the ReduNet paper.
    threshold : float, default=0.5
        The threshold :math:`\tau`, in units of the root mean square of the responses of
        the row, over all filters and points; so a row times a positive number gives the
        result times that number.
    pooling : float or None, default=0.1
        Width of the local average: the standard deviation of a cyclic Gaussian, as a
        share of the size of the filters along each axis. It is taken of the square
        roots :math:`\mathrm{sign}(\sigma) \sqrt{r\,|\sigma|}`, where r is the root mean
        square of all responses of the row, so that strong and weak responses come
        closer, and signals may differ a little in place and form. 0: the roots alone.
        None: neither roots nor average.
    random_state : int, RandomState instance or None, default=None
        Seed of ``"auto"``, ``"gaussian"`` and ``"kmeans"``; pass an int for the same
        filters in every call.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, n_channels, *kernel)
        The filters, of norm one unless they were given.
    signal_shape_ : tuple of int
        Shape of the grid.
    n_channels_ : int
        Number of channels of the result. It has ``n_channels_`` times the points of
        the grid as features, one channel after the other.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has string names.

    See Also
    --------
    PolarTransformer : Makes shifts of the rotations of an image.

    Notes
    -----
    With C channels, F filters of K points and T points of the grid, a row takes
    :math:`CFKT` multiplications of a matrix product or, where the filters are large,
    F + C Fourier transforms and :math:`CFT` products. Rows go through in blocks:
    transform needs memory for the input, the result and about the larger of 4 MiB
    and eight rows of :math:`(CK + F)T` (matrix product, up to
    :math:`CKT = 2^{22}`) or :math:`2(C + F)T` numbers. To fit ``"pca"`` takes a matrix
    of :math:`(CK)^2` numbers, for ``"kmeans"`` up to 50 000 patches are drawn.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, section 4: random filters
    and "relu", signals continued on the right.

    Coates and Ng, "Learning feature representations with k-means", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.lifting import ConvolutionalLifting
    >>> X = np.random.default_rng(0).normal(size=(5, 12))
    >>> lifting = ConvolutionalLifting(4, 3, random_state=0)
    >>> Z = lifting.fit_transform(X)
    >>> Z.shape
    (5, 48)
    >>> shifted = lifting.transform(np.roll(X, 2, axis=1))
    >>> np.allclose(shifted, np.roll(Z.reshape(5, 4, 12), 2, axis=2).reshape(5, 48))
    True
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "kernel_size": [
            Interval(Integral, 1, None, closed="left"),
            tuple,
            list,
            StrOptions({"auto"}),
        ],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "filters": [StrOptions({"auto", *_filters.NAMES}), "array-like"],
        "activation": [StrOptions({"relu", "soft", "split"}), None],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "pooling": [Interval(Real, 0, 1, closed="both"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_filters: int = 16,
        kernel_size: int | Sequence[int] | str = "auto",
        *,
        signal_shape: int | Sequence[int] | None = None,
        filters: Any = "auto",
        activation: str | None = "relu",
        threshold: float = 0.5,
        pooling: float | None = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.signal_shape = signal_shape
        self.filters = filters
        self.activation = activation
        self.threshold = threshold
        self.pooling = pooling
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> ConvolutionalLifting:
        """Make the filters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows; their values only matter for "pca" and "kmeans".
        y : None
            Ignored.

        Returns
        -------
        self : ConvolutionalLifting
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range, or does not fit the rows.
        """
        self._validate_params()
        refuse_stacks(X)
        rows = check_rows(self, X)
        grid = grid_of(X, self.signal_shape, rows.shape[1])
        signals = as_signals(rows, channels_of(grid, rows.shape[1], NAME), grid)
        with watched(self, X=X) as progress:
            filters = self._bank(signals, progress)
            self._describe(filters, grid)
        return self

    def transform(self, X: Any) -> Any:
        """Lift rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_channels * n_points)
            Responses of all filters, one channel after the other. They say on which
            grid they are to networks and liftings.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        check_is_fitted(self)
        refuse_stacks(X)
        rows = check_rows(self, X, reset=False)
        check_grid(X, self.signal_shape_)
        Z = np.empty((len(rows), self._n_features_out), dtype=rows.dtype)
        self._respond(rows, np.reshape(Z, (len(Z), self.n_channels_, -1)))
        return self._marked(Z)

    def _respond(self, X: Any, Z: Any) -> None:
        """Write the channels of rows, block by block, into Z (n, channels, points).

        Powers of two keep rows and filters away from the ends of their type.
        """
        grid, nonlinearity = self.signal_shape_, Nonlinearity(**self._nonlinearity)
        filters = _as_type(self.filters_, X.dtype)
        powers, power = exponents(X), exponents(np.reshape(filters, (1, -1)))
        if power is not None:
            filters = np.ldexp(filters, -power.item())
        if powers is not None or power is not None:
            powers = np.zeros((len(X), 1), int) if powers is None else powers
        respond, width = correlator(filters, grid)
        for block in gen_batches(len(X), rows_at_a_time(width)):
            rows = X[block] if powers is None else np.ldexp(X[block], -powers[block])
            Y = respond(as_signals(rows, filters.shape[1], grid))
            Y = np.reshape(Y, (len(Y), len(filters), -1))
            nonlinearity.apply(Y, grid, out=Z[block])
            if powers is not None:
                scale = powers[block, :, None] + (0 if power is None else power.item())
                _scale_back(Z[block], scale)

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * math.prod(self.signal_shape_)

    def _describe(self, filters: Any, grid: tuple[int, ...]) -> None:
        """Keep the filters, and what follows them."""
        nonlinearity = self._nonlinearity_for(filters)
        n_channels = nonlinearity.channels(len(filters))
        refuse_too_many(n_channels * math.prod(grid), "n_filters", "features")
        self.signal_shape_, self.filters_ = grid, filters
        self.n_channels_, self._nonlinearity = n_channels, asdict(nonlinearity)

    def _bank(self, X: Any, progress: Progress) -> Any:
        """Make the filters for signals of shape (n, channels, *grid)."""
        channels, grid = X.shape[1], X.shape[2:]
        if not isinstance(self.filters, str):
            return _as_type(_given(self.filters, channels, grid), X.dtype)
        shape = (channels, *self._kernel(grid))
        refuse_too_many(int(self.n_filters) * math.prod(shape), "n_filters", "numbers")
        return self._made(_near_one(X), shape, progress).astype(X.dtype)

    def _made(self, X: Any, shape: tuple[int, ...], progress: Progress) -> Any:
        """Make filters of a shape (channels, *kernel) by their name."""
        if self.filters == "pca":
            return _filters.pca(X, self.n_filters, shape[1:], progress)
        if self.filters == "dct":
            return _filters.dct(self.n_filters, shape)
        rng = check_random_state(self.random_state)
        if self.filters != "gaussian":
            most = _filters.enough_patches(self.n_filters, shape)
            with progress.task("draw patches"):
                patches = _filters.some_patches(X, shape[1:], most, rng)
            if self.filters == "kmeans" or len(patches) >= self.n_filters:
                with progress.task("cluster patches"):
                    return _filters.kmeans(patches, self.n_filters, shape, rng)
        return _filters.gaussian(rng, self.n_filters, shape)

    def _kernel(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Size of the filters along each axis of a grid."""
        if isinstance(self.kernel_size, str):
            sizes = tuple(min(17, max(3, round(0.375 * side))) for side in grid)
        else:
            sizes = shape_of(self.kernel_size, "kernel_size")
        if len(sizes) not in (1, len(grid)):
            raise ValueError(
                f"Bad kernel_size: {len(sizes)} numbers for a grid of shape {grid}."
            )
        sizes = sizes * len(grid) if len(sizes) == 1 else sizes
        return tuple(map(min, sizes, grid))

    def _nonlinearity_for(self, filters: Any) -> Nonlinearity:
        """Return what follows these filters, in points of the grid."""
        share = 0.0 if self.pooling is None else float(self.pooling)
        widths = tuple(share * size for size in filters.shape[2:])
        root = self.pooling is not None
        return Nonlinearity(self.activation, float(self.threshold), root, widths)


def _given(filters: Any, n_channels: int, grid: tuple[int, ...]) -> Any:
    """Check filters that were given; one channel need not be an axis."""
    with naming("filters"):
        check_numbers(filters, "filters")
        filters = check_array(filters, dtype=FLOATS, allow_nd=True)
    if filters.ndim == 1 + len(grid):
        filters = filters[:, None]
    kernel = filters.shape[2:]
    fits = filters.ndim == 2 + len(grid) and filters.shape[1] == n_channels
    if not fits or any(map(int.__gt__, kernel, grid)):
        raise ValueError(
            f"Bad filters: filters of shape {filters.shape} (n_filters, channels, "
            f"*kernel) do not fit signals of {n_channels} channels on a grid of shape "
            f"{grid}."
        )
    return filters


def _as_type(filters: Any, dtype: Any) -> Any:
    """Return filters in the type of the rows, which has to hold them."""
    with np.errstate(over="ignore"):
        converted = filters.astype(dtype, copy=False)
    if not np.all(np.isfinite(converted)):
        raise ValueError(f"Bad filters: they are too large for rows of type {dtype}.")
    return converted


def _near_one(X: Any) -> Any:
    """Signals, divided by a power of two if they are very large or very small."""
    power = exponents(np.reshape(X, (1, -1)))
    return X if power is None else np.ldexp(X, -power.item())


def _scale_back(Z: Any, powers: Any) -> None:
    with np.errstate(over="ignore"):
        np.ldexp(Z, powers, out=Z)
    if not np.all(np.isfinite(Z)):
        raise ValueError(
            f"X holds values so large that responses exceed what {Z.dtype} can hold: "
            "scale the rows or the filters."
        )
