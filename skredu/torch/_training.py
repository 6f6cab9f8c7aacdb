"""The training of networks, which the classifiers with a network share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_finite, check_rows, check_training, known_classes
from skredu._compat import CallbackSupportMixin, Interval
from skredu._progress import Progress, watched
from skredu.coding._linalg import root_mean_square
from skredu.coding._rows import codes_of

# Number of samples that a fitted network maps at a time.
BLOCK = 4096


class NetworkClassifier(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    SkreduEstimator,
):
    """Base class of classifiers that train a network by Adam over batches.

    A subclass says what the network is, what is minimised, and how to predict.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
    }
    classes_: Any
    max_iter: int
    batch_size: int
    learning_rate: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    device: str
    random_state: Any
    network_: nn.Module
    _last_loss: nn.Module | None = None

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> Any:
        """Train the network, and fit what predicts from its features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            The class labels.

        Returns
        -------
        self : classifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter is out of range, if the network does not fit the samples, or
            if ``X`` or ``y`` is invalid.
        """
        self._validate_params()
        continues = self.warm_start and hasattr(self, "network_")
        before: Any = getattr(self, "classes_", None)
        X, y, _ = check_training(self, X, y, None, reset=not continues)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if continues and not np.array_equal(before, self.classes_):
            raise ValueError(
                "Bad y: with warm_start=True, the classes must be those of the "
                f"previous fit, {before}, found {self.classes_}."
            )
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31))
        with watched(self, X=X, y=y) as progress, _seeded(seed):
            network = self._new_network(X.shape[1])
            if continues:
                _continue(network, self.network_)
            else:
                self._set_scale(X)
                self._last_loss = None
            self.network_ = network
            inputs, targets = self._inputs(X), torch.as_tensor(labels)
            self._train(inputs, targets, np.random.default_rng(seed), progress)
        self._fit_head(X, y)
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Any:
        """Train the network for one epoch with some samples.

        A network that is fitted already is trained further. The first call determines
        how samples are scaled. In each call, Adam starts anew, with the constant
        ``learning_rate``. ``max_iter``, ``early_stopping`` and ``warm_start`` have no
        effect.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,)
            The class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels that occur in any call. Required in the first call.

        Returns
        -------
        self : classifier
            The classifier.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid, or if ``classes`` is missing in the
            first call.
        """
        self._validate_params()
        first = not hasattr(self, "network_")
        known = known_classes(classes, None if first else self.classes_)
        X, y, _ = check_training(self, X, y, None, reset=first)
        labels, self.classes_ = codes_of(y, known), known
        curve = getattr(self, "loss_curve_", [])
        seed = check_random_state(self.random_state).randint(2**31)
        seed = int(seed) + len(curve)  # calls differ
        with _seeded(seed):
            if first:
                self._set_scale(X)
                self.network_ = self._new_network(X.shape[1])
            else:
                self.network_ = copy.deepcopy(self.network_)
            inputs, random = self._inputs(X), np.random.default_rng(seed)
            loss, optimizer = self._begin(inputs)
            rows = inputs.to(self.device), torch.as_tensor(labels, device=self.device)
            batches = _batches(np.arange(len(y)), self.batch_size, random)
            mean = _epoch(self.network_, loss, optimizer, *rows, batches)
        self.loss_curve_ = [*curve, mean]
        self._end(loss)
        self._update_head(X, y)
        return self

    def transform(self, X: Any) -> Any:
        """Return the features of samples, from which their classes are predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The features: the outputs of the network on the unit sphere, or, of a
            transformer, those of the token that is classified.

        Raises
        ------
        ValueError
            If ``X`` is invalid, or if the features overflow.
        """
        check_is_fitted(self)
        return self._features(check_rows(self, X, reset=False))

    def _features(self, X: Any) -> Any:
        """Return the features of valid samples."""
        raise NotImplementedError

    def _new_network(self, n_features: int) -> nn.Module:
        """Return an initial network for samples of some size."""
        raise NotImplementedError

    def _loss(self, n_features: int) -> nn.Module:
        """Return a loss of outputs with some number of features, and of labels."""
        raise NotImplementedError

    def _fit_head(self, X: Any, y: Any) -> None:
        """Fit what predicts from the features of the trained network."""

    def _update_head(self, X: Any, y: Any) -> None:
        """Fit what predicts from the features after a call of `partial_fit`."""

    def _pace(self, share: float) -> float:
        """Return the factor of the learning rate after a share of the training."""
        return 1.0

    def _set_scale(self, X: Any) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            self._mean = X.mean(0)
            self._size = root_mean_square(X - self._mean) / X.shape[1] ** 0.5

    def _inputs(self, X: Any) -> Tensor:
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = np.asarray((X - self._mean) / self._size, dtype=np.float32)
        return torch.as_tensor(check_finite(inputs, "inputs of the network"))

    def _outputs(self, X: Any, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a function of the inputs of the network, in blocks of samples."""
        with torch.no_grad():
            parts = [function(part) for part in self._inputs(X).split(BLOCK)]
        found = torch.cat(parts)
        check_finite(found.numpy(), "outputs of the network")
        return found

    def _begin(self, inputs: Tensor) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return the loss, with the parameters after a previous call, and Adam."""
        self.network_ = self.network_.to(_checked_device(self.device)).train()
        self._n_out = _check_output(self.network_, inputs[:2].to(self.device))
        loss, before = self._loss(self._n_out), self._last_loss
        if before is not None and type(loss) is type(before):
            loss.load_state_dict(before.state_dict())
        loss = loss.to(self.device)
        learned = [*self.network_.parameters(), *loss.parameters()]
        return loss, torch.optim.Adam(learned, lr=self.learning_rate)

    def _train(
        self,
        inputs: Tensor,
        labels: Tensor,
        random: np.random.Generator,
        progress: Progress,
    ) -> None:
        """Minimise the loss by Adam over batches, and keep its curves."""
        loss, optimizer = self._begin(inputs)
        network = self.network_
        inputs, labels = inputs.to(self.device), labels.to(self.device)
        train, left_out = self._split(labels, random)
        self.loss_curve_, self.validation_curve_ = [], []
        best = copy.deepcopy(network.state_dict())
        epochs, enough = range(int(self.max_iter)), False
        for epoch in progress.follow("epochs", epochs, len(epochs)):
            if enough or progress.stopped:
                continue
            rate = float(self.learning_rate) * self._pace(epoch / len(epochs))
            optimizer.param_groups[0]["lr"] = rate
            batches = _batches(train, self.batch_size, random)
            mean = _epoch(network, loss, optimizer, inputs, labels, batches)
            self.loss_curve_.append(mean)
            if not len(left_out):
                continue
            with torch.no_grad():
                Z = _finite(network.eval()(inputs[left_out]))
                value = loss(Z, labels[left_out])
            network.train()
            self.validation_curve_.append(value.item())
            age = len(self.validation_curve_) - 1 - np.argmin(self.validation_curve_)
            if age == 0:
                best = copy.deepcopy(network.state_dict())
            enough = bool(age >= self.n_iter_no_change)
        if len(left_out):
            network.load_state_dict(best)
        self._end(loss)

    def _end(self, loss: nn.Module) -> None:
        self.n_iter_ = len(self.loss_curve_)
        self.network_, self._last_loss = self.network_.cpu().eval(), loss.cpu()

    def _split(self, labels: Tensor, random: np.random.Generator) -> tuple[Any, Any]:
        """Return the positions of training samples, and of those that are left out."""
        order = random.permutation(len(labels))
        if not self.early_stopping:
            return np.sort(order), order[:0]
        # The last share of each class in a random order is left out.
        y, out = labels.cpu().numpy()[order], np.zeros(len(order), dtype=bool)
        for label in range(len(self.classes_)):
            own = np.flatnonzero(y == label)
            n_out = int(self.validation_fraction * len(own))
            n_out = max(n_out, min(1, len(own) - 1))
            out[own[len(own) - n_out :]] = True
        return order[~out], order[out]


def _epoch(
    network: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    batches: Iterator[Tensor],
) -> float:
    """Take a step for each batch, and return the mean loss."""
    values = []
    for batch in batches:
        optimizer.zero_grad()
        value = loss(_finite(network(inputs[batch])), labels[batch])
        value.backward()
        optimizer.step()
        values.append(value.item())
    return float(np.mean(values))


def _batches(rows: Any, size: int, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield batches of equal sizes in random order; a smaller rest is left out."""
    order = torch.as_tensor(random.permutation(rows))
    n_batches = max(1, len(order) // size)
    yield from order[: n_batches * size].split(size)


def _finite(Z: Tensor) -> Tensor:
    """Return the output of a network in training if it is finite."""
    if not torch.isfinite(Z).all():
        raise ValueError(
            "Bad learning_rate: training diverges, because the output of the network "
            "is not finite any more. Use a smaller learning_rate."
        )
    return Z


def _continue(network: nn.Module, before: nn.Module) -> None:
    """Start a network from another one, which remains as it is."""
    try:
        network.load_state_dict(before.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "With warm_start=True, parameters must not change the layers of network_ "
            f"between calls of fit: {error}"
        ) from error


def _checked_device(device: str) -> str:
    """Return a device of PyTorch if it can be used."""
    try:
        torch.zeros(1, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            "Bad device: must be a device that PyTorch can use, such as 'cpu' or "
            f"'cuda', found {device!r}: {error}"
        ) from error
    return device


def _check_output(network: nn.Module, inputs: Tensor) -> int:
    """Return the number of features of a network."""
    try:
        with torch.no_grad():
            Z = network.eval()(inputs)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            "Bad network: must map a float32 tensor of shape (n_samples, "
            f"{inputs.shape[1]}) to features, but raised {error!r}."
        ) from error
    network.train()
    if not isinstance(Z, Tensor) or Z.ndim != 2 or len(Z) != len(inputs):
        found = tuple(Z.shape) if isinstance(Z, Tensor) else type(Z).__name__
        raise ValueError(
            "Bad network: must map samples of shape (n_samples, n_features) to "
            f"features of shape (n_samples, n_components), found {found} for "
            f"{len(inputs)} samples."
        )
    return int(Z.shape[1])


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Use random numbers of PyTorch that follow from a seed, and restore the others."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
