r"""Morlet wavelets and the Gaussian of a scattering transform, in the Fourier domain.

A wavelet is a Gaussian window times a wave, without its mean,

.. math:: \psi(t) \propto e^{-t^\top \Sigma^{-1} t / 2} (e^{i \xi^\top t} - \kappa).

Its Fourier transform is the difference of two Gaussians, of which all periods are added
up, so it is exact on a cyclic grid of any size. Frequencies are in radians.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from scipy import fft

from skredu._signals import Shape

# Frequencies farther from the centre of a Gaussian, in standard deviations, are left
# out; there it is less than 1e-17.
REACH = 9.0
# In one dimension: bandwidth of the average over 2**n_scales points, in cycles, and the
# relative height at which neighbouring wavelets meet.
LOW, MEETING = 0.1, math.sqrt(0.5)


def planar(n_scales: int, n_angles: int) -> tuple[Any, Any, Any]:
    """Return the wavelets of images, scale by scale, from the finest.

    Returns
    -------
    centres : ndarray of shape (n_wavelets, 2)
        Centre frequencies.
    covariances : ndarray of shape (n_wavelets, 2, 2)
        Covariances of the windows, in squared pixels.
    low : ndarray of shape (2, 2)
        Covariance of the Gaussian that averages.
    """
    slant = min(1.0, 4.0 / n_angles)  # windows are longer across their wave
    centres, covariances = [], []
    for scale, k in product(range(n_scales), range(n_angles)):
        angle = (n_angles // 2 - 1 - k) * np.pi / n_angles
        wave = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-wave[1], wave[0]])
        width = 0.8 * 2.0**scale
        centres.append(0.75 * np.pi / 2.0**scale * wave)
        covariances.append(
            width**2 * (np.outer(wave, wave) + np.outer(across, across) / slant**2)
        )
    low = (0.8 * 2.0 ** (n_scales - 1)) ** 2 * np.eye(2)
    return np.array(centres), np.array(covariances), low


def linear(n_scales: int, quality: int) -> tuple[Any, Any, Any]:
    """Return the wavelets of series, from the highest frequency; see `planar`.

    There are ``quality`` per octave while they are wider than the average, and
    ``quality - 1`` of equal widths, evenly spaced, below.
    """
    step = 2.0 ** (-1.0 / quality)
    least = LOW / 2.0**n_scales
    share = (1.0 - step) / (1.0 + step) / math.sqrt(-2.0 * math.log(MEETING))
    centres = [max(1.0 / (1.0 + 1.0 / step), 0.35)]
    while share * step * centres[-1] > least:
        centres.append(step * centres[-1])
    widths = [max(share * centre, least) for centre in centres] + [least] * (
        quality - 1
    )
    centres += [centres[-1] * (1.0 - k / quality) for k in range(1, quality)]
    spread = 1.0 / (2.0 * np.pi * np.array([*widths, least])) ** 2
    covariances = spread[:, None, None]
    return 2.0 * np.pi * np.array(centres)[:, None], covariances[:-1], covariances[-1]


def wavelets(
    n_axes: int, n_scales: int, n_angles: int, quality: int
) -> tuple[Any, Any, Any, int]:
    """Return all wavelets, and how many of them are of the first order.

    Those of the second order are the rest or, if there is none, the same ones.
    """
    if n_axes == 2:
        centres, covariances, low = planar(n_scales, n_angles)
        return centres, covariances, low, len(centres)
    centres, covariances, low = linear(n_scales, quality)
    if quality == 1:
        return centres, covariances, low, len(centres)
    second = linear(n_scales, 1)
    joined = (
        np.concatenate(pair)
        for pair in zip((centres, covariances), second, strict=False)
    )
    return *joined, low, len(centres)


def bandwidth(covariance: Any) -> float:
    """Return the largest standard deviation of a window in the Fourier domain."""
    return float(np.min(np.linalg.eigvalsh(covariance)) ** -0.5)


def gaussian(grid: Shape, centre: Any, covariance: Any) -> Any:
    """Return the Fourier transform of a window times a wave, one at its centre."""
    far = np.pi + np.max(np.abs(centre)) + REACH * bandwidth(covariance)
    periods = np.arange(-int(far / (2.0 * np.pi)), int(far / (2.0 * np.pi)) + 1)
    axes = [2.0 * np.pi * fft.fftfreq(size) for size in grid]
    total = np.zeros(grid)
    for shift in product(periods, repeat=len(grid)):
        moved = zip(axes, shift, centre, strict=True)
        offset = np.ix_(*(w + 2.0 * np.pi * k - c for w, k, c in moved))
        form = sum(
            covariance[i, j] * (a * b)
            for (i, a), (j, b) in product(enumerate(offset), repeat=2)
        )
        total += np.exp(-0.5 * form)
    return total


def morlet(grid: Shape, centre: Any, covariance: Any) -> Any:
    """Return the Fourier transform of a wavelet, which is zero at frequency zero."""
    wave = gaussian(grid, centre, covariance)
    window = gaussian(grid, np.zeros_like(centre), covariance)
    zero = (0,) * len(grid)
    return wave - wave[zero] / window[zero] * window


def bank(
    grid: Shape, centres: Any, covariances: Any, low: Any, n_first: int
) -> tuple[Any, Any]:
    """Return the transforms (m, *grid) of wavelets, and that of the average (*grid).

    The wavelets of an order are scaled by one number, the largest for which no signal
    gains energy: for real signals, `littlewood_paley` is at most one.
    """
    phi = gaussian(grid, np.zeros(len(grid)), low)
    phi /= phi[(0,) * len(grid)]
    psi = np.stack(
        [morlet(grid, *wave) for wave in zip(centres, covariances, strict=True)]
    )
    for part in (slice(n_first), slice(n_first, None)):
        energy = littlewood_paley(psi[part], np.zeros(grid))
        heard = energy > 1e-12 * np.max(energy)
        if np.any(heard):
            psi[part] *= math.sqrt(np.min((1.0 - phi[heard] ** 2) / energy[heard]))
    return psi, phi


def littlewood_paley(psi: Any, phi: Any) -> Any:
    """Return the share of the energy of a real signal that filters keep, (*grid)."""
    opposite = psi
    for axis in range(1, psi.ndim):
        opposite = np.roll(np.flip(opposite, axis), 1, axis)
    return phi**2 + 0.5 * np.sum(psi**2 + opposite**2, axis=0)
