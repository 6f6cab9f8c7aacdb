"""Nodes of the graph of an estimator in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType

PROTO = {
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
}


class Graph:
    """Nodes of the graph of an estimator, in double precision inside.

    Parameters
    ----------
    scope, operator, container :
        What skl2onnx passes to a converter.

    Attributes
    ----------
    X : str
        Name of the samples.
    n_blocks : int
        Number of blocks of features; 0 for features (n, d) without blocks. Those of
        spectra are arrays (F, n, 2C) of real and imaginary parts.
    """

    n_blocks = 0

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container
        given = operator.inputs[0]
        self.double = isinstance(given.type, DoubleTensorType)
        self.X = given.full_name
        if not self.double:
            self.X = self.apply("Cast", self.X, to=TensorProto.DOUBLE)

    def apply(self, name: str, *inputs: Any, domain: str = "", **options: Any) -> str:
        """Add a node of an operator of ONNX, and return the name of its output."""
        found = self.scope.get_unique_variable_name(name.lower())
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        options["name"] = self.scope.get_unique_operator_name(name)
        self.container.add_node(name, names, found, op_domain=domain, **options)
        return str(found)

    def constant(self, value: Any) -> str:
        """Add an array, numbers in double precision, and return its name."""
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(np.float64)
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
        return self.apply("Concat", *columns, axis=-1)

    def turned(self, X: Any, *axes: int) -> Any:
        """Return a node with its axes in another order."""
        return self.apply("Transpose", X, perm=axes)

    def shaped(self, X: Any, *shape: int) -> Any:
        """Return a node in another shape."""
        return self.apply("Reshape", X, np.array(shape, dtype=np.int64))

    def squares(self, X: Any, width: int) -> Any:
        """Return squared norms, of samples in every block, (n, 1) or (F, n, 1)."""
        return self.product(self.times(X, X), np.ones((width, 1)))

    def total(self, X: Any) -> Any:
        """Return a sum over all blocks, which remain as an axis if there are several.

        It has the shape (n, 1) or (1, n, 1).
        """
        if not self.n_blocks:
            return X
        return self.apply("ReduceSum", X, np.array([0], dtype=np.int64), keepdims=1)

    def norms(self, X: Any, width: int) -> Any:
        """Return norms of samples."""
        return self.apply("Sqrt", self.total(self.squares(X, width)))

    def normalised(self, X: Any, width: int) -> Any:
        """Divide rows by their norms; zeros stay zeros."""
        return self.divided(X, self.norms(X, width))

    def divided(self, X: Any, sizes: Any) -> Any:
        """Divide rows by their sizes; zeros stay zeros."""
        least = [[float(np.finfo(np.float64).tiny)]]
        return self.apply("Div", X, self.apply("Max", sizes, least))

    def on_sphere(self, X: Any, width: int) -> Any:
        """Divide samples by their norms, whose squares may be out of range."""
        sizes = self.product(self.apply("Abs", X), np.ones((width, 1)))
        return self.normalised(self.divided(X, sizes), width)

    def log1p(self, X: Any) -> Any:
        """Return the logarithm of one plus a node."""
        return self.apply("Log", self.plus(X, [[1.0]]))

    def output(self, *nodes: Any) -> None:
        """Let nodes be the outputs of the operator; the last one contains numbers."""
        *labels, numbers = nodes
        if not self.double:
            numbers = self.apply("Cast", numbers, to=TensorProto.FLOAT)
        for node, variable in zip(
            (*labels, numbers), self.operator.outputs, strict=True
        ):
            name = self.scope.get_unique_operator_name("Identity")
            self.container.add_node("Identity", node, variable.full_name, name=name)
