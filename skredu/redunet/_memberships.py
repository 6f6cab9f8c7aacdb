r"""Membership rules: to which class a sample belongs, as estimated by one layer.

Each rule converts extra nats, or norms of residuals, to logarithms of memberships,
which are normalised by a softmax over the classes; or it needs none of these, and each
feature of a projection is a member of the class or not. To add a rule, add a class to
this file.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skredu._compat import namespace


class Coding:
    """Minus the extra nats of the sample in the class, including labels.

    This is the rule of `skredu.MICLClassifier` with ``assume_centered=True`` and
    ``priors=None``.
    """

    # Of the operators in the forms from which costs are computed; see
    # `skredu.coding._dense.DenseGroup`. With 0, there are no forms, costs and scores.
    power: ClassVar[int] = 1
    # Whether a label code is fitted to the scores of left-out samples.
    fits_label_code: ClassVar[bool] = True

    @staticmethod
    def scores(nats: Any, counts: Any, total: float, factor: float) -> Any:
        """Return the scores from extra nats, which do not include labels."""
        return namespace(nats).log(counts / total) - nats


class Residual:
    r"""The published rule: :math:`-\lambda \|C_j z\|`, which favours large classes."""

    power: ClassVar[int] = 2
    fits_label_code: ClassVar[bool] = False

    @staticmethod
    def scores(norms: Any, counts: Any, total: float, factor: float) -> Any:
        r"""Return the scores from the norms of :math:`(I + \alpha_j S_j)^{-1} z`."""
        return -factor / counts * norms


class WeightedResidual(Residual):
    r"""The rule :math:`-\lambda \gamma_j \|C_j z\|`, without a bias to size."""

    @staticmethod
    def scores(norms: Any, counts: Any, total: float, factor: float) -> Any:
        r"""Return the scores from the norms of :math:`(I + \alpha_j S_j)^{-1} z`."""
        return -factor / total * norms


class Relu:
    r"""The published nonlinearity :math:`z - \sum_j \mathrm{ReLU}(P_j z)`.

    It takes the place of :math:`z - \sum_j \pi_j P_j z`: the membership of a feature in
    a class is one where the projection on the class is positive, and zero elsewhere.
    """

    power: ClassVar[int] = 0
    fits_label_code: ClassVar[bool] = False


# Parameters of `scores`: the extra nats or norms of samples in all classes, (b, k); the
# weights of the classes, (k,); the weight of all samples; and lambda d / epsilon^2.
MEMBERSHIPS: dict[str, Any] = {
    "coding": Coding,
    "residual": Residual,
    "weighted_residual": WeightedResidual,
    "relu": Relu,
}
