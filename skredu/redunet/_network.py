"""A network built forward: every layer is a step uphill from the features before it.

Nothing here knows what a row is. A *rule* makes the operators of a layer from features
and says how these change; a *layer* moves any rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skredu.redunet._protocols import Built, Layer, Rates, Rule

# A step is halved so often before no step is left that gains.
HALVINGS = 10


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """How far a layer moves.

    Parameters
    ----------
    eta : float
        Step size.
    published : bool
        Take the step of the paper, ``eta * alpha`` times the change. Otherwise
        ``eta`` times the change or, where the rate reduction of the training features
        would fall, half of that and so on.
    """

    eta: float
    published: bool

    def lengths(self, layer: Layer, last: float) -> list[float]:
        """Return the steps to try, after a layer with the step ``last``."""
        if self.published:
            return [self.eta * layer.alpha]
        first = min(self.eta, 2.0 * last)
        return [first / 2**halving for halving in range(HALVINGS)]


@dataclass(frozen=True, eq=False, repr=False)
class Grown:
    """A new layer, its step, and the training features behind it."""

    layer: Layer
    step: float
    Z: Any
    rates: Rates


def grow(
    rule: Rule,
    built: Built,
    Z: Any,
    step: Step,
    *,
    tol: float = 0.0,
    last: float = 1.0,
) -> Iterator[Grown]:
    """Build layers one after the other, for as long as one gains.

    Parameters
    ----------
    rule : Rule
    built : Built
        What the rule has built from the training features.
    Z : array
        Training features.
    step : Step
    tol : float, default=0
        Stop after a layer that gains less; zero: never.
    last : float, default=1
        Step of the layer before.

    Yields
    ------
    grown : Grown
    """
    while True:
        layer, change = rule.change(built, Z)
        for length in step.lengths(layer, last):
            if change is None:  # the step before has taken its place
                _, change = rule.change(built, Z)
            moved, change = rule.moved(Z, change, length)
            after = rule.build(moved)
            rates = after.layer.rates()
            gain = rates[2] - layer.rates()[2]
            if step.published or gain >= 0.0:
                break
        else:
            return
        built, Z, last = after, moved, length
        del after, moved, change  # and with them features that are no longer needed
        yield Grown(layer, length, Z, rates)
        if gain < tol and tol > 0.0:
            return


def through(layers: Iterable[tuple[Layer, float]], Z: Any) -> Any:
    """Features after all layers."""
    for layer, step in layers:
        Z = layer.move(Z, step)
    return Z


def staged(layers: Iterable[tuple[Layer, float]], Z: Any) -> Iterator[Any]:
    """Features before the first layer, and after each."""
    yield Z
    for layer, step in layers:
        Z = layer.move(Z, step)
        yield Z
