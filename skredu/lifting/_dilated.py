"""DilatedKernelTransformer: what share of a series exceeds thresholds of responses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state, gen_batches

from skredu._checks import check_finite
from skredu._compat import Interval, StrOptions, move_to, namespace, to_numpy
from skredu._progress import Progress
from skredu._signals import NAME, Shape, check_size
from skredu.lifting._base import BaseLifting
from skredu.lifting._series import (
    LENGTH,
    POINTS,
    count_above,
    responses_to_kernels,
    rounded_sum,
    weights,
)

POOLINGS = ("share", "max")
MAX_DILATIONS = 32
MAX_CHANNELS = 9  # that are added
# Samples whose responses determine a bias.
FIT_ROWS = 50
# Biases are quantiles from this level on; more extreme ones are noisy.
LEAST_LEVEL = 0.1
# All samples are multiplied by 2 ** -HEADROOM. Then responses do not overflow: they are
# at most 18 times a sum of 9 channels, from each of which a mean was subtracted.
HEADROOM = 10
# Largest number of values, and of samples, in a block.
BLOCK_VALUES, MOST_ROWS = 50000, 512
# Number of biases with which responses are compared at once.
BIASES_AT_ONCE = 8


class DilatedKernelTransformer(BaseLifting):
    r"""Describe time series by how often their responses to dilated kernels are large.

    The kernels have nine weights, three of them 2 and six of them -1, at points that
    are d steps apart, the *dilation*. So they respond to shapes of any duration, and
    not to the level of a series. The response at time t is

    .. math:: y[t] = \sum_{s=-4}^{4} w_s \, x[t + d s]

    where x is the series minus its mean, and zero before its beginning and after its
    end. A feature is the share of times at which the response exceeds a *bias*, which
    is a quantile of the responses of training samples, between the first and the last
    decile. There are 84 kernels of this form, and all of them are used with up to 32
    dilations and several biases.

    The many features are meant for a linear classifier after a
    :class:`~sklearn.preprocessing.StandardScaler`, such as
    :class:`~skredu.MICLClassifier`.

    Parameters
    ----------
    n_kernels : int, default=10_000
        Number of kernels, where the same weights with another dilation or another bias
        count as another kernel. It is rounded down to a multiple of 84, but is at least
        84.
    pooling : {"share", "max"} or tuple of these, default="share"
        How the responses of a kernel are summarised. With ``("share", "max")``, all
        shares are followed by all maxima.

        - ``"share"``: share of times at which the response exceeds the bias.
        - ``"max"``: the largest response. Since it does not depend on the bias, there
          is one feature for all biases of a kernel with the same dilation and channels.
    signal_shape : int, tuple of int or None, default=None
        Number of points of the series. Each row contains one channel after the other,
        and the number of channels is the number of features divided by the number of
        points. If None, it is taken from the input if this is the output of a lifting;
        otherwise each row is one channel.
    random_state : int, RandomState instance or None, default=None
        Determines the training samples from which the biases are computed, if there are
        more than 50, and the channels that are added, if there are several. Pass an int
        for reproducible output across multiple function calls.

    Attributes
    ----------
    kernels_ : ndarray of shape (84, 9)
        The weights of the kernels.
    dilations_ : ndarray of shape (n_biases,)
        Dilation of each column of ``biases_``.
    channels_ : ndarray of bool of shape (n_biases, n_channels)
        Channels that are added for each column of ``biases_``.
    biases_ : ndarray of shape (84, n_biases)
        The biases of each kernel. Those of the same dilation and channels increase.
    signal_shape_ : tuple of int
        Number of points of the series, as a tuple of one number.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    ConvolutionalLifting : Responses at every time, for networks that do not distinguish
        the shifts of a series.

    Notes
    -----
    Array-API input is supported. Quantiles are computed with NumPy, on the CPU.

    The dilations are spaced evenly on a logarithmic scale, from 1 to the largest one
    at which the kernel is not longer than the series. A series shorter than nine points
    has the dilation 1. With several channels, each dilation is used for several random
    sets of up to nine channels, whose values are added, so channels should have
    comparable units. All channels are used about equally often.

    With K kernels in total and D different pairs of a dilation and a set of channels, a
    series of T points takes about :math:`T (130 D + K)` additions and comparisons.
    ``fit`` takes the time of transforming 50 samples, and of sorting their responses to
    84 D kernels, and about 15 numbers of memory for each of their points. In addition
    to input and result, ``transform`` needs about :math:`12 \max(50000, d)` numbers,
    where d is the number of input features, and the result for up to 512 samples. The
    fitted model has about K numbers.

    Values are rounded to about 1e-6 (single precision) or 1e-14 (double) of the largest
    absolute value of their series minus its mean. Then all sums of nine values are
    exact, and where a series is constant, its responses are exactly zero. Otherwise
    rounding errors would decide whether they exceed a bias of zero.

    References
    ----------
    Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021. (There a bias is any quantile
    of the responses of one sample, and every other kernel is applied only where it does
    not exceed the series.)

    Tan, Dempster, Bergmeir and Webb, "MultiRocket: multiple pooling operators and
    transformations for fast and effective time series classification", Data Mining and
    Knowledge Discovery 36, 2022, for further poolings.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu import DilatedKernelTransformer, MICLClassifier
    >>> from skredu.datasets import make_shifted_signals
    >>> signals = {"n_timesteps": 64, "n_classes": 4, "noise": 0.3}
    >>> X, y = make_shifted_signals(15, random_state=0, **signals)
    >>> X_new, y_new = make_shifted_signals(15, random_state=1, **signals)
    >>> model = make_pipeline(
    ...     DilatedKernelTransformer(1000, random_state=0),
    ...     StandardScaler(),
    ...     MICLClassifier(),
    ... ).fit(X, y)
    >>> model.score(X_new, y_new)
    1.0
    >>> model[0].get_feature_names_out()[0]
    'share_kernel012_dilation1_bias0'
    """

    __module__ = "skredu"

    _reference = "kernels_"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_kernels": [Interval(Integral, 1, None, closed="left")],
        "pooling": [StrOptions(set(POOLINGS)), tuple, list],
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_kernels: int = 10_000,
        *,
        pooling: str | Sequence[str] = "share",
        signal_shape: int | Sequence[int] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_kernels = n_kernels
        self.pooling = pooling
        self.signal_shape = signal_shape
        self.random_state = random_state

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        n_biases = max(1, int(self.n_kernels) // len(POINTS))
        check_size(len(POINTS) * n_biases, "n_kernels", "kernels")
        random = check_random_state(self.random_state)
        self._poolings = _check_pooling(self.pooling)
        (self.kernels_,), self.signal_shape_ = move_to(X, weights()), grid
        found = _combinations(n_biases, grid[0], n_channels, random)
        self.dilations_, self.channels_ = move_to(X, *found)
        (self.biases_,) = move_to(X, self._quantiles(X, random))

    def _work(self, X: Any) -> tuple[Callable[[Any], Any], list[slice]]:
        n_rows = max(1, min(BLOCK_VALUES // X.shape[1], MOST_ROWS))
        return self._pool, list(gen_batches(X.shape[0], n_rows))

    def _grid_for(self, X: Any, n_features: int) -> Shape:
        """Return the shape of the grid, which has one axis."""
        grid = super()._grid_for(X, n_features)
        if len(grid) != 1:
            raise ValueError(
                f"Bad {NAME}: series have one axis, found a grid of shape {grid}."
            )
        return grid

    @property
    def _gives_signals(self) -> bool:
        return False

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Get output feature names, with the kernel, its dilation, bias and channels.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only used to validate the number of features.

        Returns
        -------
        names : ndarray of str objects
            For instance ``"share_kernel012_dilation4_bias0"`` for the smallest bias of
            the kernel with the weight 2 at its first three points and the dilation 4.
            With several channels, ``"_channel0_2"`` follows if the channels 0 and 2 are
            added.

        Raises
        ------
        ValueError
            If the number of ``input_features`` differs from that seen during fit.
        """
        super().get_feature_names_out(input_features)
        kernels = ["".join(map(str, points)) for points in POINTS]
        names = []
        for pooling in self._poolings:
            columns = self._column_names(pooling)
            names += [
                f"{pooling}_kernel{kernel}{c}" for kernel in kernels for c in columns
            ]
        return np.asarray(names, dtype=object)

    def _column_names(self, pooling: str) -> list[str]:
        """Return what the names of the features of a kernel end with."""
        names = []
        for first, last, step, channels in self._groups():
            dilation, added = f"_dilation{step}", ""
            if len(channels) > 1:
                added = "_channel" + "_".join(map(str, np.flatnonzero(channels)))
            biases = [f"_bias{i}" for i in range(last - first)]
            biases = [""] if pooling == "max" else biases
            names += [dilation + bias + added for bias in biases]
        return names

    @property
    def _n_features_out(self) -> int:
        return len(POINTS) * sum(self._n_columns().values())

    def _n_columns(self) -> dict[str, int]:
        """Return the number of features of each kernel by pooling."""
        n_columns = {"share": self.biases_.shape[1], "max": len(self._groups())}
        return {name: n_columns[name] for name in self._poolings}

    def _groups(self) -> list[tuple[int, int, int, Any]]:
        """Return ranges of biases with the same dilation and channels, and these."""
        dilations, channels = to_numpy(self.dilations_), to_numpy(self.channels_)
        same = np.column_stack([dilations, channels])
        cuts = np.flatnonzero(np.any(same[1:] != same[:-1], axis=1)) + 1
        ends = pairwise([0, *cuts.tolist(), len(same)])
        return [(a, b, int(dilations[a]), channels[a]) for a, b in ends]

    def _quantiles(self, X: Any, random: np.random.RandomState) -> Any:
        """Return the biases, quantiles of the responses of some training samples."""
        n, xp = X.shape[0], namespace(X)
        some = to_numpy(X[: min(n, FIT_ROWS), :])
        biases = np.empty((len(POINTS), self.dilations_.shape[0]), dtype=some.dtype)
        # The fractional parts of multiples of the golden ratio: any few that follow
        # each other are spread evenly between 0 and 1.
        spread = np.arange(1, biases.size + 1) * ((math.sqrt(5) - 1) / 2) % 1
        levels = np.reshape(LEAST_LEVEL + (1 - 2 * LEAST_LEVEL) * spread, biases.shape)
        series = self._series(some)
        for first, last, dilation, channels in self._groups():
            if n > FIT_ROWS:
                chosen = random.permutation(n)[:FIT_ROWS]
                rows = xp.take(X, xp.asarray(chosen, device=X.device), axis=0)
                series = self._series(to_numpy(rows))
            x = rounded_sum(series, channels)
            for kernel, y in enumerate(responses_to_kernels(x, dilation)):
                these = np.sort(levels[kernel, first:last])
                biases[kernel, first:last] = np.quantile(y, these)
        return _enlarged(biases)

    def _pool(self, X: Any) -> Any:
        """Return the features of a block of rows."""
        xp, series = namespace(X), self._series(X)
        n_points, n = series.shape[1:]
        with np.errstate(over="ignore"):
            biases = xp.astype(self.biases_, X.dtype) * 2.0**-HEADROOM
        features = {
            name: xp.empty((len(POINTS), m, n), dtype=X.dtype, device=X.device)
            for name, m in self._n_columns().items()
        }
        flags = np.empty((BIASES_AT_ONCE if xp is np else 0, n_points, n), dtype=bool)
        for group, (first, last, dilation, channels) in enumerate(self._groups()):
            x = rounded_sum(series, channels)
            for kernel, y in enumerate(responses_to_kernels(x, dilation)):
                if "share" in features:
                    for i in range(first, last, BIASES_AT_ONCE):
                        these = slice(i, min(i + BIASES_AT_ONCE, last))
                        counts = count_above(y, biases[kernel, these], flags)
                        features["share"][kernel, these, :] = counts
                if "max" in features:
                    features["max"][kernel, group, :] = xp.max(y, axis=0)
        if "share" in features:
            features["share"] /= n_points
        if "max" in features:
            features["max"] = _enlarged(features["max"])
        parts = [xp.reshape(part, (-1, n)).T for part in features.values()]
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)

    def _series(self, X: Any) -> Any:
        """Return small multiples of rows minus their means, (channels, points, n)."""
        xp, n_points = namespace(X), self.signal_shape_[0]
        series = xp.reshape(X, (X.shape[0], -1, n_points)) * 2.0**-HEADROOM
        # The first value is subtracted first, so constant series become exactly zero.
        series = series - series[:, :, :1]
        series -= xp.sum(series / n_points, axis=2, keepdims=True)
        series = xp.permute_dims(series, (1, 2, 0))
        return np.ascontiguousarray(series) if xp is np else series


