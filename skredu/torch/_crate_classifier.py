"""CRATEClassifier: a white-box transformer."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skredu._checks import check_rows
from skredu._compat import Interval, StrOptions
from skredu._signals import channels_of, shape_of
from skredu.torch._crate import (
    ATTENTIONS,
    CRATEBlock,
    TokenNetwork,
    subspace_coding_rate,
)
from skredu.torch._training import NetworkClassifier


class CRATEClassifier(NetworkClassifier):
    r"""Classify images or sequences by a white-box transformer.

    A sample is cut into patches, which become tokens. Each layer lowers the coding rate
    of the tokens against learned subspaces by attention, and codes them sparsely; see
    `CRATEBlock`. A linear layer classifies one additional token. All is trained by
    back-propagation of the cross-entropy.

    Parameters
    ----------
    n_components : int, default=48
        Number of features of a token.
    n_layers : int, default=3
        Number of layers.
    n_heads : int, default=4
        Number of subspaces of each layer.
    patch_size : int, default=4
        Height and width of a patch of an image, or length of a part of a sequence.
    signal_shape : int or tuple of int, default=None
        Length of sequences, or height and width of images, in rows, one channel after
        the other. None means sequences of one channel.
    attention : {"subspace", "statistics"}, default="statistics"
        `SubspaceAttention`, as in CRATE, or `TokenStatisticsAttention`, as in ToST,
        whose cost is linear in the number of tokens.
    tied : bool, default=True
        Whether each head of the attention maps back by its basis, as in the theory, or
        by another learned matrix, as in published code.
    step_size : float, default=0.1
        Step size of the sparse code.
    threshold : float, default=0.1
        Factor of the absolute values of the entries in the cost of the sparse code.
    max_iter : int, default=60
        Largest number of epochs.
    batch_size : int, default=64
        Number of samples in a batch.
    learning_rate : float, default=0.002
        Initial learning rate of Adam, which falls to zero along a cosine.
    early_stopping : bool, default=False
        Whether to leave out a share of the samples, evaluate the loss on them after
        each epoch, and keep the network with the best one.
    validation_fraction : float, default=0.1
        Share of each class that is left out for early stopping, rounded down to whole
        samples, but at least one sample of each class that has several.
    n_iter_no_change : int, default=10
        Number of epochs without a better loss after which the training stops, if
        ``early_stopping`` is true.
    warm_start : bool, default=False
        Whether to start from the network of the previous call.
    device : str, default="cpu"
        Device on which the network is trained, as in PyTorch. The fitted network is on
        the CPU.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network and the batches. Pass an int for reproducible
        output across multiple function calls.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    network_ : torch.nn.Module
        The trained network.
    bases_ : ndarray of shape (n_layers, n_heads, n_components, dim)
        Bases of the subspaces of each layer, with dim = n_components / n_heads,
        rounded up.
    loss_curve_ : list of float
        Mean loss of each epoch.
    validation_curve_ : list of float
        Loss of the samples that were left out, after each epoch, if ``early_stopping``
        is true.
    n_iter_ : int
        Number of epochs.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    skredu.plotting.SparseRateReductionDisplay : Draw the objective along the layers.
    MCR2Classifier : A network of your own, trained by the rate reduction.
    skredu.MICLClassifier : A classifier in closed form; compare with it.

    Notes
    -----
    The mean of each feature is subtracted from the samples, and all are divided by one
    number, the root mean square of what remains, before they are cut into patches. The
    last patches are filled with zeros.

    On small images, `~skredu.MICLClassifier` and a support vector machine are more
    accurate, and a fit takes about a twentieth of the time or less (see the benchmarks
    of the project). Published results rest on training with millions of images.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023.

    Wu, Ding, Lu, Pai, Zhang, Wang, Yu, Ma and Haeffele, "Token statistics transformer:
    linear-time attention via variational rate reduction", ICLR 2025.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu.torch import CRATEClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = CRATEClassifier(signal_shape=(8, 8), max_iter=10, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    >>> model.transform(X).shape
    (1797, 48)
    """

    __module__ = "skredu.torch"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkClassifier._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "patch_size": [Interval(Integral, 1, None, closed="left")],
        "signal_shape": [Integral, tuple, list, None],
        "attention": [StrOptions(set(ATTENTIONS))],
        "tied": ["boolean"],
        "step_size": [Interval(Real, 0, None, closed="left")],
        "threshold": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 48,
        n_layers: int = 3,
        n_heads: int = 4,
        *,
        patch_size: int = 4,
        signal_shape: Any = None,
        attention: str = "statistics",
        tied: bool = True,
        step_size: float = 0.1,
        threshold: float = 0.1,
        max_iter: int = 60,
        batch_size: int = 64,
        learning_rate: float = 0.002,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.patch_size = patch_size
        self.signal_shape = signal_shape
        self.attention = attention
        self.tied = tied
        self.step_size = step_size
        self.threshold = threshold
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state

    def predict(self, X: Any) -> Any:
        """Predict the classes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted class labels.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """Predict the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The probabilities.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        return self._outputs(X, self.network_).double().softmax(1).numpy()

    def layer_rates(self, X: Any, *, epsilon: float = 0.5**0.5) -> dict[str, Any]:
        r"""Compute the terms of the sparse rate reduction in each layer.

        The tokens are divided by their norms, and the bases of the subspaces are made
        orthonormal, so that no rate falls only because something shrinks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.
        epsilon : float, default=0.5**0.5
            Distortion, a length on the unit sphere. Published code uses its square.

        Returns
        -------
        rates : dict of str to ndarray of shape (n_layers,)
            Means over the samples: ``"Rc_before"`` and ``"Rc"``, the rate against the
            subspaces of the layer before and after its attention; ``"R"``, the coding
            rate of the tokens after the layer, in nats; and ``"nonzero"``, the share of
            their entries that are not zero.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        terms = self._outputs(X, lambda part: self._terms(part, epsilon)).mean(0)
        names = ("Rc_before", "Rc", "R", "nonzero")
        return dict(zip(names, terms.T.numpy(), strict=True))

    @property
    def bases_(self) -> Any:
        """Bases of the subspaces of each layer."""
        check_is_fitted(self)
        layers = [layer.attention.bases for layer in self.network_.layers]
        return torch.stack(layers).detach().numpy()

    @property
    def _n_features_out(self) -> int:
        return int(self.network_.classes.in_features)

    def _terms(self, inputs: Tensor, epsilon: float) -> Tensor:
        """Return the terms of each sample in each layer (n, layers, 4)."""
        Z, found = self.network_.tokens(inputs), []
        whole = torch.eye(Z.shape[2])[None]
        for layer in self.network_.layers:
            compressed, after = layer.compressed(Z), layer(Z)
            bases = torch.linalg.qr(layer.attention.bases)[0]
            values = [
                subspace_coding_rate(_unit(tokens), spans, epsilon=epsilon)
                for tokens, spans in [(Z, bases), (compressed, bases), (after, whole)]
            ]
            values.append((after != 0).double().mean((1, 2)))
            found.append(torch.stack(values, dim=1))
            Z = after
        return torch.stack(found, dim=1)

    def _features(self, X: Any) -> Any:
        Z = self._outputs(X, self.network_.features)
        return Z.numpy().astype(X.dtype, copy=False)

    def _new_network(self, n_features: int) -> nn.Module:
        given = n_features if self.signal_shape is None else self.signal_shape
        grid = shape_of(given, "signal_shape")
        if len(grid) > 2:
            raise ValueError(
                "Bad signal_shape: must be the length of sequences or the height and "
                f"width of images, found {self.signal_shape!r}."
            )
        signal = (channels_of(grid, n_features, "signal_shape"), *grid)
        layers = [self._layer() for _ in range(self.n_layers)]
        return TokenNetwork(
            signal, self.patch_size, layers, self.n_components, len(self.classes_)
        )

    def _layer(self) -> nn.Module:
        return CRATEBlock(
            self.n_components,
            self.n_heads,
            attention=self.attention,
            tied=self.tied,
            step_size=self.step_size,
            threshold=self.threshold,
        )

    def _loss(self, n_features: int) -> nn.Module:
        return nn.CrossEntropyLoss()

    def _pace(self, share: float) -> float:
        return 0.5 + 0.5 * math.cos(math.pi * share)


def _unit(tokens: Tensor) -> Tensor:
    return nn.functional.normalize(tokens.double(), dim=-1)
