"""The rate reduction as a loss of networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skredu.torch._rates import both_rates, check_features


class MCR2Loss(nn.Module):
    r"""Negative rate reduction of features, for training a network with PyTorch.

    .. math:: \ell(Z, y) = -\bigl(R(Z) - \lambda R_c(Z, y)\bigr)

    Minimising it spreads all features over many directions and each class over few.
    The features of different classes become nearly orthogonal; the variation within a
    class is kept, which the cross-entropy loses.

    Parameters
    ----------
    epsilon : float, default=0.5**0.5
        Distortion, a length in the units of the features. Published code uses its
        square, which is 0.5 by default, as published.
    normalize : bool, default=True
        Whether to divide each feature vector by its norm first. Without a bound on the
        norms, the loss has no minimum.
    compression : float, default=1.0
        Factor :math:`\lambda` of the rate of the classes. With 0, the features are only
        spread.

    See Also
    --------
    skredu.torch.rate_reduction : The rate reduction as a function.
    skredu.MICLClassifier : A classifier for the features of the trained network.

    Notes
    -----
    The loss is a sum over the batch, not over single samples, so a batch should hold at
    least about five samples of each class. Its forward and backward pass costs
    :math:`O(n d \min(n, d))` for n samples and d features; the computations are in
    double precision, also under ``torch.autocast``.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, equation (11).

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import MCR2Loss
    >>> generator = torch.Generator().manual_seed(0)
    >>> X = torch.randn(200, 10, generator=generator)
    >>> y = (X[:, 0] > 0).long()
    >>> network = torch.nn.Linear(10, 4)
    >>> loss = MCR2Loss()
    >>> optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    >>> before = loss(network(X), y).item()
    >>> for _ in range(20):
    ...     optimizer.zero_grad()
    ...     value = loss(network(X), y)
    ...     value.backward()
    ...     optimizer.step()
    >>> value.item() < before
    True
    """

    def __init__(
        self,
        epsilon: float = 0.5**0.5,
        *,
        normalize: bool = True,
        compression: float = 1.0,
    ) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.normalize = normalize
        self.compression = compression

    def forward(self, Z: Tensor, y: Tensor, weights: Any = None) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        Z : Tensor of shape (n, d)
            The features.
        y : Tensor of shape (n,) or (n, k)
            Integer labels, or memberships.
        weights : Tensor of shape (n,), default=None
            Number of copies of each sample; fractions are allowed.

        Returns
        -------
        loss : Tensor of shape ()
            The loss in nats.
        """
        rate, class_rate = self.rates(Z, y, weights)
        return self.compression * class_rate - rate

    def rates(self, Z: Tensor, y: Tensor, weights: Any = None) -> tuple[Tensor, Tensor]:
        """Compute the coding rate of a batch and that of its classes, for logging.

        Parameters
        ----------
        Z : Tensor of shape (n, d)
            The features.
        y : Tensor of shape (n,) or (n, k)
            Integer labels, or memberships.
        weights : Tensor of shape (n,), default=None
            Number of copies of each sample; fractions are allowed.

        Returns
        -------
        rate, class_rate : Tensor of shape ()
            The coding rates in nats.
        """
        if self.normalize:
            check_features(Z)
            Z = torch.nn.functional.normalize(Z, dim=1)
        return both_rates(Z, y, epsilon=self.epsilon, weights=weights)

    def extra_repr(self) -> str:
        """Return the parameters, which the representation of the module shows."""
        return (
            f"epsilon={self.epsilon}, normalize={self.normalize}, "
            f"compression={self.compression}"
        )