def _check_pooling(pooling: Any) -> tuple[str, ...]:
    """Return the names of one or several poolings."""
    names = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    unknown = [name for name in names if name not in POOLINGS]
    if not names or unknown or len(set(names)) < len(names):
        raise ValueError(
            f"Bad pooling: must be one or several different ones of {POOLINGS}, found "
            f"{pooling!r}."
        )
    return names


def _enlarged(responses: Any) -> Any:
    """Return responses to the samples, from responses to small multiples of them."""
    with np.errstate(over="ignore"):
        return check_finite(responses * 2.0**HEADROOM, "responses")


def _combinations(
    n_biases: int, n_points: int, n_channels: int, random: np.random.RandomState
) -> tuple[Any, Any]:
    """Return the dilation and the channels for each bias of a kernel.

    Channels that have been used least are preferred.
    """
    n = min(n_biases, MAX_DILATIONS * n_channels)
    largest = math.log2(max(1.0, (n_points - 1) / (LENGTH - 1)))
    dilations = np.floor(2.0 ** np.linspace(0, largest, n)).astype(np.intp)
    channels = np.ones((n, n_channels), dtype=bool)
    if n_channels > 1:
        channels[:] = False
        used = np.zeros(n_channels)
        for row in channels:
            size = 2 ** random.uniform(0, math.log2(min(n_channels, MAX_CHANNELS) + 1))
            order = np.lexsort((random.uniform(size=n_channels), used))
            row[order[: int(size)]] = True
            used += row
        # equal pairs of a dilation and a set of channels follow each other
        channels = channels[np.lexsort((*channels.T, dilations))]
    which = np.arange(n_biases) * n // n_biases
    return dilations[which], channels[which]
