"""Conversion of fitted estimators to ONNX (``pip install "skredu[onnx]"``).

After ``register()``, ``skl2onnx.to_onnx`` converts `~skredu.MICLClassifier` with a
linear kernel, `~skredu.NearestSubspaceClassifier`, `~skredu.MCR2Transformer`,
`~skredu.ReduNetTransformer`, `~skredu.ReduNetClassifier`, and the networks for signals,
`~skredu.InvariantReduNetTransformer` and `~skredu.InvariantReduNetClassifier`, also in
a pipeline or an ensemble of scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
    )
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
    )
    from skl2onnx.common.utils_classifier import get_label_classes
except ImportError as error:
    raise ImportError(
        'skredu.onnx needs skl2onnx: install it with pip install "skredu[onnx]".'
    ) from error

from skredu import (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)
from skredu.coding._classes import Classes
from skredu.onnx._coding import (
    joined,
    logits,
    positive,
    real,
    signals,
    softmax,
    spectra,
)
from skredu.onnx._graph import Graph
from skredu.redunet import Grid, components_of

__all__ = ["register"]


def register() -> None:
    """Tell skl2onnx how to convert the estimators of skredu.

    Call it once before ``skl2onnx.to_onnx``. Labels are those of ``predict``. Numbers
    are computed in double precision, also for single-precision samples, so
    probabilities differ by rounding errors of the estimator only: in tests, by less
    than 1e-6 in single precision and 1e-10 in double precision.
    `~skredu.MICLClassifier` is converted with ``kernel="linear"`` only, and
    `~skredu.InvariantReduNetTransformer` with ``output="equivariant"`` only. Samples
    with missing features have probabilities of NaN. The second
    output of `~skredu.NearestSubspaceClassifier`, which has no probabilities, is
    ``decision_function`` with one column per class.

    Examples
    --------
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu import MICLClassifier
    >>> import skredu.onnx
    >>> skredu.onnx.register()
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MICLClassifier()).fit(X, y)
    >>> file = to_onnx(model, X[:1], options={"zipmap": False})
    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession(file.SerializeToString())
    >>> labels, probabilities = session.run(None, {"X": X})
    >>> bool((labels == model.predict(X)).all())
    True
    """
    choices: dict[str, list[Any]] = {
        "zipmap": [True, False, "columns"],
        "nocl": [True, False],
        "output_class_labels": [False, True],
    }
    for kind, convert in CLASSIFIERS.items():
        update_registered_converter(
            kind,
            f"Skredu{kind.__name__}",
            calculate_linear_classifier_output_shapes,
            convert,
            options=choices,
        )
    for kind, convert in TRANSFORMERS.items():
        update_registered_converter(
            kind, f"Skredu{kind.__name__}", _shapes_of_features, convert
        )


def _shapes_of_features(operator: Any) -> None:
    """Set the type and the shape of the output of a transformer."""
    kind = operator.inputs[0].type
    kind = DoubleTensorType if isinstance(kind, DoubleTensorType) else FloatTensorType
    width = operator.raw_operator._n_features_out
    operator.outputs[0].type = kind([None, width])


def _output_classes(graph: Graph, scores: Any, second: Any) -> None:
    """Output the labels of the highest scores, and probabilities or the like."""
    if graph.n_blocks:  # from (1, n, k)
        k = len(graph.operator.raw_operator.classes_)
        scores, second = graph.shaped(scores, -1, k), graph.shaped(second, -1, k)
    # indices instead of labels with the option "nocl"
    classes = get_label_classes(graph.scope, graph.operator.raw_operator)
    if classes.dtype.kind in "biu":
        classes = classes.astype(np.int64)
    elif classes.dtype.kind not in "UO":
        raise NotImplementedError(
            f"Labels must be integers or strings in ONNX, found {classes.dtype}."
        )
    else:
        classes = classes.astype(str)
    best = graph.apply("ArgMax", scores, axis=1, keepdims=0)
    extract, ml = "ArrayFeatureExtractor", {"domain": "ai.onnx.ml"}
    labels = graph.apply(extract, classes[None, :], best, **ml)
    labels = graph.apply("Reshape", labels, np.array([-1], dtype=np.int64))
    graph.output(labels, second)


# -- estimators -----------------------------------------------------------------------


def _convert_micl(scope: Any, operator: Any, container: Any) -> None:
    """Convert a MICLClassifier of vectors."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    state = model._model
    if hasattr(model, "_mix") or "products" in state or "neighbours" in state:
        raise NotImplementedError(
            "MICLClassifier is converted to ONNX with kernel='linear' and without "
            f"n_neighbors only, found {model!r}."
        )
    groups, size = Classes.of_state(state).groups, model.n_features_in_
    Z = graph.times(graph.X, [[1.0 / model._unit]])
    scores = logits(graph, groups, model._epsilon, model._log_priors, Z, size)
    proba = softmax(graph, scores, model.temperature_)
    _output_classes(graph, scores, proba)


def _convert_subspaces(scope: Any, operator: Any, container: Any) -> None:
    """Convert a NearestSubspaceClassifier."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    d, columns = model.n_features_in_, []
    for mean, V in zip(model.means_, model.components_, strict=True):
        if np.isnan(mean).any():  # the class has no samples
            far = graph.product(graph.X, np.zeros((d, 1)))
            columns.append(graph.plus(far, [[np.inf]]))
            continue
        rest = graph.plus(graph.X, -mean[None, :])
        rest = graph.times(rest, [[1.0 / model._unit]])  # squares may be out of range
        along = graph.product(graph.product(rest, V.T), V) if len(V) else None
        rest = rest if along is None else graph.minus(rest, along)
        columns.append(graph.norms(rest, d))
    scores = graph.times(joined(graph, columns), [[-1.0]])
    _output_classes(graph, scores, graph.times(scores, [[model._unit]]))


def _convert_maps(scope: Any, operator: Any, container: Any) -> None:
    """Convert an MCR2Transformer."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    Z = graph.X
    for i, layer in enumerate(model.layers_):
        if i and model._activation is not None:
            Z = graph.apply({"relu": "Relu", "tanh": "Tanh"}[model._activation], Z)
        W = layer["components"]
        Z = graph.plus(graph.product(Z, W.T), layer["intercept"][None, :])
        Z = graph.normalised(Z, len(W))
    graph.output(Z)


