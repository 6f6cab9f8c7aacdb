r"""The scattering of signals by wavelets, a tree of filters and moduli.

.. math::

    S_0 = x * \varphi, \quad S_1 = |x * \psi_a| * \varphi, \quad
    S_2 = \bigl||x * \psi_a| * \psi_b\bigr| * \varphi

Convolutions are cyclic. A modulus is only computed at every few points, as densely as
the bandwidth of its wavelet needs, and the result at every ``step`` points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from skredu._compat import at_least, move_to, namespace
from skredu._signals import Shape, fourier
from skredu.lifting._morlet import bandwidth

# A modulus varies as fast as the window of its wavelet: it has waves of up to this many
# bandwidths, and is sampled at a bandwidth of up to this many cycles per point.
WAVE, BANDWIDTH = 1.5, 0.2


def paths_of(centres: Any, covariances: Any, n_first: int, order: int) -> Any:
    """Return pairs of wavelets, -1 for none: no wavelet, each one, and pairs.

    Parameters
    ----------
    centres, covariances : ndarray
        See `wavelets`.
    n_first : int
        Number of wavelets of the first order.
    order : int
        Largest number of wavelets of a path.
    """
    size = np.linalg.norm(centres, axis=1)
    width = [bandwidth(covariance) for covariance in covariances[:n_first]]
    paths = [(-1, -1)]
    if order > 0:
        paths += [(a, -1) for a in range(n_first)]
    if order > 1:
        start = n_first if n_first < len(size) else 0
        pairs = size[start:] <= WAVE * np.array(width)[:, None]
        paths += [(a, start + b) for a, b in np.argwhere(pairs).tolist()]
    return np.array(paths)


def steps_of(covariance: Any, step: Shape) -> Shape:
    """Return the distances along the axes at which a modulus is sampled.

    They are powers of two that divide the final distances.
    """
    most = BANDWIDTH * 2.0 * np.pi / bandwidth(covariance)
    power = 2 ** max(0, math.floor(math.log2(most)))
    return tuple(math.gcd(power, size) for size in step)


def scatterer(
    psi: Any, phi: Any, paths: list[list[int]], steps: list[Shape], step: Shape
) -> tuple[Callable[[Any, Shape, Shape], Any], int]:
    """Return a function that scatters, and how many numbers it needs per signal.

    Parameters
    ----------
    psi, phi : array of shape (n_wavelets, *grid) and (*grid)
        Fourier transforms of the wavelets and of the average.
    paths : list of n_paths pairs of int
        See `paths_of`.
    steps : list of n_wavelets tuples of int
        Distances at which the modulus of each wavelet is sampled.
    step : tuple of int
        Distances at which the result is sampled.

    Returns
    -------
    scatter : callable
        Takes signals (b, *grid), the place of their first output point, and the shape
        of the output grid; returns an array (b, n_paths, *coarse).
    width : int
    """
    axes = tuple(range(-len(step), 0))
    branches = _branches(paths, psi, steps)
    average = partial(_average, phi, step)

    def scatter(X: Any, start: Shape, coarse: Shape) -> Any:
        xp, fft = namespace(X), fourier(X)
        shape = (X.shape[0], len(paths), *coarse)
        out = xp.empty(shape, dtype=X.dtype, device=X.device)
        ends = zip(start, step, coarse, strict=True)
        kept = (..., *(slice(a // s, a // s + size) for a, s, size in ends))
        out[:, 0, ...] = average(X, (1,) * len(step))[kept]
        spectrum = fft.fftn(_complex(X), axes=axes)
        for place, wavelet, own, twigs in branches:
            modulus = _modulus(spectrum * wavelet, own)
            out[:, place, ...] = average(modulus, own)[kept]
            if twigs:
                deeper = fft.fftn(_complex(modulus), axes=axes)
            for end, second, others, between in twigs:
                modulus = _modulus(deeper * second, between)
                out[:, end, ...] = average(modulus, others)[kept]
        out[:, 1:, ...] = at_least(out[:, 1:, ...], 0.0)  # rounding errors
        return out

    return scatter, 8 * math.prod(phi.shape)


def _complex(X: Any) -> Any:
    """Return an array as `fftn` of its namespace takes it; SciPy's takes reals."""
    xp = namespace(X)
    return X if xp is np else xp.astype(X, xp.result_type(X.dtype, xp.complex64))


def _average(phi: Any, step: Shape, U: Any, own: Shape) -> Any:
    """Return averages at distances ``step`` of signals at distances ``own``."""
    axes, grid = tuple(range(-len(step), 0)), U.shape[-len(step) :]
    low, fft = crop(phi, own)[..., : grid[-1] // 2 + 1], fourier(U)
    V = fft.irfftn(fft.rfftn(U, axes=axes) * low, s=grid, axes=axes)
    rest = (slice(None, None, s // o) for s, o in zip(step, own, strict=True))
    return V[(..., *rest)]


def _branches(paths: list[list[int]], psi: Any, steps: list[Shape]) -> list[Any]:
    """Return, for each path of one wavelet, what `scatter` needs.

    This is its place, the transform of the wavelet, the distances of its modulus, and a
    list of the same for the paths that go on: place, transform on the grid of the first
    modulus, and distances of the second modulus on the first grid and on that one.
    """
    branches: dict[int, tuple[int, Any, Shape, list[Any]]] = {}
    for place, (a, b) in enumerate(paths):
        if b >= 0:
            _, _, own, twigs = branches[a]
            finest = tuple(map(max, steps[b], own))
            between = tuple(o // s for o, s in zip(finest, own, strict=True))
            wavelet = crop(psi[b, ...], own) / math.prod(between)
            twigs.append((place, wavelet, finest, between))
        elif a >= 0:
            branches[a] = place, psi[a, ...] / math.prod(steps[a]), steps[a], []
    return list(branches.values())


def _modulus(spectrum: Any, steps: Shape) -> Any:
    """Return the modulus of signals at every few points, from their transforms.

    The transforms are those of the signals divided by the number of these points.
    """
    axes = tuple(range(-len(steps), 0))
    for axis, step in zip(axes, steps, strict=True):
        if step > 1:  # sampling adds up the periods of a transform
            spectrum = sum(_periods(spectrum, axis, step))
    return namespace(spectrum).abs(fourier(spectrum).ifftn(spectrum, axes=axes))


def _periods(spectrum: Any, axis: int, n: int) -> Iterator[Any]:
    """Yield equal parts of an array along an axis."""
    size, after = spectrum.shape[axis] // n, (slice(None),) * (-1 - axis)
    for start in range(0, n * size, size):
        yield spectrum[(..., slice(start, start + size), *after)]


def crop(spectrum: Any, steps: Shape) -> Any:
    """Return the low frequencies of transforms, those of every few points."""
    xp = namespace(spectrum)
    for axis, step in zip(range(-len(steps), 0), steps, strict=True):
        size = spectrum.shape[axis]
        kept = size // step
        places = np.r_[: (kept + 1) // 2, size - kept // 2 : size]
        spectrum = xp.take(spectrum, *move_to(spectrum, places), axis=axis)
    return spectrum
