"""Arrays that carry the shape of the grid of their signals.

Transformers that return signals mark them with the shape of their grid: NumPy arrays by
their type, data frames by the names of their columns, and arrays of other namespaces by
an attribute, if they can have one. So the shape has to be specified only once in a
pipeline. If the mark is no longer valid, because columns were joined, moved or left
out, the shape has to be specified again. Otherwise the samples would silently be
treated as one channel on a one-dimensional grid, which leads to wrong results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from scipy import fft
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from skredu._checks import is_integer
from skredu._compat import namespace
from skredu.coding._linalg import blocks_of_rows

Shape = tuple[int, ...]

# Largest number of entries of a row or of a bank of filters.
MAX_VALUES = 10**8


def shape_of(value: Any, name: str) -> Shape:
    """Return one or several positive integers as a tuple."""
    sizes = list(value) if isinstance(value, Iterable) else [value]
    if not sizes or not all(is_integer(size) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"Bad {name}: must be one or several positive integers, found {value!r}."
        )
    return tuple(int(size) for size in sizes)


def channels_of(grid: Shape, n_features: int, name: str) -> int:
    """Return the number of channels of rows on a grid."""
    n_channels, rest = divmod(n_features, math.prod(grid))
    if rest or not n_channels:
        raise ValueError(
            f"Bad {name}: a grid of shape {grid} has {math.prod(grid)} points, but the "
            f"{n_features} features of X are not a multiple of that."
        )
    return n_channels


def check_size(found: int, name: str, what: str) -> None:
    """Raise an error for a size that needs too much memory."""
    if found > MAX_VALUES:
        raise ValueError(
            f"Bad {name}: must lead to at most {MAX_VALUES} {what}, found {found}."
        )


def small_blocks(n: int, width: int) -> list[slice]:
    """Return slices of rows whose temporaries, ``width`` values per row, take 4 MiB."""
    return blocks_of_rows(n, 8 * width)


def in_blocks(
    work: Callable[[Any], Any], blocks: list[slice], X: Any, n_features: int
) -> Any:
    """Return the results (n, n_features) of a function of blocks of rows."""
    xp = namespace(X)
    Z = xp.empty((X.shape[0], n_features), dtype=X.dtype, device=X.device)
    for block in blocks:
        Z[block, :] = xp.reshape(work(X[block, :]), (-1, n_features))
    return Z


def as_signals(X: Any, n_channels: int, grid: Shape) -> Any:
    """Reshape rows (n, channels * points) to signals (n, channels, *grid)."""
    return namespace(X).reshape(X, (X.shape[0], n_channels, *grid))


def fourier(X: Any) -> Any:
    """Return the module of Fourier transforms for an array.

    For NumPy arrays, that of SciPy respects `scipy.fft.set_workers`.
    """
    xp = namespace(X)
    return fft if xp is np else xp.fft


NAME = "signal_shape"
# "lifting2_at_0_5": channel 2 at the point (0, 5), numbers from 0
FEATURE = re.compile(r"(.*?)(\d+)_at((?:_\d+)+)", re.DOTALL)


# Functions that keep rows whole or work entry by entry. All others may mix columns.
ROWWISE = {np.concatenate, np.vstack, np.hstack, np.split, np.array_split, np.vsplit}
ROWWISE |= {np.copy, np.clip, np.round, np.nan_to_num}


class Signals(np.ndarray):
    """Array with one signal per row that carries the shape of their grid.

    The shape is kept if rows are selected, copied or stacked, and by operations that
    work entry by entry. After all other operations it is None, because columns may have
    moved. It is also None after an array was assigned to entries; changes through other
    views of the memory are not noticed.
    """

    # the name in pickles, and in what pipelines cache
    __module__ = "skredu"

    signal_shape: Shape | None = None  # default of views and results

    def __new__(cls, rows: Any, signal_shape: Shape | None = None) -> Signals:
        signals = np.asarray(rows).view(cls)
        signals.signal_shape = signal_shape
        return signals

    def __getitem__(self, key: Any) -> Any:
        part, keys = super().__getitem__(key), key if isinstance(key, tuple) else (key,)
        columns = keys[1:] if self.ndim == 2 else keys
        is_rows = np.ndim(part) == 2 or self.ndim == 1 or is_integer(*keys[:1])
        if is_rows and all(map(_is_all, columns)):
            return _marked_like(part, [self])
        # rows of which columns were selected are signals on an unknown grid
        lost = is_rows and np.ndim(part) > 0 and part.shape[-1] > 1
        return Signals(part) if lost else _marked_like(part, [])

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if np.ndim(value) > 0:  # columns may have moved
            self.signal_shape = None

    def copy(self, order: Any = "C") -> Any:
        return _marked_like(super().copy(order), [self])

    def round(self, *args: Any, **options: Any) -> Any:
        return _marked_like(super().round(*args, **options), [self])

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy("K")

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        result = super().astype(dtype, *args, **options)
        return _marked_like(result, [self]) if isinstance(result, Signals) else result

    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: bool = False
    ) -> Any:
        if return_scalar:
            return np.asarray(array)[()]
        if context is None:  # a mean or the like
            return _marked_like(array, [])
        ufunc, arguments, _ = context
        sources = [x for x in arguments if isinstance(x, Signals)]
        by_entry = ufunc.signature is None  # otherwise, a matrix product
        return _marked_like(array, sources if by_entry else [], sources[0].shape)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        first = args[0] if args else []
        sources: Any = [first] if isinstance(first, np.ndarray) else first
        if func not in ROWWISE:
            sources = []
        if isinstance(result, list):
            return [_marked_like(part, sources) for part in result]
        return _marked_like(result, sources, getattr(first, "shape", None))

    def __reduce__(self) -> Any:
        return Signals, (np.asarray(self), self.signal_shape)


def _is_all(index: Any) -> bool:
    """Return whether an index selects all columns in order, or adds an axis."""
    all_columns = isinstance(index, slice) and index == slice(None)
    return index is Ellipsis or index is None or all_columns


def _marked_like(result: Any, sources: Sequence[Any], shape: Any = None) -> Any:
    """Mark a result with the grid of its sources, if all are on the same one.

    Otherwise the result is marked as signals whose grid is unknown. A single row or
    column, for instance of means, becomes an ordinary array, so that signals minus
    their means remain signals; but not if the array from which it was computed had the
    same ``shape``, because its columns may have moved.
    """
    if not isinstance(result, np.ndarray):
        return result
    marks = {(getattr(x, NAME, None), np.shape(x)[-1:]) for x in sources}
    grid, width = marks.pop() if len(marks) == 1 else (None, ())
    if grid is not None and width == result.shape[-1:]:
        return Signals(result, grid)
    lost = result.shape == shape or any(isinstance(x, Signals) for x in sources)
    is_table = result.ndim == 2 and 1 not in result.shape
    several = result.ndim in (1, 2) and result.shape[-1] > 1
    return Signals(result) if is_table or (lost and several) else np.asarray(result)


class SignalsOutMixin(ClassNamePrefixFeaturesOutMixin):
    """Mixin for transformers whose output carries the shape of its grid."""

    signal_shape_: Shape
    n_channels_: int

    @property
    def _gives_signals(self) -> bool:
        return True

    @property
    def _result_shape(self) -> Shape:
        """Shape of the grid of the output."""
        return self.signal_shape_

    def _marked(self, Z: Any) -> Any:
        """Mark features with the shape of their grid, if they are signals."""
        if not self._gives_signals:
            return Z
        if type(Z) is np.ndarray:
            return Signals(Z, self._result_shape)
        if not isinstance(Z, np.ndarray):
            with suppress(AttributeError):  # it is lost in every operation
                Z.signal_shape = self._result_shape
        return Z

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Get output feature names; for signals, these contain channel and point.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only used to validate the number of features.

        Returns
        -------
        names : ndarray of str objects
            The lower-case class name, followed by the index of the feature or, for
            signals, by the index of the channel, ``_at`` and the point, for instance
            ``"convolutionallifting2_at_0_5"``.

        Raises
        ------
        ValueError
            If the number of ``input_features`` differs from that seen during fit.
        """
        names = super().get_feature_names_out(input_features)
        if not self._gives_signals:
            return names
        prefix = type(self).__name__.lower()
        named = _names(prefix, self.n_channels_, self._result_shape)
        return np.asarray(named, dtype=object)


