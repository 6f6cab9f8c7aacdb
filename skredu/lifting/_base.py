"""Base class of transformers of signals, which process blocks of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_rows
from skredu._compat import ARRAY_API_SUPPORT
from skredu._progress import Progress, watched
from skredu._signals import (
    NAME,
    Shape,
    SignalsOutMixin,
    channels_of,
    check_grid,
    grid_of,
    in_blocks,
    refuse_stacks,
)


class BaseLifting(SignalsOutMixin, TransformerMixin, SkreduEstimator):
    """Base class of transformers of signals.

    A subclass defines `_learn`, which fits, and `_work`, which returns the function
    that transforms a block.
    """

    # Name of the parameter for the shape of the grid of the samples.
    _shape_name: ClassVar[str] = NAME

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = ARRAY_API_SUPPORT
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the transformer to training samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training samples, with one signal per row.
        y : None
            Not used, present here for API consistency by convention.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range or inconsistent with ``X``.
        """
        self._validate_params()
        refuse_stacks(X, self._shape_name)
        rows = check_rows(self, X)
        grid = self._grid_for(X, rows.shape[1])
        n_channels = channels_of(grid, rows.shape[1], self._shape_name)
        with watched(self, X=X) as progress:
            self._learn(rows, grid, n_channels, progress)
        return self

    def transform(self, X: Any) -> Any:
        """Transform samples, block by block.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples, with one signal per row.

        Returns
        -------
        Z : array of shape (n_samples, n_features_out)
            The features; see `get_feature_names_out` for their order. If they are
            signals, they carry the shape of their grid, which the next step of a
            pipeline uses.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data, or so large that the result
            overflows.
        """
        check_is_fitted(self)
        refuse_stacks(X, self._shape_name)
        rows = self._check_rows(X, "transform")
        self._check_mark(X)
        work, blocks = self._work(rows)
        return self._marked(in_blocks(work, blocks, rows, self._n_features_out))

    def _work(self, X: Any) -> tuple[Callable[[Any], Any], list[slice]]:
        """Return a function that transforms a block of rows, and the blocks."""
        raise NotImplementedError

    def _check_mark(self, X: Any) -> None:
        """Raise an error if samples carry another grid than the training samples."""
        check_grid(X, self.signal_shape_)

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        """Set the fitted attributes, given valid rows of signals on a grid."""
        raise NotImplementedError

    def _grid_for(self, X: Any, n_features: int) -> Shape:
        """Return the shape of the grid of training samples."""
        return grid_of(X, getattr(self, NAME), n_features)
