"""Rows that are signals: how they say on which grid, and how the next step is told.

What makes signals marks them with the shape of their grid: arrays by their type, frames
by the names of their columns. So the shape is stated once in a pipeline. Where the mark
does not hold any more, because columns were joined or left out, the shape has to be
stated: taken for one channel on a line, such rows would give wrong results in silence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from skredu.lifting._grid import shape_of

Shape = tuple[int, ...]

NAME = "signal_shape"
# "lifting2_at_0_5": channel 2 at the point (0, 5), numbers from 0
FEATURE = re.compile(r"(.*?)(\d+)_at((?:_\d+)+)", re.DOTALL)


class Signals(np.ndarray):
    """Rows of signals; an ordinary array that remembers the shape of their grid.

    Rows that are chosen keep it, and so does what is computed entry by entry. It is
    None where rows have another length or were joined.
    """

    signal_shape: Shape | None = None

    def __array_finalize__(self, source: Any) -> None:
        shape = getattr(source, NAME, None)
        if shape is not None and self.shape[-1:] == source.shape[-1:]:
            self.signal_shape = shape

    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: bool = False
    ) -> Any:
        if return_scalar:
            return np.asarray(array)[()]
        mixes = context is not None and context[0].signature is not None
        same = not mixes and array.shape[-1:] == self.shape[-1:]
        return signals(np.asarray(array), self.signal_shape if same else None)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        # Joined arrays are plain; rows below each other are signals still.
        result = super().__array_function__(func, types, args, kwargs)
        if type(result) is np.ndarray and result.ndim == 2:
            same = result.shape[1:] == self.shape[1:]
            return signals(result, self.signal_shape if same else None)
        return result

    def __reduce__(self) -> Any:
        return signals, (np.asarray(self), self.signal_shape)


def signals(rows: Any, shape: Shape | None) -> Any:
    """Rows that say on which grid they are."""
    rows = rows.view(Signals)
    rows.signal_shape = shape
    return rows


class SignalsOutMixin(ClassNamePrefixFeaturesOutMixin):
    """A transformer whose result says on which grid it is."""

    signal_shape_: Shape
    n_channels_: int

    @property
    def _gives_signals(self) -> bool:
        return True

    def _marked(self, Z: Any) -> Any:
        """Features that say on which grid they are, if they are signals."""
        if type(Z) is not np.ndarray or not self._gives_signals:
            return Z
        return signals(Z, self.signal_shape_)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Get names of the features: of signals, their channel and their point.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only used to check their number.

        Returns
        -------
        names : ndarray of str objects
            The lower-case class name with the number of the feature or, for signals,
            with the number of the channel, ``_at`` and the point, all from 0:
            ``"convolutionallifting2_at_0_5"``.

        Raises
        ------
        ValueError
            If ``input_features`` are not as many as were seen during fit.
        """
        names = super().get_feature_names_out(input_features)
        if not self._gives_signals:
            return names
        prefix = type(self).__name__.lower()
        named = _names(prefix, self.n_channels_, self.signal_shape_)
        return np.asarray(named, dtype=object)


def _names(prefix: str, n_channels: int, shape: Shape) -> list[str]:
    places = ["_".join(map(str, place)) for place in np.ndindex(shape)]
    return [f"{prefix}{c}_at_{place}" for c in range(n_channels) for place in places]


def grid_of(X: Any, given: Any, n_features: int) -> Shape:
    """Shape of the grid of rows: as given, or as they say, or a line.

    Raises
    ------
    ValueError
        If they say another one than given, or no more which, and none is given.
    """
    said = _said(X)
    if given is not None:
        shape = shape_of(given, NAME)
        _agree(said, shape, f"{NAME}={given!r} was given")
        return shape
    if said == ():
        raise ValueError(
            f"{NAME} must be stated: X was made from signals, but does not say on "
            "which grid any more, for instance because columns were joined or left out."
        )
    return said or (n_features,)


def check_grid(X: Any, shape: Shape) -> None:
    """Refuse rows that say another grid than that of the training rows."""
    _agree(_said(X), shape, f"the training rows had {NAME}={shape}")


def refuse_stacks(X: Any, name: str = NAME) -> None:
    """Refuse arrays of more than two dimensions, with a hint."""
    shape: Any = ()
    with suppress(TypeError, ValueError):  # ragged
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) > 2:
        raise ValueError(
            f"X must have one row for each signal, found an array of shape "
            f"{tuple(shape)}. Reshape it, X.reshape(len(X), -1), and state the grid: "
            f"{name}=(height, width) for images."
        )


def _agree(said: Shape | None, shape: Shape, other: str) -> None:
    def sides(grid: Shape) -> list[int]:
        return [size for size in grid if size > 1]

    if said and sides(said) != sides(shape):
        raise ValueError(
            f"Bad {NAME}: X was made as signals on a grid of shape {said}, but "
            f"{other}. To take them for others on purpose, pass np.asarray(X)."
        )


def _said(X: Any) -> Shape | None:
    """Shape that rows say: () if they do not any more, None if they never did."""
    if isinstance(X, Signals):
        return X.signal_shape or ()
    names = getattr(X, "columns", None)
    return None if names is None else _said_by([str(name) for name in names])


def _said_by(names: Sequence[str]) -> Shape | None:
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
