r"""To which class a row belongs, as far as one layer can tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skredu._compat import namespace

if TYPE_CHECKING:
    from skredu.redunet._protocols import Operator

KINDS = ("coding", "residual", "weighted_residual")


def score(
    form: Operator, size: Any, total: float, kind: str, temperature: float
) -> Any:
    r"""Logarithms of memberships in a class, not normalised.

    With the operators :math:`C_j = \alpha_j (I + \alpha_j S_j)^{-1}` and shares
    :math:`\gamma_j`:

    - ``"coding"``: minus the extra nats of the row in the class, label included, as in
      `skredu.MICLClassifier` with ``assume_centered=True`` and ``priors=None``;
    - ``"residual"``: :math:`-\lambda \|C_j z\|`, the published rule;
    - ``"weighted_residual"``: :math:`-\lambda \gamma_j \|C_j z\|`, which does not
      favour large classes.

    Parameters
    ----------
    form : Factored or Dense
    size : array of shape (b,)
        Extra nats of the rows in the class or, for the residual rules, the norms of
        :math:`(I + \alpha_j S_j)^{-1} z`.
    total : float
        Weight of all rows.
    kind : {"coding", "residual", "weighted_residual"}
    temperature : float
        :math:`\lambda`.

    Returns
    -------
    scores : array of shape (b,), in double precision
    """
    code = form.code
    if kind == "coding":
        return math.log(code.count / total) - size
    share = code.count if kind == "residual" else total
    return -temperature * code.n_features / form.epsilon**2 / share * size


def softmax(scores: Any) -> Any:
    """Rows of positive numbers that sum to one, from their logarithms."""
    xp = namespace(scores)
    shares = xp.exp(scores - xp.max(scores, axis=1, keepdims=True))
    return shares / xp.sum(shares, axis=1, keepdims=True)
