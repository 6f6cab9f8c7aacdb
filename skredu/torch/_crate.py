r"""White-box transformers: layers that are steps of an optimisation.

The tokens of a sample are coded by K subspaces with bases :math:`U_k` of shape (d, p).
Attention is a step that lowers their rate, and a step of sparse coding follows. Tokens
are rows here and columns in the papers.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from skredu._checks import distortion
from skredu.torch._rates import check_finite, double_precision, half_log_det

# Keeps the mean of the tokens of a subspace finite if it has none.
LEAST_TOKENS = 1e-12


def subspace_coding_rate(Z: Tensor, bases: Tensor, *, epsilon: float) -> Tensor:
    r"""Compute the coding rate of tokens against subspaces, in nats.

    .. math::

        R^c(Z \mid U) = \tfrac12 \sum_{k=1}^K \log\det\Bigl(
            I + \frac{p}{N \epsilon^2} (Z U_k)^T (Z U_k) \Bigr)

    With the unit matrix as a single basis, it is the coding rate R of the tokens. The
    difference :math:`R - R^c` less a penalty of nonzero entries is the *sparse rate
    reduction*.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, N, d)
        The N tokens of each sample.
    bases : Tensor of shape (K, d, p)
        Bases of subspaces, usually orthonormal.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.

    Returns
    -------
    rates : Tensor of shape (n_samples,)
        Rate of each sample in nats, in double precision, through which gradients can be
        computed.

    Raises
    ------
    ValueError
        If the shapes do not agree, if an axis is empty or an entry is not finite, or if
        ``epsilon`` is not positive and finite.

    See Also
    --------
    CRATEClassifier : A transformer whose layers lower this rate.
    coding_rate : The rate of features about the origin.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023, Section 2.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import subspace_coding_rate
    >>> Z = torch.eye(2)[None]  # one sample with two tokens
    >>> bases = torch.eye(2)[:, :, None]  # two lines
    >>> subspace_coding_rate(Z, bases, epsilon=1.0).numpy().round(4).tolist()
    [0.4055]
    """
    if not isinstance(Z, Tensor) or not isinstance(bases, Tensor):
        raise ValueError(
            "Bad Z or bases: must be tensors, found "
            f"{type(Z).__name__} and {type(bases).__name__}."
        )
    if Z.ndim != 3 or bases.ndim != 3 or Z.shape[2] != bases.shape[1]:
        raise ValueError(
            "Bad bases: tokens of shape (n_samples, N, d) need bases of shape "
            f"(K, d, p), found {tuple(Z.shape)} and {tuple(bases.shape)}."
        )
    if 0 in (*Z.shape, *bases.shape):
        raise ValueError(
            "Bad Z or bases: no axis may have the length 0, found the shapes "
            f"{tuple(Z.shape)} and {tuple(bases.shape)}."
        )
    check_finite(Z, "Z")
    check_finite(bases, "bases")
    scale = math.sqrt(bases.shape[2] / Z.shape[1]) / distortion(epsilon)
    with double_precision(Z):
        W = torch.einsum("bnd,kdp->bknp", Z.double(), bases.double())
        return half_log_det(scale * W.flatten(0, 1)).reshape(len(Z), -1).sum(1)


class SubspaceAttention(nn.Module):
    r"""Attention of tokens within subspaces (MSSA).

    .. math::

        \mathrm{MSSA}(Z) = s \sum_{k=1}^K \mathrm{softmax}\Bigl(
            \tfrac{1}{\sqrt p} Z U_k (Z U_k)^T \Bigr) Z U_k U_k^T

    It approximates a step down the gradient of the rate :math:`R^c(Z \mid U)`: queries,
    keys and values of a head are one projection, onto its subspace.

    Parameters
    ----------
    n_features : int
        Number d of features of a token.
    n_heads : int, default=4
        Number K of subspaces, each of dimension p = d / K, rounded up.
    tied : bool, default=True
        Whether each head maps its result back by its basis, :math:`U_k^T`, as in the
        formula, with one learned factor s for all heads. If false, it maps back by
        another learned matrix, as in published code.

    See Also
    --------
    TokenStatisticsAttention : Attention in linear time.
    CRATEBlock : A layer with this attention and a step of sparse coding.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023, Section 2.3, definition of MSSA.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import SubspaceAttention
    >>> SubspaceAttention(8, 2)(torch.zeros(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(self, n_features: int, n_heads: int = 4, *, tied: bool = True) -> None:
        super().__init__()
        shape = n_heads, n_features, -(-n_features // n_heads)
        self.bases = nn.Parameter(torch.randn(shape) / n_features**0.5)
        self.step = nn.Parameter(torch.ones(())) if tied else None
        back = torch.randn(shape) / n_features**0.5
        self.back = None if tied else nn.Parameter(back)

    def forward(self, Z: Tensor) -> Tensor:
        """Return the change of tokens.

        Parameters
        ----------
        Z : Tensor of shape (n_samples, n_tokens, n_features)
            The tokens.

        Returns
        -------
        change : Tensor of shape (n_samples, n_tokens, n_features)
            What a layer adds to the tokens.
        """
        change = self._within(torch.einsum("bnd,kdp->bknp", Z, self.bases))
        if self.step is not None:
            return self.step * torch.einsum("bknp,kdp->bnd", change, self.bases)
        return torch.einsum("bknp,kdp->bnd", change, self.back)

    def _within(self, W: Tensor) -> Tensor:
        """Return the change of projected tokens (n_samples, K, N, p)."""
        return (W @ W.mT / W.shape[-1] ** 0.5).softmax(-1) @ W


class TokenStatisticsAttention(SubspaceAttention):
    r"""Attention by second moments of the tokens in subspaces (TSSA).

    .. math::

        \mathrm{TSSA}(Z) = -s \sum_{k=1}^K \mathrm{diag}(\pi_k) Z U_k
            \,\mathrm{diag}\Bigl( \frac{1}{1 + m_k} \Bigr) U_k^T,
        \\ m_k = \frac{\pi_k^T (Z U_k)^{\odot 2}}{\pi_k^T 1}, \quad
        \pi_{nk} \propto \exp(\tau_k \lVert U_k^T z_n \rVert^2)

    For given memberships, it is a step down the gradient of an upper bound of the rate
    :math:`R^c`, which needs no products of pairs of tokens: the cost is linear in their
    number. The unit of the projected tokens is the distortion, so it is learned with
    the scale of the bases.

    Parameters
    ----------
    n_features : int
        Number d of features of a token.
    n_heads : int, default=4
        Number K of subspaces, each of dimension p = d / K, rounded up.
    tied : bool, default=True
        Whether each head maps its result back by its basis, :math:`U_k^T`, as in the
        formula, with one learned factor s for all heads. If false, it maps back by
        another learned matrix, as in published code.

    See Also
    --------
    SubspaceAttention : Attention by products of pairs of tokens.

    References
    ----------
    Wu, Ding, Lu, Pai, Zhang, Wang, Yu, Ma and Haeffele, "Token statistics transformer:
    linear-time attention via variational rate reduction", ICLR 2025, definition of
    TSSA.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import TokenStatisticsAttention
    >>> TokenStatisticsAttention(8, 2)(torch.zeros(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(self, n_features: int, n_heads: int = 4, *, tied: bool = True) -> None:
        super().__init__(n_features, n_heads, tied=tied)
        self.sharpness = nn.Parameter(torch.full((n_heads, 1), n_heads / n_features))

    def _within(self, W: Tensor) -> Tensor:
        squares = W**2
        memberships = (self.sharpness * squares.sum(-1)).softmax(1)[..., None]
        totals = memberships.sum(-2, keepdim=True).clamp(min=LEAST_TOKENS)
        moments = (memberships * squares).sum(-2, keepdim=True) / totals
        return -memberships * W / (1.0 + moments)


ATTENTIONS = {"subspace": SubspaceAttention, "statistics": TokenStatisticsAttention}


class SparseCodingStep(nn.Module):
    r"""A step of ISTA for a nonnegative sparse code of tokens in a dictionary.

    .. math:: Z^+ = \mathrm{relu}\bigl(Z + \eta (Z - Z D^T) D - \eta \lambda\bigr)

    It starts at the tokens themselves, as a step for
    :math:`\tfrac12 \lVert Z - A D^T \rVert^2 + \lambda \lVert A \rVert_1` over codes A.

    Parameters
    ----------
    n_features : int
        Number of features of a token, and of atoms of the learned dictionary.
    step_size : float, default=0.1
        Step size :math:`\eta`.
    threshold : float, default=0.1
        Factor :math:`\lambda` of the absolute values of the entries.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023, Section 2.4.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import SparseCodingStep
    >>> bool((SparseCodingStep(8)(torch.randn(5, 3, 8)) >= 0).all())
    True
    """

    def __init__(
        self, n_features: int, *, step_size: float = 0.1, threshold: float = 0.1
    ) -> None:
        super().__init__()
        self.step_size, self.threshold = step_size, threshold
        self.dictionary = nn.Parameter(torch.empty(n_features, n_features))
        nn.init.kaiming_uniform_(self.dictionary)

    def forward(self, Z: Tensor) -> Tensor:
        """Return the codes of tokens.

        Parameters
        ----------
        Z : Tensor of shape (..., n_features)
            The tokens.

        Returns
        -------
        codes : Tensor of shape (..., n_features)
            The codes, which are not negative.
        """
        ascent = (Z - Z @ self.dictionary.T) @ self.dictionary - self.threshold
        return (Z + self.step_size * ascent).relu()


class CRATEBlock(nn.Module):
    r"""A layer of CRATE or ToST: attention that compresses, then a sparse code.

    .. math::

        Z^{l+1/2} = Z^l + \mathrm{attention}(\mathrm{norm}(Z^l)), \quad
        Z^{l+1} = \mathrm{ISTA}(\mathrm{norm}(Z^{l+1/2}))

    Parameters
    ----------
    n_features : int
        Number of features of a token.
    n_heads : int, default=4
        Number of subspaces.
    attention : {"subspace", "statistics"}, default="subspace"
        `SubspaceAttention`, as in CRATE, or `TokenStatisticsAttention`, as in ToST.
    tied : bool, default=True
        Whether each head maps back by its basis; see `SubspaceAttention`.
    step_size : float, default=0.1
        Step size of the sparse code.
    threshold : float, default=0.1
        Factor of the absolute values of the entries in the cost of the sparse code.

    See Also
    --------
    CRATEClassifier : A classifier with these layers.

    References
    ----------
    Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele and Ma, "White-box transformers via
    sparse rate reduction", NeurIPS 2023, Section 2.5.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import CRATEBlock
    >>> CRATEBlock(8, 2)(torch.randn(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(
        self,
        n_features: int,
        n_heads: int = 4,
        *,
        attention: str = "subspace",
        tied: bool = True,
        step_size: float = 0.1,
        threshold: float = 0.1,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(
                f"Bad attention: must be one of {sorted(ATTENTIONS)}, found "
                f"{attention!r}."
            )
        self.norms = nn.ModuleList([nn.LayerNorm(n_features) for _ in range(2)])
        self.attention = ATTENTIONS[attention](n_features, n_heads, tied=tied)
        self.sparse = SparseCodingStep(
            n_features, step_size=step_size, threshold=threshold
        )

    def forward(self, Z: Tensor) -> Tensor:
        """Return the tokens after the layer.

        Parameters
        ----------
        Z : Tensor of shape (n_samples, n_tokens, n_features)
            The tokens.

        Returns
        -------
        tokens : Tensor of shape (n_samples, n_tokens, n_features)
            The tokens after the layer, which are not negative.
        """
        return self.sparse(self.norms[1](self.compressed(Z)))

    def compressed(self, Z: Tensor) -> Tensor:
        """Return the tokens after the attention, before the sparse code.

        Parameters
        ----------
        Z : Tensor of shape (n_samples, n_tokens, n_features)
            The tokens.

        Returns
        -------
        tokens : Tensor of shape (n_samples, n_tokens, n_features)
            The tokens after the attention.
        """
        return Z + self.attention(self.norms[0](Z))


class TokenNetwork(nn.Module):
    """Tokens of patches of signals, layers, and a linear classifier of one token."""

    def __init__(
        self,
        signal: tuple[int, ...],
        patch: int,
        layers: list[nn.Module],
        n_features: int,
        n_classes: int,
    ) -> None:
        super().__init__()
        self.signal, self.patch = signal, patch  # channels and grid
        self.counts = [-(-size // patch) for size in signal[1:]]
        n_tokens = math.prod(self.counts)
        n_values = signal[0] * patch ** len(self.counts)
        self.embed = nn.Linear(n_values, n_features)
        self.norms = nn.ModuleList([nn.LayerNorm(n_features) for _ in range(2)])
        self.first = nn.Parameter(torch.randn(n_features))  # the classified token
        self.positions = nn.Parameter(0.5 * torch.randn(n_tokens + 1, n_features))
        self.layers = nn.ModuleList(layers)
        self.classes = nn.Linear(n_features, n_classes)

    def forward(self, X: Tensor) -> Tensor:
        return self.classes(self.features(X))

    def features(self, X: Tensor) -> Tensor:
        """Return the features (n, d) of the classified token after the last layer."""
        Z = self.tokens(X)
        for layer in self.layers:
            Z = layer(Z)
        return self.norms[1](Z[:, 0])

    def tokens(self, X: Tensor) -> Tensor:
        """Return the tokens (n, N, d) before the first layer."""
        Z = self.norms[0](self.embed(self._patches(X)))
        first = self.first.expand(len(Z), 1, -1)
        return torch.cat([first, Z], dim=1) + self.positions

    def _patches(self, X: Tensor) -> Tensor:
        """Return patches (n, N, values); grids are padded with zeros."""
        X = X.reshape(len(X), *self.signal)
        rest: list[Any] = []
        for size, count in zip(self.signal[:0:-1], self.counts[::-1], strict=True):
            rest += [0, count * self.patch - size]
        X, n_dims = nn.functional.pad(X, rest), len(self.counts)
        cut = [part for count in self.counts for part in (count, self.patch)]
        X = X.reshape(len(X), self.signal[0], *cut)
        order = [0, *range(2, 2 + 2 * n_dims, 2), 1, *range(3, 3 + 2 * n_dims, 2)]
        return X.permute(order).reshape(len(X), math.prod(self.counts), -1)
