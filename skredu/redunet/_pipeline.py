"""make_invariant_pipeline: scattering, and a network that is invariant to shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline

from skredu._signals import shape_of
from skredu.lifting import ScatteringTransformer
from skredu.redunet._invariant import InvariantReduNetClassifier


def make_invariant_pipeline(
    signal_shape: int | Sequence[int],
    *,
    n_layers: int = 0,
    class_weight: Any = None,
    memory: Any = None,
    **scattering: Any,
) -> Pipeline:
    """Build a classifier of series or images whose position does not matter.

    The pipeline consists of `ScatteringTransformer` and `InvariantReduNetClassifier`,
    which uses the grid of its output. Predictions are the same for all cyclic shifts by
    multiples of the distance of output points, and nearly the same for others; with
    ``subsampling=1``, they are the same for all cyclic shifts. Put no
    ``StandardScaler`` before it, which would treat every point of the grid differently.

    Parameters
    ----------
    signal_shape : int or tuple of int
        Shape of the grid of the samples: the length of series, or height and width of
        images.
    n_layers : int, default=0
        Largest number of layers of the network. Without layers, the network can also be
        fitted with ``partial_fit``, see Examples.
    class_weight : dict or "balanced", default=None
        Weights of the classes, see `InvariantReduNetClassifier`.
    memory : str or object with the joblib.Memory interface, default=None
        Cache of the fitted transformer, see `sklearn.pipeline.Pipeline`.
    **scattering : dict
        Parameters of `ScatteringTransformer`.

    Returns
    -------
    pipeline : Pipeline
        The classifier, which is not fitted.

    Raises
    ------
    ValueError
        If ``signal_shape`` is not one or several positive integers.

    See Also
    --------
    ScatteringTransformer : Describes signals by averaged moduli of wavelet transforms.
    InvariantReduNetClassifier : Classifies signals, invariant to shifts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skredu import make_invariant_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_invariant_pipeline((8, 8), subsampling=1).fit(X[:500], y[:500])
    >>> moved = np.roll(X[500:].reshape(-1, 8, 8), (3, 5), axis=(1, 2)).reshape(-1, 64)
    >>> score = model.score(moved, y[500:])
    >>> score > 0.9, bool(score == model.score(X[500:], y[500:]))
    (True, True)

    The samples may come in parts. The offsets of the transformer are those of the first
    part.

    >>> model = make_invariant_pipeline((8, 8))
    >>> _ = model[0].fit(X[:250])
    >>> for rows, labels in zip(np.split(X[:500], 2), np.split(y[:500], 2)):
    ...     net = model[1].partial_fit(
    ...         model[0].transform(rows), labels, classes=range(10)
    ...     )
    >>> bool(model.score(X[500:], y[500:]) > 0.9)
    True
    """
    shape_of(signal_shape, "signal_shape")
    return make_pipeline(
        ScatteringTransformer(signal_shape=signal_shape, **scattering),
        InvariantReduNetClassifier(n_layers, class_weight=class_weight),
        memory=memory,
    )


make_invariant_pipeline.__module__ = "skredu"
