"""The only file that uses private or version-dependent names of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from numbers import Integral
from typing import Any

import numpy as np
import scipy
from sklearn.utils import _array_api
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._param_validation import RealNotInt, StrOptions
from sklearn.utils.graph import _fix_connected_components as fix_connected_components
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9 has no callbacks
    callback_management_context = nullcontext

    class CallbackSupportMixin:  # type: ignore[no-redef]
        pass


# Whether estimators declare support for the array API. Before scikit-learn 1.9, classes
# had to be arrays of the namespace of the samples, which strings cannot be, and no
# version dispatches with an older SciPy.
ARRAY_API_SUPPORT = hasattr(_array_api, "check_same_namespace") and (
    tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 14)
)

__all__ = [
    "ARRAY_API_SUPPORT",
    "CallbackSupportMixin",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "at_least",
    "callback_management_context",
    "check_same_namespace",
    "check_sample_weight",
    "computing_with_torch",
    "count",
    "fix_connected_components",
    "move_to",
    "namespace",
    "to_numpy",
]


class Interval(_Interval):
    """Interval that accepts any real number, such as fractions and half precision."""

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, np.timedelta64):  # would be treated as an integer
            return False
        try:
            number = value if isinstance(value, Integral) else float(value)
        except OverflowError:
            return False
        return bool(super().__contains__(number))


NUMPY = (np.ndarray, np.generic)
# The namespace of arrays other than NumPy's inside `computing_with_torch`.
_TENSORS: ContextVar[Any] = ContextVar("tensors", default=None)


@contextmanager
def computing_with_torch() -> Iterator[None]:
    """Let `namespace` return that of PyTorch for tensors.

    ``array_api_dispatch`` of scikit-learn would need SciPy's support for tensors, which
    an environment variable enables before the import. No function of SciPy may be
    called in this context.
    """
    try:
        from sklearn.externals.array_api_compat import torch
    except ImportError:  # scikit-learn < 1.7
        from array_api_compat import torch  # type: ignore[no-redef]
    token = _TENSORS.set(_Differentiable(torch))
    try:
        yield
    finally:
        _TENSORS.reset(token)


class _Differentiable:
    """The namespace of PyTorch, with finite gradients of samples that are zero."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def sqrt(self, Z: Any) -> Any:
        """Return the square root, whose gradient at zero is zero."""
        zero = Z == 0
        roots = self._torch.sqrt(self._torch.where(zero, 1.0, Z))
        return self._torch.where(zero, 0.0, roots)


def namespace(*arrays: Any) -> Any:
    """Return the namespace of arrays, which is NumPy without array API dispatch."""
    for array in arrays:
        if not isinstance(array, NUMPY):
            break
    else:  # the check of scikit-learn takes longer than small products
        return np
    tensors = _TENSORS.get()
    if tensors is not None:
        return tensors
    xp, dispatched = _array_api.get_namespace(*arrays)
    if xp.__name__.endswith("array_api_compat.numpy"):
        dispatched = False
    return xp if dispatched else np


def at_least(X: Any, bound: float) -> Any:
    """Replace entries below the bound by it (NumPy 2.0 has no ``clip(min=)``)."""
    xp = namespace(X)
    return xp.maximum(X, bound if xp is np else xp.full_like(X, bound))


def count(truths: Any) -> int:
    """Count true entries (``count_nonzero`` is new in the array API)."""
    xp = namespace(truths)
    return int(xp.sum(xp.astype(truths, xp.int64)))


def move_to(reference: Any, *arrays: Any) -> tuple[Any, ...]:
    """Return arrays in the namespace and on the device of ``reference``."""
    xp = namespace(reference)
    if xp is np:
        return tuple(None if a is None else np.asarray(a) for a in arrays)
    if not hasattr(_array_api, "move_to"):  # scikit-learn < 1.8
        return tuple(
            None if a is None else xp.asarray(a, device=reference.device)
            for a in arrays
        )
    moved = _array_api.move_to(*arrays, xp=xp, device=reference.device)
    return moved if isinstance(moved, tuple) else (moved,)


def to_numpy(array: Any) -> Any:
    """Return an array of any namespace and device as a NumPy array."""
    if type(array) is np.ndarray:
        return array
    xp, _ = _array_api.get_namespace(array)
    return np.asarray(_array_api._convert_to_numpy(array, xp))


def check_same_namespace(
    X: Any, estimator: Any, *, attribute: str, method: str
) -> None:
    """Raise an error if namespace or device of samples and fitted arrays differ."""
    if hasattr(_array_api, "check_same_namespace"):  # scikit-learn >= 1.9
        _array_api.check_same_namespace(
            X, estimator, attribute=attribute, method=method
        )
