"""Models of Dask arrays and data frames, whose samples need not fit into memory.

Estimators with ``partial_fit`` and ``merge`` are fitted to each block of samples, and
the models of the blocks are merged in a tree. The result is the model of all samples.
Networks need a pass over the blocks for each layer, in which samples are moved and the
scatters of the next layer are added up.
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

from skredu._base import warn
from skredu.coding._rows import ABSENT
from skredu.dask._blocks import (
    blocks_of,
    check_two_axes,
    reduced,
    training_blocks,
    with_weight,
)
from skredu.dask._nets import fit_net
from skredu.redunet import BaseNet

__all__ = ["apply", "fit", "predict", "transform"]


def fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    classes: Any = None,
    keep_features: bool = False,
) -> Any:
    """Fit an estimator to the samples of a Dask collection.

    Each block of samples is summarised where it is, and only the summaries travel. The
    model is that of `fit` on all samples up to rounding, if parameters are given or if
    there are at most 5 000 samples. Otherwise, parameters are chosen by 5 000 of them,
    as in ``partial_fit``.

    Networks with layers also move the samples block by block. With the memberships
    ``"coding"`` and ``construction="left_out"``, a label code is fitted in each layer,
    which is another parameter that is chosen by at most 5 000 samples. In this
    construction, a sample is left out without its copies in other blocks, unlike in
    `fit`.
    Callbacks do not observe these fits.

    Parameters
    ----------
    estimator : estimator
        `~skredu.MICLClassifier` with a linear kernel,
        `~skredu.NearestSubspaceClassifier`, `~skredu.CompressionOutlierDetector` with
        ``n_neighbors=None``, or a network: `~skredu.ReduNetClassifier`,
        `~skredu.ReduNetTransformer`, `~skredu.InvariantReduNetClassifier`, or
        `~skredu.InvariantReduNetTransformer`. It is not changed.
    X : dask array of shape (n_samples, n_features) or dask data frame
        The training data. Blocks may have an unknown number of samples.
    y : dask array or series of shape (n_samples,), default=None
        Class labels, in blocks of the same samples as ``X``. An array whose numbers of
        samples are known may have other blocks.
    sample_weight : dask array or series of shape (n_samples,), default=None
        Weights of the samples, in blocks like ``y``. As in ``partial_fit``, they are
        numbers of copies and are not rescaled, however small their sum is.
    classes : array-like of shape (n_classes,), default=None
        All class labels. If None, they are found in a pass over ``y`` and the weights.
    keep_features : bool, default=False
        Whether workers keep the features of all samples in memory between the layers of
        a network. Otherwise, each pass computes them again from the samples, through
        all layers so far, so that ``l`` layers take ``l * (l + 1) / 2`` motions.

    Returns
    -------
    model : estimator
        A fitted copy of the estimator.

    Raises
    ------
    TypeError
        If the estimator needs all samples at once, or if ``X`` is not a collection.
    ValueError
        If the blocks do not fit together, if there is no sample, or if a parameter
        needs all samples at once (``warm_start=True``, ``class_weight="balanced"``).

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
    adds_up = hasattr(estimator, "partial_fit") and hasattr(estimator, "merge")
    if not (adds_up or isinstance(estimator, BaseNet)):
        raise TypeError(
            f"{estimator!r} needs all samples at once, with its present parameters: "
            "skredu.dask fits MICLClassifier(kernel='linear'), "
            "NearestSubspaceClassifier(), CompressionOutlierDetector(n_neighbors=None) "
            "and networks. To load all samples, pass X.compute() to its method fit."
        )
    parts = training_blocks(X, y, sample_weight)
    if y is not None and classes is None:
        (found,) = dask.compute([dask.delayed(_classes)(part) for part in parts])
        classes, every = (
            np.unique(np.concatenate(f)) for f in zip(*found, strict=True)
        )
        absent = np.setdiff1d(every, classes)
        if 0 < len(absent) < len(every):
            warn(ABSENT.format(absent.tolist()))
    if adds_up:
        shared = dask.delayed(clone(estimator), traverse=False)
        part_of = dask.delayed(_part)
        model = reduced([part_of(shared, p, classes) for p in parts], _merged)
    elif y is None:
        raise ValueError(f"y is None, but {type(estimator).__name__} needs labels.")
    else:
        model = fit_net(clone(estimator), parts, classes, keep_features=keep_features)
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
    blocks = blocks_of(X, "X")
    check_two_axes(X)
    names = getattr(X, "columns", None)
    like: Any = np.zeros((1, X.shape[1]), getattr(X, "dtype", np.float64))
    if names is not None:
        like = X._meta.reindex(range(1))
        numbers = like.select_dtypes("number").shape[1] == len(names)
        # steps before the model may know no other categories than those of samples
        like = like.fillna(0) if numbers else X.head(1, npartitions=-1)
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


def _part(estimator: Any, part: dict[str, Any], classes: Any) -> Any:
    """Return the model of a block; None if no sample has a positive weight."""
    found = with_weight(**part)
    if found is None:
        return None
    X, y, sample_weight = found
    options: dict[str, Any] = {} if y is None else {"classes": classes}
    arguments = [X] if y is None else [X, y]
    return clone(estimator).partial_fit(
        *arguments, sample_weight=sample_weight, **options
    )


def _classes(part: dict[str, Any]) -> tuple[Any, Any]:
    """Return the labels of the samples of a block that have a weight, and of all."""
    labels, weights = np.asarray(part["y"]), part.get("sample_weight")
    every = np.unique(labels)
    if weights is None or len(weights) != len(labels):
        return every, every
    return np.unique(labels[np.asarray(weights) != 0.0]), every


def _merged(models: list[Any]) -> Any:
    """Return the model of several blocks."""
    return type(models[0]).from_parts(models)


def _called(model: Any, method: str, X: Any, empty: Any) -> Any:
    """Return the results for a block of samples."""
    call: Callable[[Any], Any] = getattr(model, method)
    return np.asarray(call(X)) if len(X) else empty