def _names(prefix: str, n_channels: int, shape: Shape) -> list[str]:
    """Return the names of the features on a grid."""
    places = ["_".join(map(str, place)) for place in np.ndindex(shape)]
    return [f"{prefix}{c}_at_{place}" for c in range(n_channels) for place in places]


def grid_of(X: Any, given: Any, n_features: int) -> Shape:
    """Return the shape of the grid: the given one, that of the mark, or one axis.

    Raises
    ------
    ValueError
        If mark and parameter contradict each other, or if the mark was lost and no
        shape is given.
    """
    mark = _mark_of(X)
    if given is not None:
        shape = shape_of(given, NAME)
        _check_agreement(mark, shape, f"{NAME}={given!r} was given")
        return shape
    if mark == ():
        raise ValueError(f"{NAME} must be specified: {_lost(X)}")
    return mark or (n_features,)


def _lost(X: Any) -> str:
    """Explain why the shape of the grid was lost."""
    if isinstance(X, Signals):
        return (
            "X was computed from signals, but the shape of their grid was lost, for "
            "instance because columns were joined, left out or mixed."
        )
    return (
        "the column names of X look like those of signals (name0_at_0 etc.), but are "
        "not those of complete channels in order. If the columns are not signals, "
        f"{NAME}={X.shape[1]} treats each row as one channel on a one-dimensional grid."
    )


