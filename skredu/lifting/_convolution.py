"""ConvolutionalLifting: signals through a bank of filters on a cyclic grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import naming
from skredu._compat import Interval, StrOptions
from skredu.lifting import _filters
from skredu.lifting._correlate import correlator
from skredu.lifting._grid import as_signals, channels_of, rows_at_a_time, shape_of

FLOATS = [np.float64, np.float32]


class ConvolutionalLifting(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SkreduEstimator
):
    r"""Lift signals to many channels: cyclic filters and a sparsifying nonlinearity.

    Rows are signals :math:`x_c[t]` of one or more channels on a cyclic grid of any
    dimension: series, images, volumes. Channel f of the result is

    .. math::

        z_f[t] = \sigma\Bigl(\sum_c \sum_s w_{fc}[s] \, x_c[t + s]\Bigr)

    with indices modulo the grid. A cyclic shift of the signal shifts the result. After
    it, classes that are made of all shifts of their signals can be told apart by linear
    means at every frequency.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters, see ``filters``.
    kernel_size : int or tuple of int, default=9
        Size of the filters along each axis of the grid, one number for all axes or one
        for each. No filter is made larger than the grid.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Rows hold one channel after the other, each in C order, and
        the number of channels is that of the features divided by that of the points.
        None: the whole row is one channel on a line.
    filters : {"gaussian", "pca", "kmeans", "dct"} or array-like, default="gaussian"
        The bank, over all channels of the signals together.

        ``"gaussian"``: random directions; those of fewer filters are the first of more,
        for one ``random_state``. ``"pca"``: principal directions, about the origin, of
        all patches of the training rows. ``"kmeans"``: directions of the centres of
        clusters of patches, at random points, without their mean and of norm one.
        ``"dct"``: cosines, the smoothest first. An array of shape
        ``(n_filters, *kernel)`` or ``(n_filters, n_channels, *kernel)`` is used as it
        is, and ``n_filters`` and ``kernel_size`` are not.
    activation : {"relu", "soft", "split"} or None, default="relu"
        The nonlinearity :math:`\sigma`. ``"relu"``: what is above the threshold,
        :math:`\max(x - \tau, 0)`. ``"soft"``: both signs,
        :math:`\mathrm{sign}(x) \max(|x| - \tau, 0)`. ``"split"``: both signs as two
        channels, :math:`\max(x - \tau, 0)` of all filters and then
        :math:`\max(-x - \tau, 0)` of all filters. None: the responses as they are.
    threshold : float, default=0.0
        The threshold :math:`\tau`, in units of the root mean square of the responses of
        the row, over all filters and points; so a row times a positive number gives the
        result times that number.
    random_state : int, RandomState instance or None, default=None
        Seed of ``"gaussian"`` and ``"kmeans"``; pass an int for the same filters in
        every call.

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
    transform needs memory for the input, the result and at most the larger of 4 MiB
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
        "kernel_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "filters": [StrOptions({"gaussian", "pca", "kmeans", "dct"}), "array-like"],
        "activation": [StrOptions({"relu", "soft", "split"}), None],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_filters: int = 16,
        kernel_size: int | Sequence[int] = 9,
        *,
        signal_shape: int | Sequence[int] | None = None,
        filters: Any = "gaussian",
        activation: str | None = "relu",
        threshold: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.signal_shape = signal_shape
        self.filters = filters
        self.activation = activation
        self.threshold = threshold
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
        X = validate_data(self, X, dtype=FLOATS)
        grid = shape_of(
            X.shape[1] if self.signal_shape is None else self.signal_shape,
            "signal_shape",
        )
        signals = as_signals(X, channels_of(grid, X.shape[1], "signal_shape"), grid)
        filters = self._bank(signals).astype(X.dtype)
        self.signal_shape_, self.filters_ = grid, filters
        self.n_channels_ = len(filters) * (2 if self.activation == "split" else 1)
        self._activation = self.activation, self.threshold
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
            Responses of all filters, one channel after the other.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=FLOATS)
        filters = self.filters_.astype(X.dtype, copy=False)
        grid = self.signal_shape_
        respond, width = correlator(filters, grid)
        Z = np.empty((len(X), self.n_channels_, math.prod(grid)), dtype=X.dtype)
        for block in gen_batches(len(X), rows_at_a_time(width)):
            Y = respond(as_signals(X[block], filters.shape[1], grid))
            activate(
                np.reshape(Y, (len(Y), len(filters), -1)),
                *self._activation,
                out=Z[block],
            )
        return np.reshape(Z, (len(X), self._n_features_out))

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * math.prod(self.signal_shape_)

    def _bank(self, X: Any) -> Any:
        """Make the filters for signals of shape (n, channels, *grid)."""
        channels, grid = X.shape[1], X.shape[2:]
        if not isinstance(self.filters, str):
            return _given(self.filters, channels, grid)
        sizes = shape_of(self.kernel_size, "kernel_size")
        if len(sizes) not in (1, len(grid)):
            raise ValueError(
                f"Bad kernel_size: {len(sizes)} numbers for a grid of shape {grid}."
            )
        sizes = sizes * len(grid) if len(sizes) == 1 else sizes
        kernel = tuple(map(min, sizes, grid))
        if self.filters == "pca":
            return _filters.pca(X, self.n_filters, kernel)
        if self.filters == "dct":
            return _filters.dct(self.n_filters, (channels, *kernel))
        rng = check_random_state(self.random_state)
        if self.filters == "kmeans":
            return _filters.kmeans(X, self.n_filters, kernel, rng)
        return _filters.gaussian(rng, self.n_filters, (channels, *kernel))


def _given(filters: Any, n_channels: int, grid: tuple[int, ...]) -> Any:
    """Check filters that were given; one channel need not be an axis."""
    with naming("filters"):
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


def activate(Y: Any, activation: str | None, threshold: float, *, out: Any) -> None:
    """Write the nonlinearity of responses (b, filters, points) into ``out``."""
    if activation is None:
        out[...] = Y
        return
    if threshold > 0:
        mean = np.mean(Y * Y, axis=(1, 2), keepdims=True)
        level = np.asarray(threshold, Y.dtype) * np.sqrt(mean)
    else:
        level = np.zeros((), dtype=Y.dtype)
    if activation == "soft":
        np.subtract(Y, np.clip(Y, -level, level), out=out)
        return
    above = out[:, : Y.shape[1]]
    np.maximum(np.subtract(Y, level, out=above), 0, out=above)
    if activation == "split":
        below = out[:, Y.shape[1] :]
        np.maximum(np.subtract(-Y, level, out=below), 0, out=below)
