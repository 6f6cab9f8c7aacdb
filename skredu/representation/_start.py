"""Number of components, and starting points of the search for each layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from skredu.representation._coordinates import Coordinates

# Default; with more components, features of held-out samples become worse.
COMPONENTS_A_CLASS = 2


def count_components(
    n_components: int | None, init: Any, n_features: int, most: int, n_classes: int
) -> int:
    """Validate the number of components, or determine it."""
    if not isinstance(init, str):
        n_components = len(given(init, n_components, n_features))
    elif n_components is None:
        n_components = min(most, COMPONENTS_A_CLASS * n_classes)
    if n_components > most:
        raise ValueError(
            f"n_components={n_components} must be at most {most}: there are "
            f"n_features={n_features}, and one more with an intercept."
        )
    return int(n_components)


def given(init: Any, n_components: int | None, n_features: int) -> Any:
    """Validate an array that is the starting point."""
    init = check_array(init, dtype=np.float64, input_name="init")
    m = len(init) if n_components is None else n_components
    if init.shape != (m, n_features):
        raise ValueError(
            f"init must have the shape (n_components={m}, n_features={n_features}), "
            f"found {init.shape}."
        )
    if not np.any(init):
        raise ValueError("init must not map every sample to zero.")
    return init


@dataclass(frozen=True, eq=False, repr=False)
class Start:
    """Starting points of the search for each layer.

    Parameters
    ----------
    init : str or array-like of shape (m, d)
        Starting point of the first layer.
    n_components : int
    slices : list of slice
        Slice of each class.
    random_state : object
    before : list of dict
        Layers of the previous call, which are starting points if there are any.
    """

    init: Any
    n_components: int
    slices: list[slice]
    random_state: Any
    before: list[dict[str, Any]]

    def __post_init__(self) -> None:
        """Raise an error if the maps of the previous call have another shape."""
        m = self.n_components
        if self.before and len(self.before[0]["intercept"]) != m:
            raise ValueError(
                f"n_components={m} must be {len(self.before[0]['intercept'])} as in "
                "the previous call when warm_start=True."
            )

    def of_layer(self, i: int) -> Callable[[Coordinates], Any]:
        """Return a function from coordinates to a map of them."""
        m = self.n_components
        if i < len(self.before):
            return lambda place: place.enter(**self.before[i])
        if i > 0:  # the identity map
            return lambda place: place.enter(np.eye(m), np.zeros(m))
        if not isinstance(self.init, str):
            return lambda place: place.enter(self.init, np.zeros(m))
        if self.init == "random":
            generator = check_random_state(self.random_state)
            return lambda place: place.random(m, generator)
        if self.init == "lda":
            return lambda place: place.discriminant(m, self.slices)
        return lambda place: place.principal(m)
