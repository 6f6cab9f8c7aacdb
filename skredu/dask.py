"""Models of Dask arrays and data frames, whose samples need not fit into memory.

Estimators with ``partial_fit`` and ``merge`` are fitted to each block of samples, and
the models of the blocks are merged in a tree. The result is the model of all samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

try:
    import dask
    import dask.array as da
except ImportError as error:
    raise ImportError(
        'skredu.dask needs Dask: install it with pip install "skredu[dask]".'
    ) from error

__all__ = ["apply", "fit", "predict", "transform"]

# Number of models that are merged at a time.
BRANCHES = 8


def fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    classes: Any = None,
) -> Any:
    """Fit an estimator to the samples of a Dask collection.

    Each block of samples is summarised where it is, and only the summaries travel. The
    model is that of `fit` on all samples up to rounding, if parameters are given or if
    there are at most 5 000 samples. Otherwise, parameters are chosen by 5 000 of them,
    as in ``partial_fit``.

    Parameters
    ----------
    estimator : estimator
        An estimator with ``partial_fit`` and ``merge``: `~skredu.MICLClassifier` with a
        linear kernel, `~skredu.NearestSubspaceClassifier`,
        `~skredu.InvariantReduNetClassifier` without layers, or
        `~skredu.CompressionOutlierDetector` with ``n_neighbors=None``. It is not
        changed.
    X : dask array of shape (n_samples, n_features) or dask data frame
        The training data. Blocks may have an unknown number of samples.
    y : dask array or series of shape (n_samples,), default=None
        Class labels, in blocks of the same samples as ``X``. An array whose numbers of
        samples are known may have other blocks.
    sample_weight : dask array or series of shape (n_samples,), default=None
        Weights of the samples, in blocks like ``y``.
    classes : array-like of shape (n_classes,), default=None
        All class labels. If None, they are found in a pass over ``y`` and the weights.

    Returns
    -------
    model : estimator
        A fitted copy of the estimator.

    Raises
    ------
    TypeError
        If the estimator needs all samples at once, or if ``X`` is not a collection.
    ValueError
        If the blocks do not fit together, or if there is no sample.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_digits
    >>> import skredu.dask
    >>> from skredu import MICLClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(300, 64)), da.from_array(y, chunks=300)
    >>> model = skredu.dask.fit(MICLClassifier(), X, y)
    >>> labels = skredu.dask.predict(model, X)
    >>> labels.shape, bool((labels == y).mean().compute() > 0.98)
    ((1797,), True)
    """
    if not (hasattr(estimator, "partial_fit") and hasattr(estimator, "merge")):
        raise TypeError(
            f"{estimator!r} needs all samples at once, with its present parameters: "
            "skredu.dask fits MICLClassifier(kernel='linear'), "
            "NearestSubspaceClassifier(), InvariantReduNetClassifier(0) and "
            "CompressionOutlierDetector(n_neighbors=None). To load all samples, pass "
            "X.compute() to its method fit."
        )
    rows, given = _blocks_of_all(X, y, sample_weight)
    if y is not None and classes is None:
        parts = zip(
            given["y"], given.get("sample_weight", len(rows) * [None]), strict=True
        )
        (found,) = dask.compute([dask.delayed(_classes)(*part) for part in parts])
        classes = np.unique(np.concatenate(found))
    shared = dask.delayed(clone(estimator), traverse=False)
    summary, merged = dask.delayed(_part), dask.delayed(_merged)
    models = [
        summary(shared, part, classes, **{name: own[i] for name, own in given.items()})
        for i, part in enumerate(rows)
    ]
    while len(models) > 1:
        groups = range(0, len(models), BRANCHES)
        models = [merged(models[i : i + BRANCHES]) for i in groups]
    (model,) = dask.compute(models[0])
    if model is None:
        raise ValueError(
            "X contains no sample of positive weight: at least one is needed to fit."
        )
    return model


def apply(model: Any, X: Any, method: str = "predict") -> Any:
    """Call a method of a fitted model for each block of samples, when it is needed.

    Parameters
    ----------
    model : estimator
        Any fitted estimator or pipeline.
    X : dask array of shape (n_samples, n_features) or dask data frame
        The samples.
    method : str, default="predict"
        Name of a method that returns one row per sample, such as ``"predict_proba"``,
        ``"decision_function"`` or ``"score_samples"``.

    Returns
    -------
    results : dask array of shape (n_samples,) or (n_samples, n_outputs)
        The results, which are computed when they are needed. The number of samples is
        unknown if it is for ``X``.

    Raises
    ------
    TypeError
        If ``X`` is not a collection.
    ValueError
        If the model is not fitted, or if the number of features is wrong.
    """
    check_is_fitted(model)
    blocks = _blocks(X, "X")
    names = getattr(X, "columns", None)
    like: Any = np.zeros((1, X.shape[1]), getattr(X, "dtype", np.float64))
    if names is not None:
        like = X._meta.reindex(range(1)).fillna(0)
    result = np.asarray(getattr(model, method)(like))
    shared, call = dask.delayed(model, traverse=False), dask.delayed(_called)
    counts = X.chunks[0] if names is None else [np.nan] * len(blocks)
    empty = np.empty((0, *result.shape[1:]), result.dtype)
    parts = [
        da.from_delayed(
            call(shared, method, block, empty),
            (count, *result.shape[1:]),
            meta=empty,
        )
        for block, count in zip(blocks, counts, strict=True)
    ]
    return da.concatenate(parts)


def predict(model: Any, X: Any) -> Any:
    """Predict the samples of a Dask collection, when the predictions are needed.

    Parameters
    ----------
    model : estimator
        A fitted estimator with the method ``predict``; see `apply` for other methods.
    X : dask array of shape (n_samples, n_features) or dask data frame
        The samples.

    Returns
    -------
    y : dask array of shape (n_samples,)
        The predictions.

    Raises
    ------
    TypeError
        If ``X`` is not a collection.
    ValueError
        If the model is not fitted, or if the number of features is wrong.
    """
    return apply(model, X, "predict")


def transform(model: Any, X: Any) -> Any:
    """Transform the samples of a Dask collection, when the features are needed.

    Parameters
    ----------
    model : estimator
        A fitted estimator with the method ``transform``.
    X : dask array of shape (n_samples, n_features) or dask data frame
        The samples.

    Returns
    -------
    Z : dask array of shape (n_samples, n_outputs)
        The features.

    Raises
    ------
    TypeError
        If ``X`` is not a collection.
    ValueError
        If the model is not fitted, or if the number of features is wrong.
    """
    return apply(model, X, "transform")


def _blocks(X: Any, name: str) -> list[Any]:
    """Return the blocks of samples of a collection, in which all features are."""
    if not dask.is_dask_collection(X) or not hasattr(X, "to_delayed"):
        raise TypeError(
            f"{name} must be a dask array or data frame, found {type(X).__name__}."
        )
    if isinstance(X, da.Array):
        if X.ndim == 2:
            X = X.rechunk({1: -1})
        return list(X.to_delayed().ravel())
    return list(X.to_delayed())


def _blocks_like(X: Any, column: Any, name: str, n_blocks: int) -> list[Any]:
    """Return the blocks of labels or weights, which are those of the samples."""
    if isinstance(X, da.Array) and isinstance(column, da.Array):
        known = not np.isnan(X.shape[0] + column.shape[0])
        if known and X.shape[0] != column.shape[0]:
            raise ValueError(
                f"X has {X.shape[0]} samples, but {name} has {column.shape[0]}."
            )
        if known:
            column = column.rechunk((X.chunks[0], *column.chunks[1:]))
    blocks = _blocks(column, name)
    if len(blocks) != n_blocks:
        raise ValueError(
            f"{name} must have the same blocks of samples as X, which has {n_blocks}, "
            f"found {len(blocks)}: use repartition."
        )
    return blocks


def _part(
    estimator: Any, X: Any, classes: Any, y: Any = None, sample_weight: Any = None
) -> Any:
    """Return the model of a block; None if no sample has a positive weight."""
    if sample_weight is None:
        if not len(X):
            return None
    elif len(sample_weight) == len(X):
        kept = np.asarray(sample_weight) != 0.0
        if not np.any(kept):
            return None
        X, sample_weight = X[kept], sample_weight[kept]
        y = None if y is None else y[kept]
    options: dict[str, Any] = {} if y is None else {"classes": classes}
    arguments = [X] if y is None else [X, y]
    return clone(estimator).partial_fit(
        *arguments, sample_weight=sample_weight, **options
    )


def _blocks_of_all(
    X: Any, y: Any, sample_weight: Any
) -> tuple[list[Any], dict[str, list[Any]]]:
    """Return the blocks of samples, and those of labels and weights if given."""
    rows = _blocks(X, "X")
    columns = {"y": y, "sample_weight": sample_weight}
    return rows, {
        name: _blocks_like(X, column, name, len(rows))
        for name, column in columns.items()
        if column is not None
    }


def _classes(y: Any, sample_weight: Any) -> Any:
    """Return the labels of the samples of a block that have a weight."""
    labels = np.asarray(y)
    if sample_weight is None or len(sample_weight) != len(labels):
        return np.unique(labels)
    return np.unique(labels[np.asarray(sample_weight) != 0.0])


def _merged(models: list[Any]) -> Any:
    """Return the model of several blocks."""
    models = [model for model in models if model is not None]
    return type(models[0]).from_parts(models) if models else None


def _called(model: Any, method: str, X: Any, empty: Any) -> Any:
    """Return the results for a block of samples."""
    call: Callable[[Any], Any] = getattr(model, method)
    return np.asarray(call(X)) if len(X) else empty
