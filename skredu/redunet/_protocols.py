"""What networks ask of layers and of the rules that make them; types only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from skredu.coding._incremental import Code

Rates = tuple[float, float, float]
# Extra nats (b,) and projections of some rows of a group, each by the others.
LeftOut = Callable[[slice], tuple[Any, Any]]


class Operator(Protocol):
    """Operator of one group of rows."""

    @property
    def code(self) -> Code:
        """Count, and dimension that lengths count."""

    @property
    def epsilon(self) -> float:
        """Distortion."""


class Layer(Protocol):
    """Operators of one layer."""

    @property
    def alpha(self) -> float:
        """Length of a published step that moves a row by its change once."""

    def rates(self) -> Rates:
        """Coding rate of the features it was built on, by class, and the reduction."""

    def move(self, Z: Any, step: float) -> Any:
        """Features after the layer."""

    def plain(self) -> dict[str, Any]:
        """State as arrays, numbers and containers."""


class Built(Protocol):
    """A layer and what the training features need beside it."""

    @property
    def layer(self) -> Layer:
        """The operators."""


class Rule(Protocol):
    """How layers are made."""

    def build(self, Z: Any) -> Built:
        """Operators from training features."""

    def change(self, built: Any, Z: Any) -> tuple[Layer, Any]:
        """Complete a layer, and say in which direction it moves the features."""

    def moved(self, Z: Any, change: Any, step: float) -> tuple[Any, Any]:
        """Training features after a step, and the change if it is still there."""
