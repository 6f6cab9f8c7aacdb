r"""Features of signals that are the same for all shifts.

A shift changes the phase of a spectrum at each frequency by an angle proportional to
the frequency. It does not change magnitudes, nor the phase of
:math:`v(p) v(q) \overline{v(p + q)}`, the bispectrum, in which the three angles cancel.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._linalg import softmax, squares
from skredu.redunet._decision import decision_scores
from skredu.redunet._signals import Grid

# Number of frequencies of the bispectrum; with more, noise has a larger weight.
LOWEST = 10


def n_invariant_features(grid: Grid, n_classes: int) -> int:
    """Return the number of invariant features."""
    n_products = triples(grid)[0].shape[1]
    return (math.prod(grid.half) + 2 * n_products) * grid.n_channels + n_classes


def invariant_features(Z: Any, decision: dict[str, Any], grid: Grid) -> Any:
    """Return magnitudes of spectra, phases of their bispectra, and probabilities.

    Parameters
    ----------
    Z : array of shape (F, C, n)
        Spectra; a shift changes only their phases.
    decision : dict
        A fitted decision: the classes, and their distortion and temperature.
    grid : Grid

    Returns
    -------
    features : array of shape (n, F * C + 2 * B * C + k)
        Magnitudes, scaled together to norm one; real and imaginary parts of the ``B``
        products of `low_products`; and the class probabilities by extra bits. Channels
        come first.
    """
    xp = namespace(Z)
    magnitudes, products = xp.sqrt(squares(Z)), low_products(Z, grid)
    scores = decision_scores(decision, Z) * (math.log(2.0) / decision["temperature"])
    shares = xp.astype(softmax(scores), magnitudes.dtype, copy=False)
    parts = xp.concat([xp.real(products), xp.imag(products)], axis=0)
    return xp.concat([_rows(magnitudes), _rows(parts), shares], axis=1)


def low_products(Z: Any, grid: Grid) -> Any:
    r"""Return phases of the bispectrum at low frequencies, of shape (B, C, n).

    They are multiplied by the smallest of the three magnitudes instead of their
    product, so that rounding errors stay small if one of them vanishes and has no
    phase.
    """
    xp, phases, sizes = namespace(Z), [], []
    for index, turned in zip(*triples(grid), strict=True):
        place = xp.asarray(index.tolist(), dtype=xp.int64, device=Z.device)
        turn = xp.asarray(turned.tolist(), dtype=xp.bool, device=Z.device)
        part = xp.take(Z, place, axis=0)
        part = xp.where(turn[:, None, None], xp.conj(part), part)
        size = xp.sqrt(squares(part))
        phases.append(part / xp.where(size > 0, size, xp.ones_like(size)))
        sizes.append(size)
    smallest = xp.minimum(xp.minimum(sizes[0], sizes[1]), sizes[2])
    return phases[0] * phases[1] * phases[2] * smallest


def triples(grid: Grid) -> tuple[Any, Any]:
    """Return frequencies p, q and p + q for all pairs of the lowest nonzero ones.

    Returns
    -------
    index : ndarray of shape (3, B)
        Positions in the half spectrum.
    turned : ndarray of shape (3, B)
        Whether the product takes the conjugate of the value at this position.
    """
    waves = _lowest(grid)
    pairs = itertools.combinations_with_replacement(range(waves.shape[1]), 2)
    first, second = np.array(list(pairs), dtype=int).reshape(-1, 2).T
    p, q = waves[:, first], waves[:, second]
    found = [_place(w, grid) for w in (p, q, p + q)]
    index, turned = (np.stack(list(part)) for part in zip(*found, strict=True))
    turned[2] = ~turned[2]
    return index, turned


def _lowest(grid: Grid) -> Any:
    """Return the wave numbers (axes, m) of the lowest frequencies, p or -p."""
    shape = np.array(grid.shape)[:, None]
    waves = np.indices(grid.half).reshape(len(grid.shape), -1)
    there, turned = _place(-waves, grid)
    own = np.arange(waves.shape[1])
    kept = np.flatnonzero((turned | (own <= there)) & (own > 0))
    squared = np.sum(np.minimum(waves, shape - waves) ** 2, axis=0)[kept]
    return waves[:, kept[np.argsort(squared, kind="stable")[:LOWEST]]]


def _place(waves: Any, grid: Grid) -> tuple[Any, Any]:
    """Return the index of wave numbers in the half spectrum, and whether of -p."""
    shape = np.array(grid.shape)[:, None]
    turned = (waves % shape)[-1] >= grid.half[-1]
    waves = np.where(turned, -waves, waves) % shape
    return np.ravel_multi_index(tuple(waves), grid.half), turned


def _rows(values: Any) -> Any:
    """Return values (m, C, n) with one sample per row, channels first."""
    m, C, n = values.shape
    xp = namespace(values)
    return xp.reshape(xp.permute_dims(values, (2, 1, 0)), (n, C * m))
