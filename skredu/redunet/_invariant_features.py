"""Features of signals that are the same for all shifts."""

from __future__ import annotations

import math
from typing import Any

from skredu._compat import namespace
from skredu.redunet._memberships import softmax
from skredu.redunet._spectral_decision import decision_scores
from skredu.redunet._spectrum import squares


def n_invariant_features(n_frequencies: int, n_channels: int, n_classes: int) -> int:
    """How many features there are."""
    return n_frequencies * n_channels + n_classes


def invariant_features(Z: Any, decision: dict[str, Any]) -> Any:
    """Magnitudes of spectra and, class by class, what coding lengths say.

    Parameters
    ----------
    Z : array of shape (F, C, n)
        Spectra, of which a shift changes only the phases.
    decision : dict
        A fitted decision: classes and the distortion and temperature for them.

    Returns
    -------
    features : array of shape (n, F * C + k)
        Magnitudes, channels first, together of norm one, and the probabilities of the
        classes by their extra bits.
    """
    xp, n = namespace(Z), Z.shape[2]
    magnitudes = xp.permute_dims(xp.sqrt(squares(Z)), (2, 1, 0))
    scores = decision_scores(decision, Z) * (math.log(2.0) / decision["temperature"])
    shares = xp.astype(softmax(scores), magnitudes.dtype, copy=False)
    return xp.concat([xp.reshape(magnitudes, (n, -1)), shares], axis=1)