def _enter(graph: Graph, space: Any) -> tuple[Any, int, Any, Any]:
    """Return features, their number, what is outside of them, and their directions."""
    if isinstance(space, Grid):
        X = graph.on_sphere(graph.X, space.n_features_out)
        graph.n_blocks = int(space.counts.shape[0])
        return spectra(graph, space, X), 2 * space.n_channels, None, None
    d, X = space.n_features, graph.X
    if space.constant is not None:
        zeros = graph.product(X, np.zeros((d - 1, 1)))
        # ONNX Runtime leaves out sums with numbers that are zero in single precision
        X = graph.concatenated(X, graph.apply("Max", zeros, [[space.constant]]))
    X = graph.on_sphere(X, d)
    B = space.basis
    if B is None and space.used is None:
        return X, d, None, None
    if B is None:
        B = np.eye(d)[:, space.used]
    inside = graph.product(X, B)
    if not space.has_rest:
        return inside, B.shape[1], None, B
    rest = graph.minus(X, graph.product(inside, B.T))
    length = graph.norms(rest, d)
    return (
        graph.concatenated(inside, length),
        B.shape[1] + 1,
        graph.normalised(rest, d),
        B,
    )


def _moved(graph: Graph, space: Any, layers: Any) -> tuple[Any, int, Any, Any]:
    """Return features after the last layer, and the rest as `_enter`."""
    Z, size, outside, B = _enter(graph, space)
    before = Z
    for layer in layers:
        change = _change(graph, layer.operators, Z, size)
        if layer.rule == "momentum":
            factor = layer.momentum / layer.step
            velocity = graph.times(graph.minus(Z, before), [[factor]])
            change, before = graph.plus(change, velocity), Z
        reached = graph.plus(Z, graph.times(change, [[layer.step]]))
        reached = graph.normalised(reached, size)
        if layer.rule == "nesterov":
            velocity = graph.times(graph.minus(reached, before), [[layer.momentum]])
            before = reached
            reached = graph.normalised(graph.plus(reached, velocity), size)
        Z = reached
    return Z, size, outside, B


def _change(graph: Graph, layer: Any, Z: Any, size: int) -> Any:
    """Return the change of features by a layer; see `Layer.change`."""
    epsilon = layer.epsilon
    total = graph.times(graph.product(Z, real(layer.whole.matrix(epsilon))), [[-1.0]])
    parts = [graph.product(Z, real(group.matrix(epsilon))) for group in layer.classes]
    if layer.power == 0:
        for part in parts:
            total = graph.plus(total, positive(graph, layer.space, part))
        return total
    k = len(parts)
    if layer.power == 1:
        logs = layer.scores(np.zeros((1, k)))
        scores = logits(graph, layer.classes, epsilon, logs, Z, size)
    else:
        norms = [graph.norms(graph.minus(Z, part), size) for part in parts]
        slopes = layer.scores(np.ones((1, k)))
        scores = graph.times(joined(graph, norms), slopes)
    Pi = softmax(graph, scores)
    for j, part in enumerate(parts):
        member = graph.product(Pi, np.eye(k)[:, j : j + 1])
        total = graph.plus(total, graph.times(part, member))
    return total


def _convert_net(scope: Any, operator: Any, container: Any) -> None:
    """Convert a ReduNetTransformer or an InvariantReduNetTransformer."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    if getattr(model, "output", "equivariant") != "equivariant":
        raise NotImplementedError(
            f"output='equivariant' is needed for ONNX, found {model!r}."
        )
    space, layers, _ = components_of(model)
    Z, size, outside, B = _moved(graph, space, layers)
    if graph.n_blocks:
        graph.output(signals(graph, space, Z))
        return
    if B is None:
        graph.output(Z)
        return
    if outside is None:
        graph.output(graph.product(Z, B.T))
        return
    shown = graph.product(Z, np.vstack([B.T, np.zeros((1, len(B)))]))
    length = graph.product(Z, np.eye(size)[:, -1:])
    shown = graph.plus(shown, graph.times(outside, length))
    graph.output(shown)


def _convert_net_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Convert a ReduNetClassifier or an InvariantReduNetClassifier."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    space, layers, decision = components_of(model)
    Z, size, _, _ = _moved(graph, space, layers)
    groups, epsilon = Classes.of_state(decision).groups, decision["epsilon"]
    scores = logits(graph, groups, epsilon, decision["log_priors"], Z, size)
    proba = softmax(graph, scores, model.temperature_)
    _output_classes(graph, scores, proba)


CLASSIFIERS: dict[Any, Any] = {
    MICLClassifier: _convert_micl,
    NearestSubspaceClassifier: _convert_subspaces,
    ReduNetClassifier: _convert_net_classifier,
    InvariantReduNetClassifier: _convert_net_classifier,
}
TRANSFORMERS: dict[Any, Any] = {
    MCR2Transformer: _convert_maps,
    ReduNetTransformer: _convert_net,
    InvariantReduNetTransformer: _convert_net,
}
