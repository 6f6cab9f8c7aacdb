"""LearnedLifting: filters that are learned by the loss of samples left out."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from skredu import ConvolutionalLifting
from skredu._base import all_or_nothing
from skredu._checks import check_training
from skredu._compat import Interval
from skredu.coding._choose import evenly
from skredu.torch._left_out import counts_of, left_out_scores, spectra

# Square roots are continued by a line below this share of the mean square, so that
# their gradients are finite.
LEAST_ROOT = 1e-6


class LearnedLifting(ConvolutionalLifting):
    r"""Lift signals by filters that are learned for classes of all their shifts.

    The lifting is that of `~skredu.ConvolutionalLifting`. Its filters and threshold are
    learned by back-propagation, so that `~skredu.InvariantReduNetClassifier` without
    layers predicts each training sample from the others. The classes stay in closed
    form: a step codes them anew, leaves out every sample with all of its shifts, and
    lowers the cross-entropy of the labels. Since no sample is predicted by itself, the
    loss cannot be lowered by remembering samples.

    Only ``fit`` uses PyTorch. There are a few hundred parameters, one for each number
    in the filters, and predictions stay invariant to shifts.

    Parameters
    ----------
    n_filters, kernel_size, signal_shape, filters, activation, pooling, random_state
        As in `~skredu.ConvolutionalLifting`; ``filters`` are the initial ones.
    threshold : float, default=0.5
        The initial threshold, relative to the root mean square of the responses. 0
        stays 0.
    max_iter : int, default=40
        Number of steps of Adam, each with all samples that are used.
    learning_rate : float, default=0.1
        Learning rate, relative to the root mean square of the filters.
    max_samples : int, default=1000
        Largest number of samples that are used, spread evenly over each class.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, n_channels, *kernel)
        The learned filters.
    threshold_ : float
        The learned threshold.
    loss_curve_ : ndarray of shape (max_iter + 1,)
        Mean cross-entropy of left-out samples before each step and after the last, in
        nats.
    n_iter_ : int
        Number of steps.
    signal_shape_, coarse_shape_, n_channels_, n_features_in_, feature_names_in_
        As in `~skredu.ConvolutionalLifting`.

    See Also
    --------
    skredu.ConvolutionalLifting : The lifting with given filters, without PyTorch:
        ``ConvolutionalLifting(filters=learned.filters_, threshold=learned.threshold_)``
        with the same activation and pooling gives the same result.
    skredu.InvariantReduNetClassifier : The classifier after it, with ``n_layers=0``.

    Notes
    -----
    With F filters, k classes and n samples on T points, a step takes about
    :math:`k T (F^3 + F^2 n)` complex operations and :math:`3 k F T n / 2` complex
    numbers of memory. With 16 filters, 500 images of 8 x 8 points in 10 classes take
    about a quarter of a second per step on one core.

    Samples of a class without a second sample are not used. The distortion, the
    temperature and the label code are learned together with the filters and then
    forgotten: the classifier after the lifting chooses its own.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu.torch import LearnedLifting
    >>> X, y = load_digits(return_X_y=True)
    >>> lifting = LearnedLifting(4, 3, signal_shape=(8, 8), max_iter=5, random_state=0)
    >>> lifting.fit(X[:100], y[:100]).transform(X[100:]).shape
    (1697, 256)
    >>> bool(lifting.loss_curve_[-1] < lifting.loss_curve_[0])
    True
    """

    __module__ = "skredu.torch"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvolutionalLifting._parameter_constraints,
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_filters: int = 16,
        kernel_size: Any = "auto",
        *,
        signal_shape: Any = None,
        filters: Any = "auto",
        activation: str | None = "relu",
        threshold: float = 0.5,
        pooling: float | None = 0.1,
        max_iter: int = 40,
        learning_rate: float = 0.1,
        max_samples: int = 1000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_filters,
            kernel_size,
            signal_shape=signal_shape,
            filters=filters,
            activation=activation,
            threshold=threshold,
            pooling=pooling,
            random_state=random_state,
        )
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_samples = max_samples

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.array_api_support = False
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> LearnedLifting:  # type: ignore[override]
        """Learn the filters and the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training signals.
        y : array-like of shape (n_samples,)
            The class labels.

        Returns
        -------
        self : LearnedLifting
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range, or if ``X`` or ``y`` is invalid.
        """
        super().fit(X)
        rows, labels, _ = check_training(self, X, y, None)
        rows, labels = _some(rows, labels, self.max_samples)
        bank = Bank(self.filters_, self.signal_shape_, **self._nonlinearity)
        self.loss_curve_ = np.zeros(0)
        if len(np.unique(labels)) > 1:
            signals = rows.reshape(len(rows), -1, *self.signal_shape_)
            self.loss_curve_ = _learn(
                bank, signals, labels, self.max_iter, float(self.learning_rate)
            )
        self.n_iter_, dtype = int(self.max_iter), self.filters_.dtype
        self.filters_ = bank.filters.detach().numpy().astype(dtype)
        self.threshold_ = float(bank.threshold.detach().clamp(min=0.0))
        self._nonlinearity = {**self._nonlinearity, "threshold": self.threshold_}
        return self


class Bank(nn.Module):
    """Filters and nonlinearity of `ConvolutionalLifting`, with gradients."""

    def __init__(
        self,
        filters: Any,
        grid: tuple[int, ...],
        *,
        activation: str | None,
        threshold: float,
        root: bool,
        widths: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.grid, self.activation, self.root = grid, activation, root
        self.filters = nn.Parameter(torch.tensor(filters, dtype=torch.float64))
        self.threshold = nn.Parameter(torch.tensor(threshold, dtype=torch.float64))
        impulse = np.zeros(grid)
        impulse.flat[0] = 1.0
        blur = gaussian_filter(impulse, widths, mode="wrap") if any(widths) else impulse
        self.dims = tuple(range(-len(grid), 0))
        blurred = torch.fft.rfftn(torch.tensor(blur), dim=self.dims)
        self.register_buffer("blur", blurred, persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return channels (n, channels, *grid) of signals with the given spectra."""
        responses = torch.fft.rfftn(self.filters, s=self.grid, dim=self.dims).conj()
        product = torch.einsum("nc...,fc...->nf...", spectra, responses)
        Y = torch.fft.irfftn(product, s=self.grid, dim=self.dims)
        axes = tuple(range(1, Y.ndim))
        size = (Y * Y).mean(axes, keepdim=True).clamp(min=1e-300).sqrt()
        out = _activate(Y, self.activation, self.threshold.clamp(min=0.0) * size)
        if self.root:
            floor = LEAST_ROOT * size
            roots = (out.abs().clamp(min=floor) * size).sqrt()
            out = torch.where(
                out.abs() > floor, out.sign() * roots, out / floor * roots
            )
        blurred = torch.fft.rfftn(out, dim=self.dims) * self.blur
        return torch.fft.irfftn(blurred, s=self.grid, dim=self.dims)


