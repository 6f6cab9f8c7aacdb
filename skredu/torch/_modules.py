"""Fitted networks as modules of PyTorch, and back."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
)
from skredu._compat import computing_with_torch
from skredu.torch._bank import Bank
from skredu.torch._learned_lifting import LearnedLifting

NETWORKS = (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
)
# Attributes of a fitted network that contain arrays.
STATE = ("_space", "_layers", "_decisions")
# Arrays that describe the samples or the choice of parameters, and are not tuned.
FIXED = ("counts", "label_shift")


def as_module(estimator: Any) -> nn.Module:
    """Return a fitted network as a module of PyTorch.

    The operators of all layers and the classes behind them become parameters of the
    module, so that they can be tuned by back-propagation, starting from the network
    that was constructed.

    Parameters
    ----------
    estimator : estimator
        A fitted `~skredu.ReduNetClassifier`, `~skredu.ReduNetTransformer`,
        `~skredu.InvariantReduNetClassifier` or `~skredu.InvariantReduNetTransformer`,
        or a fitted pipeline that ends with one. It was fitted to NumPy arrays or data
        frames, not to tensors. The steps before it may be a
        `~sklearn.preprocessing.StandardScaler` and a `~skredu.ConvolutionalLifting`
        without ``pool_size``.

    Returns
    -------
    module : torch.nn.Module
        Maps a tensor of shape (n_samples, n_features) to the logarithms of the class
        probabilities, of shape (n_samples, n_classes), or to features. It computes in
        double precision, as the estimator does for such samples.

    Raises
    ------
    TypeError
        If the estimator, or a step of the pipeline, is none of these, or if it was
        fitted to other arrays than NumPy's.

    See Also
    --------
    from_module : Returns an estimator with the tuned parameters.

    Notes
    -----
    The module runs the code of the estimator on tensors, so predictions are the same up
    to rounding. The parameters are those of the fitted state: eigenvalues and bases, or
    dense matrices, of all samples and of each class, in every layer; for signals, one
    matrix per frequency.

    Training samples are contained in the operators, and so they are predicted almost
    without an error. Tune with samples that were not used to construct the network.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skredu import ReduNetClassifier
    >>> from skredu.torch import as_module, from_module
    >>> X, y = load_digits(return_X_y=True)
    >>> network = ReduNetClassifier(2, n_iter_no_change=None).fit(X[:300], y[:300])
    >>> module = as_module(network)
    >>> inputs, labels = torch.tensor(X[300:600]), torch.tensor(y[300:600])
    >>> optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    >>> for _ in range(5):
    ...     optimizer.zero_grad()
    ...     loss = torch.nn.functional.nll_loss(module(inputs), labels)
    ...     loss.backward()
    ...     optimizer.step()
    >>> tuned = from_module(module)
    >>> tuned.score(X[600:], y[600:]) > network.score(X[600:], y[600:])
    True
    """
    *before, network = _steps(estimator)
    if not isinstance(network, NETWORKS):
        raise TypeError(
            "as_module needs a ReduNet or an invariant ReduNet, or a pipeline that "
            f"ends with one, found {network!r}."
        )
    check_is_fitted(network)
    if not isinstance(network.class_count_, np.ndarray):
        raise TypeError(
            "as_module needs an estimator that was fitted to NumPy arrays, found one "
            f"that was fitted to arrays of type {type(network.class_count_).__name__}."
        )
    return NetworkModule(estimator, [_part(step) for step in before], network)


def from_module(module: nn.Module) -> Any:
    """Return a copy of the estimator of a module, with the present parameters.

    Parameters
    ----------
    module : torch.nn.Module
        A module that `as_module` has returned.

    Returns
    -------
    estimator : estimator
        The fitted estimator or pipeline. It does not need PyTorch.

    Raises
    ------
    TypeError
        If the module is not one of `as_module`.
    """
    if not isinstance(module, NetworkModule):
        raise TypeError(
            f"from_module needs a module that as_module has returned, found {module!r}."
        )
    return module.to_estimator()


class NetworkModule(nn.Module):
    """A fitted network, with the steps before it."""

    def __init__(self, estimator: Any, parts: list[nn.Module], network: Any) -> None:
        super().__init__()
        self._estimator = copy.deepcopy(estimator)
        self.before = nn.Sequential(*parts)
        self._network = copy.copy(network)
        self._n_features = int(_steps(estimator)[0].n_features_in_)
        self._dtypes: dict[str, Any] = {}  # of the arrays of the estimator
        self._layout = {
            name: self._register(getattr(network, name), name.strip("_"))
            for name in STATE
            if hasattr(network, name)
        }

    def forward(self, X: Tensor) -> Tensor:
        """Return the logarithms of probabilities, or features.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        result : Tensor of shape (n_samples, n_classes) or (n_samples, n_features_out)
            Log-probabilities of the classes in the order of ``classes_``, or features.

        Raises
        ------
        ValueError
            If ``X`` is no tensor, or has another shape.
        """
        d = self._n_features
        if not isinstance(X, Tensor) or X.shape[1:] != (d,) or not len(X):
            found = tuple(X.shape) if isinstance(X, Tensor) else type(X).__name__
            raise ValueError(
                f"Bad X: must be a tensor of shape (n_samples, {d}) with at least one "
                f"sample, found {found}."
            )
        network, X = copy.copy(self._network), self.before(X.double())
        for name, layout in self._layout.items():
            setattr(network, name, self._restored(layout))
        with computing_with_torch(), warnings.catch_warnings():
            # Numbers that only decide how to compute are taken from tensors.
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")
            if is_classifier(network):
                scores = network._scores(X) * (math.log(2.0) / network.temperature_)
                return scores.log_softmax(1)
            return torch.cat(
                [network._shown(Z, outside) for _, Z, outside in network._moved(X)]
            )

    def _apply(self, fn: Any, *args: Any, **options: Any) -> Any:
        """Move or convert all tensors, unless they would lose double precision."""
        dtype = fn(torch.zeros(0, dtype=torch.float64)).dtype
        if dtype != torch.float64:
            raise TypeError(
                "The module of a fitted network computes in double precision, and "
                f"cannot be converted to {dtype}."
            )
        return super()._apply(fn, *args, **options)

    def to_estimator(self) -> Any:
        """Return a copy of the estimator with the present parameters."""
        estimator = copy.deepcopy(self._estimator)
        *before, network = _steps(estimator)
        for name, layout in self._layout.items():
            setattr(network, name, self._restored(layout, arrays=True))
        for step, part in zip(before, self.before, strict=True):
            if isinstance(part, _Lifting):
                part.write(step)
        return estimator

    def _register(self, value: Any, name: str) -> Any:
        """Register arrays as parameters or buffers; names take their places."""
        if isinstance(value, np.ndarray) and value.dtype.kind in "fciu":
            tensor, key = torch.tensor(value), name.replace(".", "_")
            self._dtypes[key] = value.dtype
            if value.dtype.kind == "f":
                tensor = tensor.double()
            elif value.dtype.kind == "c":
                tensor = tensor.to(torch.complex128)
            if value.dtype.kind in "fc" and not name.endswith(FIXED):
                self.register_parameter(key, nn.Parameter(tensor))
            else:
                self.register_buffer(key, tensor)
            return _Name(key)
        if isinstance(value, dict):
            return {k: self._register(v, f"{name}.{k}") for k, v in value.items()}
        if isinstance(value, list | tuple):
            parts = [self._register(v, f"{name}.{i}") for i, v in enumerate(value)]
            return parts if isinstance(value, list) else tuple(parts)
        return value

    def _restored(self, layout: Any, *, arrays: bool = False) -> Any:
        """Return a state with its tensors, or with arrays."""
        if isinstance(layout, _Name):
            tensor = getattr(self, layout)
            if layout.endswith("eigenvalues"):  # a step may have made some negative
                tensor = tensor.clamp(min=0.0)
            if arrays:
                return tensor.detach().cpu().numpy().astype(self._dtypes[layout])
            return tensor
        if isinstance(layout, dict):
            return {k: self._restored(v, arrays=arrays) for k, v in layout.items()}
        if isinstance(layout, list | tuple):
            parts = [self._restored(v, arrays=arrays) for v in layout]
            return parts if isinstance(layout, list) else tuple(parts)
        return layout


class _Name(str):
    """Name of the parameter or buffer that takes the place of an array."""

    __slots__ = ()


class _Scaler(nn.Module):
    """A fitted `StandardScaler`."""

    def __init__(self, scaler: StandardScaler) -> None:
        super().__init__()
        d = scaler.n_features_in_
        mean = np.zeros(d) if scaler.mean_ is None else scaler.mean_
        scale = np.ones(d) if scaler.scale_ is None else scaler.scale_
        mean = mean if scaler.with_mean else np.zeros(d)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, X: Tensor) -> Tensor:
        return (X - self.mean) / self.scale


class _Lifting(nn.Module):
    """A fitted `ConvolutionalLifting`."""

    def __init__(self, lifting: ConvolutionalLifting) -> None:
        super().__init__()
        grid = lifting.signal_shape_
        self.bank = Bank(lifting.filters_, grid, **lifting._nonlinearity)

    def forward(self, X: Tensor) -> Tensor:
        signals = X.reshape(len(X), -1, *self.bank.grid)
        channels = self.bank(torch.fft.rfftn(signals, dim=self.bank.dims))
        return channels.reshape(len(X), -1)

    def write(self, lifting: ConvolutionalLifting) -> None:
        """Write filters and threshold into a lifting."""
        dtype = lifting.filters_.dtype
        threshold = float(self.bank.threshold.detach().clamp(min=0.0))
        lifting.filters_ = self.bank.filters.detach().cpu().numpy().astype(dtype)
        lifting._nonlinearity = {**lifting._nonlinearity, "threshold": threshold}
        if isinstance(lifting, LearnedLifting):
            lifting.threshold_ = threshold


def _part(step: Any) -> nn.Module:
    """Return the module of a step before a network."""
    if isinstance(step, StandardScaler):
        return _Scaler(step)
    if isinstance(step, ConvolutionalLifting) and step._pool_by is None:
        return _Lifting(step)
    raise TypeError(
        "as_module takes StandardScaler and ConvolutionalLifting without pool_size "
        f"before a network, found {step!r}."
    )


def _steps(estimator: Any) -> list[Any]:
    """Return the steps of a pipeline that do something, or the estimator alone."""
    if not isinstance(estimator, Pipeline):
        return [estimator]
    steps = [step for _, step in estimator.steps]
    return [s for s in steps if s is not None and not isinstance(s, str)]
