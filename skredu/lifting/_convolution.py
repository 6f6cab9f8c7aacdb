"""ConvolutionalLifting: apply a bank of filters to signals on a cyclic grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from skredu._checks import check_finite, check_numbers, naming
from skredu._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    move_to,
    namespace,
    to_numpy,
)
from skredu._progress import Progress
from skredu._signals import (
    Shape,
    as_signals,
    check_size,
    in_blocks,
    shape_of,
    small_blocks,
)
from skredu.lifting import _filters
from skredu.lifting._base import BaseLifting
from skredu.lifting._responses import (
    POOLS,
    SPARSE,
    coder,
    correlator,
    inverter,
    moderate,
    nonlinear,
    pool,
    scaled,
)


def _keeps_responses(lifting: ConvolutionalLifting) -> bool:
    """Return whether the responses are a linear function of the result.

    Once the lifting is fitted, later changes of parameters do not matter.
    """
    activation, threshold = lifting.activation, lifting.threshold
    pooled = (lifting.pooling, lifting.pool_size) != (None, None)
    if hasattr(lifting, "_nonlinearity"):
        options = lifting._nonlinearity
        activation, threshold = options["activation"], options["threshold"]
        pooled = options["root"] or lifting._pool_by is not None
    linear = activation is None or (activation in ("soft", "split") and threshold == 0)
    if linear and not pooled:
        return True
    raise AttributeError(
        "inverse_transform needs all responses: activation=None, or 'soft' or 'split' "
        "with threshold=0, and pooling=None and pool_size=None."
    )


class ConvolutionalLifting(CallbackSupportMixin, BaseLifting):
    r"""Lift signals to many channels by cyclic filters and a sparsifying nonlinearity.

    Each sample is a signal :math:`x_c[t]` with one or more channels on a cyclic grid of
    any dimension, such as a time series, an image or a volume. The response of filter f
    is

    .. math:: y_f[t] = \sum_c \sum_s w_{fc}[s] \, x_c[t + s]

    with indices modulo the grid. The part :math:`\sigma(y_f)` of a response above a
    threshold becomes a channel of the result, after a square root and a local average.
    A cyclic shift of the signal shifts the result. After the lifting, classes that
    contain all shifts of their signals can be separated by linear operators at every
    frequency.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters; see ``filters``.
    kernel_size : int, tuple of int or "auto", default="auto"
        Size of the filters along each axis of the grid, as one number for all axes or
        one number per axis. ``"auto"`` means three eighths of the grid along each axis,
        but between 3 and 17 points. Filters are never larger than the grid.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid. Each row contains one channel after the other, each in C
        order. The number of channels is the number of features divided by the number of
        points. If None, the shape is taken from the input if this is the output of
        another lifting or of a network for signals; otherwise each row is one channel
        on a one-dimensional grid.
    filters : {"auto", "gaussian", "pca", "kmeans", "dct"} or array-like, default="auto"
        The bank of filters. Each filter covers all channels of the signals.

        - ``"auto"``: ``"kmeans"``, or ``"gaussian"`` if there are fewer patches than
          filters.
        - ``"gaussian"``: random directions. With a fixed ``random_state``, a smaller
          bank consists of the first filters of a larger one.
        - ``"pca"``: principal directions, about the origin, of all patches of the
          training samples.
        - ``"kmeans"``: cluster centres of patches at random points, scaled to norm one.
          The mean of each patch is subtracted, and each patch is scaled to norm one.
        - ``"dct"``: cosines, beginning with the smoothest.
        - An array of shape ``(n_filters, *kernel)`` or
          ``(n_filters, n_channels, *kernel)`` is used as it is. ``n_filters`` and
          ``kernel_size`` have no effect then.
    activation : {"relu", "soft", "split", "ista", "fista"} or None, default="relu"
        The nonlinearity :math:`\sigma`.

        - ``"relu"``: the part above the threshold, :math:`\max(x - \tau, 0)`.
        - ``"soft"``: both signs, :math:`\mathrm{sign}(x) \max(|x| - \tau, 0)`.
        - ``"split"``: both signs as separate channels, :math:`\max(x - \tau, 0)` of all
          filters followed by :math:`\max(-x - \tau, 0)` of all filters.
        - ``"ista"`` and ``"fista"``: instead of the responses, sparse codes of the
          signal, from which the filters at all points reconstruct it; see the Notes.
        - None: the unchanged responses.

        With ``activation="relu"``, ``threshold=0`` and ``pooling=None``, the lifting is
        that of the ReduNet paper.
    threshold : float, default=0.5
        The threshold :math:`\tau`, relative to the root mean square of the responses of
        the sample over all filters and points. So if a sample is multiplied by a
        positive number, the result is multiplied by the same number.
    pooling : float or None, default=0.1
        Width of the local average, as the standard deviation of a cyclic Gaussian
        divided by the size of the filters along each axis. The square roots
        :math:`\mathrm{sign}(\sigma) \sqrt{r\,|\sigma|}` are averaged, where r is the
        root mean square of all responses of the sample. This makes strong and weak
        responses more similar, and tolerates small differences in position and shape. 0
        means square roots without averaging, and None means neither.
    n_iter : int, default=20
        Number of iterations of ``activation="ista"`` and ``"fista"``.
    pool_size : int, tuple of int or None, default=None
        Size of the cells over which the result is summarised, along each axis of the
        grid, as one number for all axes or one number per axis. It has to divide the
        size of the grid. The result is then a signal on a coarse grid with one point
        per cell, and a cyclic shift by a multiple of ``pool_size`` shifts the result.
        None means that the result has the grid of the input.
    pool_by : {"mean", "max", "share"}, default="mean"
        How the values in a cell are summarised. It has no effect without ``pool_size``.

        - ``"mean"``: their mean.
        - ``"max"``: the largest one.
        - ``"share"``: share of the points at which :math:`\sigma(y_f)` is positive.
          Unlike the others, it does not change if the sample is multiplied by a
          positive number, and ``pooling`` has no effect.
    random_state : int, RandomState instance or None, default=None
        Determines the random numbers of ``"auto"``, ``"gaussian"`` and ``"kmeans"``.
        Pass an int for reproducible output across multiple function calls.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, n_channels, *kernel)
        The filters. They have norm one unless they were passed as an array.
    signal_shape_ : tuple of int
        Shape of the grid.
    coarse_shape_ : tuple of int
        Shape of the grid of the result: that of the input divided by ``pool_size``.
    n_channels_ : int
        Number of channels of the result. The number of its features is ``n_channels_``
        times the number of points of its grid, with one channel after the other.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    PolarTransformer : Turns rotations of images into shifts.
    DilatedKernelTransformer : Features of whole time series, for any classifier.
    skredu.torch.LearnedLifting : Learns the filters from the labels, with PyTorch.
    skredu.torch.LearnedSparseCoder : Learns iterations for sparse codes, with PyTorch.

    Notes
    -----
    With C channels, F filters of K points and T points of the grid, a sample takes
    :math:`CFKT` multiplications of a matrix product or, if the filters are large, F + C
    Fourier transforms and :math:`CFT` products. The samples are processed in blocks:
    ``transform`` needs memory for the input, the result and about the larger of 4 MiB
    and eight samples of :math:`(CK + F)T` (matrix product, up to :math:`CKT = 2^{22}`)
    or :math:`(2C + 4F)T` numbers; with ``pool_size``, also the channels on the grid of
    the input. ``fit`` needs a matrix of :math:`(CK)^2` numbers for ``"pca"``,
    and draws up to 50 000 patches for ``"kmeans"``.

    With ``activation="ista"`` or ``"fista"``, the filters are the atoms of a dictionary
    that contains all of their cyclic shifts. The channels are the codes :math:`z` after
    ``n_iter`` iterations towards the minimum of

    .. math::

        \tfrac12 \Bigl\|x - \sum_{f,t} z_f[t] \, w_f[\cdot - t]\Bigr\|^2
        + \lambda \|z\|_1,

    where :math:`\lambda` is the threshold times the root mean square of the responses.
    ISTA makes a gradient step, of the length of the inverse of the largest eigenvalue,
    and shrinks the codes; a single iteration is proportional to ``"soft"``. FISTA adds
    momentum and needs fewer iterations. Each takes 2 (F + C) Fourier transforms and
    :math:`2CFT` products, and commutes with shifts. If the filters are multiplied by a
    number, the codes are divided by it.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, section 4, for random
    filters and "relu", with signals that are continued on the right.

    Coates and Ng, "Learning feature representations with k-means", 2012.

    Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear
    inverse problems", SIAM Journal on Imaging Sciences 2, 2009, for ISTA and FISTA.

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

    _reference = "filters_"

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
        "activation": [StrOptions({"relu", "soft", "split", *SPARSE}), None],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "pooling": [Interval(Real, 0, 1, closed="both"), None],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "pool_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "pool_by": [StrOptions(set(POOLS))],
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
        n_iter: int = 20,
        pool_size: int | Sequence[int] | None = None,
        pool_by: str = "mean",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.signal_shape = signal_shape
        self.filters = filters
        self.activation = activation
        self.threshold = threshold
        self.pooling = pooling
        self.n_iter = n_iter
        self.pool_size = pool_size
        self.pool_by = pool_by
        self.random_state = random_state

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        coarse = self._coarse(grid)
        filters = self._bank(as_signals(to_numpy(X), n_channels, grid), progress)
        n_channels = len(filters) * (2 if self.activation == "split" else 1)
        check_size(n_channels * math.prod(grid), "n_filters", "features")
        self.signal_shape_, self.coarse_shape_ = grid, coarse
        self.n_channels_ = n_channels
        self._pool_by = None if self.pool_size is None else self.pool_by
        self._nonlinearity = self._options(filters.shape)
        (self.filters_,) = move_to(X, filters)

    @available_if(_keeps_responses)
    def inverse_transform(self, X: Any) -> Any:
        """Return the signals whose responses are closest to the given ones.

        The responses are a linear function of the signal if ``activation`` is None, or
        "soft" or "split" with ``threshold=0``, and ``pooling`` and ``pool_size`` are
        None; otherwise this method does not exist. It applies the pseudo-inverse at
        each frequency. Frequencies to which no filter responds, such as zero if all
        filters have the mean zero, are zero in the result.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Channels, as `transform` returns them.

        Returns
        -------
        X_original : array of shape (n_samples, n_features)
            The signals.

        Raises
        ------
        ValueError
            If ``X`` has another number of features than `transform` returns, or is so
            large that the result overflows.

        Examples
        --------
        >>> import numpy as np
        >>> from skredu import ConvolutionalLifting
        >>> X = np.random.default_rng(0).normal(size=(5, 12))
        >>> lifting = ConvolutionalLifting(
        ...     3, activation=None, pooling=None, filters="gaussian", random_state=0
        ... )
        >>> Z = lifting.fit_transform(X)
        >>> np.allclose(lifting.inverse_transform(Z), X)
        True
        """
        Z = self._check_features(X)
        filters, power = self._moderate_filters(Z)
        invert, width = inverter(filters, self.signal_shape_)
        n_channels = self.n_channels_

        def work(rows: Any) -> Any:
            rows, powers = moderate(rows)
            Y = as_signals(rows, n_channels, self.signal_shape_)
            if n_channels > filters.shape[0]:  # both signs of a response
                Y = Y[:, : filters.shape[0], ...] - Y[:, filters.shape[0] :, ...]
            return _scaled_back(invert(Y), powers - power, "signals")

        return in_blocks(work, small_blocks(Z.shape[0], width), Z, self.n_features_in_)

    def _work(self, X: Any) -> tuple[Callable[[Any], Any], list[slice]]:
        """Return a function that lifts a block of rows, and the blocks.

        Rows and filters are scaled by powers of two to avoid overflow and underflow.
        """
        grid, coarse = self.signal_shape_, self.coarse_shape_
        filters, power = self._moderate_filters(X)
        respond, width = correlator(filters, grid)
        options, encode = dict(self._nonlinearity), None
        n_iter, learned = options.pop("n_iter", 0), options.pop("learned", None)
        if n_iter:
            if learned is not None:
                encoder = np.ldexp(_as_type(learned["encoder"], X.dtype), -power)
                learned = {**learned, "encoder": encoder}
            momentum = options["activation"] == "fista"
            encode, width = coder(
                filters, grid, n_iter, momentum=momentum, learned=learned
            )
            # square roots are those of products of codes and responses
            power = 0 if options["root"] else -power
        if coarse != grid:
            width += self.n_channels_ * math.prod(grid)

        def work(rows: Any) -> Any:
            rows, powers = moderate(rows)
            X = as_signals(rows, filters.shape[1], grid)
            Y = respond(X)
            Y = namespace(Y).reshape(Y, (*Y.shape[:2], -1))
            sparse = encode and partial(encode, X)
            Z = nonlinear(Y, grid, encode=sparse, **options)
            if self._pool_by is not None:
                Z = pool(Z, grid, coarse, self._pool_by)
            return Z if self._pool_by == "share" else _scaled_back(Z, powers + power)

        return work, small_blocks(X.shape[0], width)

    def _moderate_filters(self, X: Any) -> tuple[Any, Any]:
        """Return the filters in the type of samples, divided by a power of two."""
        filters = _as_type(self.filters_, X.dtype)
        xp = namespace(filters)
        flat, power = moderate(xp.reshape(filters, (1, -1)))
        return xp.reshape(flat, filters.shape), power

    @property
    def _n_features_out(self) -> int:
        return self.n_channels_ * math.prod(self.coarse_shape_)

    @property
    def _result_shape(self) -> Shape:
        return self.coarse_shape_

    def _coarse(self, grid: Shape) -> Shape:
        """Return the shape of the grid of the result."""
        if self.pool_size is None:
            return grid
        sizes = _per_axis(self.pool_size, "pool_size", grid)
        if any(side % size for side, size in zip(grid, sizes, strict=True)):
            raise ValueError(
                f"Bad pool_size: must divide the grid of shape {grid} along each axis, "
                f"found {self.pool_size!r}."
            )
        return tuple(side // size for side, size in zip(grid, sizes, strict=True))

    def _bank(self, X: Any, progress: Progress) -> Any:
        """Make the filters for signals of shape (n, channels, *grid)."""
        n_channels, grid = X.shape[1], X.shape[2:]
        if not isinstance(self.filters, str):
            filters = _check_filters(self.filters, n_channels, grid)
            return np.array(_as_type(filters, X.dtype))  # later changes have no effect
        shape = (n_channels, *self._kernel(grid))
        check_size(int(self.n_filters) * math.prod(shape), "n_filters", "numbers")
        signals = np.reshape(moderate(np.reshape(X, (1, -1)))[0], X.shape)
        filters = _filters.make_filters(
            self.filters, signals, self.n_filters, shape, self.random_state, progress
        )
        return filters.astype(X.dtype)

    def _kernel(self, grid: Shape) -> Shape:
        """Return the size of the filters along each axis of a grid."""
        if isinstance(self.kernel_size, str):
            sizes = tuple(min(17, max(3, round(0.375 * side))) for side in grid)
        else:
            sizes = _per_axis(self.kernel_size, "kernel_size", grid)
        return tuple(map(min, sizes, grid))

    def _options(self, bank: Shape) -> dict[str, Any]:
        """Return the options of `nonlinear` for a bank of this shape."""
        # An average would make almost all values positive.
        pooling = None if self._pool_by == "share" else self.pooling
        share = 0.0 if pooling is None else float(pooling)
        sparse = {"n_iter": int(self.n_iter)} if self.activation in SPARSE else {}
        return {
            **sparse,
            "activation": self.activation,
            "threshold": float(self.threshold),
            "root": pooling is not None,
            "widths": tuple(share * size for size in bank[2:]),
        }


def _per_axis(value: Any, name: str, grid: Shape) -> Shape:
    """Return one size for each axis of a grid; one number holds for all axes."""
    sizes = shape_of(value, name)
    if len(sizes) not in (1, len(grid)):
        raise ValueError(
            f"Bad {name}: must be one number or one number per axis, found "
            f"{len(sizes)} numbers for a grid of shape {grid}."
        )
    return sizes * len(grid) if len(sizes) == 1 else sizes


def _check_filters(filters: Any, n_channels: int, grid: Shape) -> Any:
    """Validate filters that were passed; an axis for a single channel is optional."""
    with naming("filters"):
        check_numbers(filters, "filters")
        filters = check_array(
            to_numpy(filters), dtype=[np.float64, np.float32], allow_nd=True
        )
    if filters.ndim == 1 + len(grid):
        filters = filters[:, None]
    kernel = filters.shape[2:]
    fits = filters.ndim == 2 + len(grid) and filters.shape[1] == n_channels
    if not fits or any(map(int.__gt__, kernel, grid)):
        raise ValueError(
            f"Bad filters: filters of shape {filters.shape} (n_filters, channels, "
            f"*kernel) do not fit signals with {n_channels} channels on a grid of "
            f"shape {grid}."
        )
    return filters


def _as_type(filters: Any, dtype: Any) -> Any:
    """Convert filters to the type of the samples, if they do not overflow."""
    xp = namespace(filters)
    with np.errstate(over="ignore"):
        converted = xp.astype(filters, dtype, copy=False)
    if not xp.all(xp.isfinite(converted)):
        raise ValueError(
            f"Bad filters: they are too large for samples of type {dtype}."
        )
    return converted


def _scaled_back(Z: Any, exponents: Any, what: str = "responses") -> Any:
    """Multiply the channels of each row by a power of two, if there is no overflow."""
    return check_finite(scaled(Z, exponents), what) if any(exponents) else Z