def check_grid(X: Any, shape: Shape) -> None:
    """Raise an error if the mark differs from the grid of the training data."""
    _check_agreement(_mark_of(X), shape, f"the training data had {NAME}={shape}")


def refuse_stacks(X: Any, name: str = NAME) -> None:
    """Raise an error with a hint for arrays of more than two dimensions."""
    shape: Any = ()
    with suppress(TypeError, ValueError):  # ragged
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) > 2:
        series = f" or {name}=length for channels of series" * (name == NAME)
        raise ValueError(
            f"X must have one row per signal, found an array of shape {tuple(shape)}. "
            f"Reshape it with X.reshape(len(X), -1), and pass the shape of the grid, "
            f"{name}=(height, width) for images{series}."
        )


def _check_agreement(mark: Shape | None, shape: Shape, other: str) -> None:
    """Raise an error if two grids differ, except for axes of one point."""
    sides = [[size for size in grid if size > 1] for grid in (mark or shape, shape)]
    if sides[0] != sides[1]:
        raise ValueError(
            f"Bad {NAME}: X contains signals on a grid of shape {mark}, but {other}. "
            "Specify the shape of the grid in the first step that returns or accepts "
            "signals. To ignore the grid of X on purpose, pass np.asarray(X)."
        )


def _mark_of(X: Any) -> Shape | None:
    """Return the shape that marks X, () if it was lost, None without a mark."""
    if isinstance(X, Signals):
        return X.signal_shape or ()
    if hasattr(X, "columns"):
        return _mark_in_names([str(name) for name in X.columns])
    return getattr(X, NAME, None)


def _mark_in_names(names: Sequence[str]) -> Shape | None:
    """Return the shape that marks the names of columns, see `_mark_of`."""
    found = [FEATURE.fullmatch(name) for name in names]
    if not any(found):
        return None
    if found[-1] is None:
        return ()
    prefix, channel, place = found[-1].groups()
    shape = tuple(int(index) + 1 for index in place[1:].split("_"))
    n_channels = int(channel) + 1
    if n_channels * math.prod(shape) != len(names):
        return ()
    return shape if _names(prefix, n_channels, shape) == names else ()