def _activate(Y: Tensor, activation: str | None, level: Tensor) -> Tensor:
    if activation is None:
        return Y
    if activation == "soft":
        return Y.sign() * (Y.abs() - level).relu()
    if activation == "split":
        return torch.cat([(Y - level).relu(), (-Y - level).relu()], 1)
    return (Y - level).relu()


def _some(rows: Any, labels: Any, most: int) -> tuple[Any, Any]:
    """Return samples, sorted by class, of classes with at least two samples."""
    order = np.argsort(labels, kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    chosen = order[evenly(sizes.tolist(), most)[0]]
    rows, codes = rows[chosen], np.unique(labels[chosen], return_inverse=True)[1]
    kept = np.bincount(codes)[codes] > 1
    return rows[kept], np.unique(codes[kept], return_inverse=True)[1]


def _learn(
    bank: Bank, signals: Any, labels: Any, max_iter: int, learning_rate: float
) -> Any:
    """Lower the cross-entropy of left-out samples, and return it along the steps."""
    X, y = torch.tensor(signals, dtype=torch.float64), torch.tensor(labels)
    counts = counts_of(bank.grid, X)
    # The sphere removes a factor that all samples share.
    X = torch.fft.rfftn(X / X.abs().max().clamp(min=1e-300), dim=bank.dims)
    decision = _Decision(int(y.max()) + 1)

    def loss() -> Tensor:
        Z = spectra(bank(X), bank.grid, counts)
        return decision(Z, y, counts)

    decision.start(spectra(bank(X).detach(), bank.grid, counts), y, counts)
    size = bank.filters.detach().square().mean().sqrt().item()
    groups = [
        {"params": [bank.filters], "lr": learning_rate * size},
        {"params": list(decision.parameters()), "lr": learning_rate},
    ]
    if bank.threshold > 0:
        groups.append({"params": [bank.threshold], "lr": learning_rate})
    optimizer, curve = torch.optim.Adam(groups), []
    for _ in range(max_iter):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        curve.append(value.item())
        optimizer.step()
    with torch.no_grad():
        return np.array([*curve, loss().item()])


class _Decision(nn.Module):
    """Distortion, temperature and label code of the classes."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        zeros = torch.zeros((), dtype=torch.float64)
        self.log_epsilon = nn.Parameter(zeros.clone())
        self.log_temperature = nn.Parameter(zeros.clone())
        self.label_code = nn.Parameter(zeros.repeat(n_classes))

    def forward(self, Z: Tensor, y: Tensor, counts: Tensor) -> Tensor:
        scores = left_out_scores(Z, y, counts, self.log_epsilon.exp())
        logits = scores / self.log_temperature.exp() + self.label_code
        return nn.functional.cross_entropy(logits, y)

    @torch.no_grad()
    def start(self, Z: Tensor, y: Tensor, counts: Tensor) -> None:
        """Choose the best distortion and temperature of a grid."""
        best = torch.inf
        for log_epsilon in np.log(Z.shape[1] ** 0.5) + np.linspace(-5.0, 0.0, 8):
            epsilon = torch.tensor(log_epsilon).exp()
            scores = left_out_scores(Z, y, counts, epsilon)
            for log_temperature in np.linspace(-1.0, 7.0, 25):
                logits = scores / np.exp(log_temperature)
                loss = nn.functional.cross_entropy(logits, y).item()
                if loss < best:
                    best = loss
                    self.log_epsilon.fill_(log_epsilon)
                    self.log_temperature.fill_(log_temperature)
