"""Conversion of fitted estimators to ONNX (``pip install "skredu[onnx]"``).

After ``register()``, ``skl2onnx.to_onnx`` converts `~skredu.MICLClassifier` with a
linear kernel, `~skredu.NearestSubspaceClassifier`, `~skredu.MCR2Transformer`,
`~skredu.ReduNetTransformer` and `~skredu.ReduNetClassifier`, also in a pipeline or an
ensemble of scikit-learn.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

try:
    from onnx import TensorProto
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
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)
from skredu.coding._classes import Classes

__all__ = ["register"]

PROTO = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
}


def register() -> None:
    """Tell skl2onnx how to convert the estimators of skredu.

    Call it once before ``skl2onnx.to_onnx``. Labels are those of ``predict``, and
    probabilities differ by rounding errors of the type of the input: convert with
    double-precision samples if single precision is not enough.
    `~skredu.MICLClassifier` is converted with ``kernel="linear"`` only. The second
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


class Graph:
    """Nodes of the graph of an estimator, in the type of its input.

    Parameters
    ----------
    scope, operator, container :
        What skl2onnx passes to a converter.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container
        given = operator.inputs[0]
        double = isinstance(given.type, DoubleTensorType)
        self.dtype = np.float64 if double else np.float32
        self.X = given.full_name
        if not isinstance(given.type, FloatTensorType | DoubleTensorType):
            self.X = self.apply("Cast", self.X, to=TensorProto.FLOAT)

    def apply(self, name: str, *inputs: Any, domain: str = "", **options: Any) -> str:
        """Add a node of an operator of ONNX, and return the name of its output."""
        found = self.scope.get_unique_variable_name(name.lower())
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        options["name"] = self.scope.get_unique_operator_name(name)
        self.container.add_node(name, names, found, op_domain=domain, **options)
        return str(found)

    def constant(self, value: Any) -> str:
        """Add an array, numbers in the type of the input, and return its name."""
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(self.dtype)
        name = self.scope.get_unique_variable_name("constant")
        kind = value.dtype.kind
        flat = value.ravel().tolist()
        if kind == "U":
            flat = [label.encode() for label in flat]
        proto = TensorProto.STRING if kind == "U" else PROTO[value.dtype.name]
        self.container.add_initializer(name, proto, value.shape, flat)
        return str(name)

    def product(self, X: Any, A: Any) -> Any:
        """Return a matrix product with an array."""
        return self.apply("MatMul", X, np.asarray(A, dtype=float))

    def plus(self, X: Any, value: Any) -> Any:
        """Return a sum of a node with an array or a node."""
        return self.apply("Add", X, value)

    def times(self, X: Any, value: Any) -> Any:
        """Return a product of entries of a node and of an array or a node."""
        return self.apply("Mul", X, value)

    def minus(self, X: Any, Y: Any) -> Any:
        """Return the difference of two nodes."""
        return self.apply("Sub", X, Y)

    def concatenated(self, *columns: Any) -> Any:
        """Return nodes side by side."""
        return self.apply("Concat", *columns, axis=1)

    def squares(self, X: Any, width: int) -> Any:
        """Return squared norms (n, 1) of rows with this number of entries."""
        return self.product(self.times(X, X), np.ones((width, 1)))

    def norms(self, X: Any, width: int) -> Any:
        """Return norms (n, 1) of rows."""
        return self.apply("Sqrt", self.squares(X, width))

    def normalised(self, X: Any, width: int) -> Any:
        """Divide rows by their norms; zeros stay zeros."""
        least = [[float(np.finfo(self.dtype).tiny)]]
        return self.apply("Div", X, self.apply("Max", self.norms(X, width), least))

    def log1p(self, X: Any) -> Any:
        """Return the logarithm of one plus a node."""
        return self.apply("Log", self.plus(X, [[1.0]]))

    def output(self, *nodes: Any) -> None:
        """Let nodes be the outputs of the operator."""
        for node, variable in zip(nodes, self.operator.outputs, strict=True):
            name = self.scope.get_unique_operator_name("Identity")
            self.container.add_node("Identity", node, variable.full_name, name=name)


def _output_classes(graph: Graph, scores: Any, second: Any) -> None:
    """Output the labels of the highest scores, and probabilities or the like."""
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


# -- coded groups ---------------------------------------------------------------------


def _whitening(group: Any, epsilon: float, size: int) -> Any:
    """Return a matrix ``W`` such that the forms of ``z`` are the squares of ``z W``."""
    if hasattr(group, "basis"):
        V = np.asarray(group.basis[0], dtype=np.float64)
        c = group.blocks.scale(group.n + 1.0, epsilon)[0]
        shrink = 1.0 / np.sqrt(1.0 + c * group.eigenvalues[0])
        W = np.eye(len(V)) + (V * (shrink - 1.0)) @ V.T
    else:
        W = np.asarray(group.form_matrix(1)[0], dtype=np.float64)
    full = np.eye(size)
    index = np.arange(size) if group.varying is None else group.varying
    full[np.ix_(index, index)] = W
    return full


def _nats(graph: Graph, group: Any, epsilon: float, Z: Any, size: int) -> Any:
    """Return the extra nats (n, 1) of features of some size in a group."""
    n, d, mean = group.n, group.blocks.dim, group.mean
    c, half = float(group.blocks.scale(n + 1.0, epsilon)[0]), (n + 1.0 + d) / 2.0
    middle = np.zeros(size) if mean is None else mean
    constant = float(group.extra(middle[None, :, None], epsilon)[0])
    centred = Z
    if mean is not None:
        centred, c = graph.plus(Z, -mean[None, :]), c * n / (n + 1.0)
    whitened = graph.product(centred, _whitening(group, epsilon, size))
    log_factor = graph.log1p(graph.times(graph.squares(whitened, size), [[c]]))
    nats = graph.plus(graph.times(log_factor, [[half]]), [[constant]])
    if mean is None:
        return nats
    moved = graph.times(graph.plus(Z, n * mean[None, :]), [[1.0 / (n + 1.0)]])
    square = graph.times(graph.squares(moved, size), [[1.0 / epsilon**2]])
    change = graph.log1p(square)
    before = math.log1p(float(np.sum(mean.astype(float) ** 2)) / epsilon**2)
    return graph.plus(nats, graph.times(graph.plus(change, [[-before]]), [[d / 2.0]]))


def _logits(
    graph: Graph, groups: list[Any], epsilon: float, logs: Any, Z: Any, size: int
) -> Any:
    """Return logarithms (n, k) of memberships by extra nats, not normalised."""
    nats = [_nats(graph, group, epsilon, Z, size) for group in groups]
    return graph.minus(np.reshape(logs, (1, -1)), _joined(graph, nats))


def _joined(graph: Graph, columns: list[Any]) -> Any:
    return columns[0] if len(columns) == 1 else graph.concatenated(*columns)


def _softmax(graph: Graph, logits: Any, temperature: float = 1.0) -> Any:
    scaled = graph.times(logits, [[1.0 / temperature]])
    return graph.apply("Softmax", scaled, axis=1)


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
    logits = _logits(graph, groups, model._epsilon, model._log_priors, Z, size)
    proba = _softmax(graph, logits, model.temperature_)
    _output_classes(graph, logits, proba)


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
        along = graph.product(graph.product(rest, V.T), V) if len(V) else None
        rest = rest if along is None else graph.minus(rest, along)
        columns.append(graph.norms(rest, d))
    scores = graph.times(_joined(graph, columns), [[-1.0]])
    _output_classes(graph, scores, scores)


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
    d, X = space.n_features, graph.X
    if space.constant is not None:
        zeros = graph.product(X, np.zeros((d - 1, 1)))
        X = graph.concatenated(X, graph.plus(zeros, [[space.constant]]))
    X = graph.normalised(X, d)
    B = space.basis
    if B is None and space.used is None:
        return X, d, None, None
    if B is None:
        B = np.eye(d)[:, space.used]
    inside = graph.product(X, B)
    if not space._has_rest:
        return inside, B.shape[1], None, B
    rest = graph.minus(X, graph.product(inside, B.T))
    length = graph.norms(rest, d)
    return (
        graph.concatenated(inside, length),
        B.shape[1] + 1,
        graph.normalised(rest, d),
        B,
    )


def _moved(graph: Graph, model: Any) -> tuple[Any, int, Any, Any]:
    """Return features after the last layer, and the rest as `_enter`."""
    Z, size, outside, B = _enter(graph, model._restored_space())
    before = Z
    for layer, step, momentum, rule in model._restored_layers():
        change = _change(graph, layer, Z, size)
        if rule == "momentum":
            velocity = graph.times(graph.minus(Z, before), [[momentum / step]])
            change, before = graph.plus(change, velocity), Z
        reached = graph.plus(Z, graph.times(change, [[step]]))
        reached = graph.normalised(reached, size)
        if rule == "nesterov":
            velocity = graph.times(graph.minus(reached, before), [[momentum]])
            before = reached
            reached = graph.normalised(graph.plus(reached, velocity), size)
        Z = reached
    return Z, size, outside, B


def _change(graph: Graph, layer: Any, Z: Any, size: int) -> Any:
    """Return the change of features by a layer; see `Layer.change`."""
    epsilon = layer.epsilon
    total = graph.times(graph.product(Z, layer.whole.matrix(epsilon)[0]), [[-1.0]])
    parts = [graph.product(Z, group.matrix(epsilon)[0]) for group in layer.classes]
    if layer.power == 0:
        for part in parts:
            total = graph.plus(total, graph.apply("Relu", part))
        return total
    k = len(parts)
    if layer.power == 1:
        logs = layer.scores(np.zeros((1, k)))
        logits = _logits(graph, layer.classes, epsilon, logs, Z, size)
    else:
        norms = [graph.norms(graph.minus(Z, part), size) for part in parts]
        slopes = layer.scores(np.ones((1, k)))
        logits = graph.times(_joined(graph, norms), slopes)
    Pi = _softmax(graph, logits)
    for j, part in enumerate(parts):
        member = graph.product(Pi, np.eye(k)[:, j : j + 1])
        total = graph.plus(total, graph.times(part, member))
    return total


def _convert_net(scope: Any, operator: Any, container: Any) -> None:
    """Convert a ReduNetTransformer."""
    graph = Graph(scope, operator, container)
    Z, size, outside, B = _moved(graph, operator.raw_operator)
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
    """Convert a ReduNetClassifier."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    Z, size, _, _ = _moved(graph, model)
    decision = model._decisions[-1]
    groups, epsilon = Classes.of_state(decision).groups, decision["epsilon"]
    logits = _logits(graph, groups, epsilon, decision["log_priors"], Z, size)
    proba = _softmax(graph, logits, model.temperature_)
    _output_classes(graph, logits, proba)


CLASSIFIERS: dict[Any, Any] = {
    MICLClassifier: _convert_micl,
    NearestSubspaceClassifier: _convert_subspaces,
    ReduNetClassifier: _convert_net_classifier,
}
TRANSFORMERS: dict[Any, Any] = {
    MCR2Transformer: _convert_maps,
    ReduNetTransformer: _convert_net,
}
