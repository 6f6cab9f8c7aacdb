r"""To which class a row belongs, as far as one layer can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skredu._compat import namespace

if TYPE_CHECKING:
    from skredu.redunet._forms import Form
    from skredu.redunet._protocols import Operator

KINDS = ("coding", "residual", "weighted_residual")


def log_memberships(
    classes: Sequence[Form], Z: Any, prepared: list[Any], kind: str, temperature: float
) -> Any:
    r"""Logarithms of memberships, not normalised.

    With the operators :math:`C_j = \alpha_j (I + \alpha_j S_j)^{-1}` and shares
    :math:`\gamma_j`:

    - ``"coding"``: minus the extra nats of the row in the class, label included, as in
      `skredu.MICLClassifier` with ``assume_centered=True`` and ``priors=None``;
    - ``"residual"``: :math:`-\lambda \|C_j z\|`, the published rule;
    - ``"weighted_residual"``: :math:`-\lambda \gamma_j \|C_j z\|`, which does not
      favour large classes.

    Parameters
    ----------
    classes : sequence of Factored or Dense
    Z : array of shape (b, r)
        Rows.
    prepared : list of arrays
        What each class has prepared of the rows.
    kind : {"coding", "residual", "weighted_residual"}
    temperature : float
        :math:`\lambda`.

    Returns
    -------
    scores : array of shape (b, k), in double precision
    """
    total = sum(form.code.count for form in classes)
    columns = []
    for form, part in zip(classes, prepared, strict=True):
        size = form.extra(Z, part) if kind == "coding" else form.residual(Z, part)
        columns.append(score(form, size, total, kind, temperature))
    return namespace(Z).stack(columns, axis=1)


def score(
    form: Operator, size: Any, total: float, kind: str, temperature: float
) -> Any:
    """Score of rows in a class from their extra nats or the norms of residuals."""
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
