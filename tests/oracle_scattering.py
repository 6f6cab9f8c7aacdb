"""Scattering as published: filters in space, sums over all points, no shortcuts.

The parameters of the filters are those of Kymatio (Andreux et al., 2020).
"""

import itertools
import math

import numpy as np


def window(grid, xi, inverse):
    """Return exp(-t'At/2 + i xi't) on a cyclic grid, summed over all periods."""
    reach = math.ceil(9 / math.sqrt(np.linalg.eigvalsh(inverse)[0]))
    periods = [range(-(reach // size) - 1, reach // size + 2) for size in grid]
    total = np.zeros(grid, dtype=complex)
    for point in np.ndindex(grid):
        for period in itertools.product(*periods):
            t = np.array(point) + np.array(period) * np.array(grid)
            total[point] += np.exp(-0.5 * t @ inverse @ t + 1j * xi @ t)
    return total


def morlet(grid, xi, inverse):
    """Return a wavelet without its mean."""
    wave, still = window(grid, xi, inverse), window(grid, 0 * xi, inverse)
    norm = math.sqrt(np.linalg.det(inverse)) / (2 * np.pi) ** (len(grid) / 2)
    return norm * (wave - wave.sum() / still.sum() * still)


def planar(grid, n_scales, n_angles):
    """Return the wavelets of images."""
    found, slant = [], min(1, 4 / n_angles)
    for j in range(n_scales):
        for k in range(n_angles):
            theta = (n_angles // 2 - 1 - k) * np.pi / n_angles
            c, s = np.cos(theta), np.sin(theta)
            turn = np.array([[c, -s], [s, c]])
            inverse = turn @ np.diag([1, slant**2]) @ turn.T / (0.8 * 2**j) ** 2
            xi = 0.75 * np.pi / 2**j * np.array([c, s])
            found.append(morlet(grid, xi, inverse))
    return found


def linear(grid, n_scales, quality):
    """Return the wavelets of series."""
    factor = 2 ** (-1 / quality)
    least = 0.1 / 2**n_scales
    xi = max(1 / (1 + 2 ** (1 / quality)), 0.35)
    sigma = xi * (1 - factor) / (1 + factor) / math.sqrt(2 * math.log(2**0.5))
    pairs = [(xi, max(sigma, least))]
    xi, sigma = xi * factor, sigma * factor
    while sigma > least:
        pairs.append((xi, sigma))
        xi, sigma = xi * factor, sigma * factor
    last = pairs[-1][0]
    pairs += [(last * (quality - q) / quality, least) for q in range(1, quality)]
    return [
        morlet(grid, np.array([2 * np.pi * a]), np.array([[(2 * np.pi * b) ** 2]]))
        for a, b in pairs
    ]


def low(grid, n_scales):
    """Return the Gaussian that averages, with sum one."""
    if len(grid) == 2:
        inverse = np.eye(2) / (0.8 * 2 ** (n_scales - 1)) ** 2
    else:
        inverse = np.array([[(2 * np.pi * 0.1 / 2**n_scales) ** 2]])
    phi = window(grid, np.zeros(len(grid)), inverse).real
    return phi / phi.sum()


def scaled(psi, phi):
    """Return wavelets times the largest number with which no energy is gained."""
    axes = tuple(range(1, np.ndim(psi)))
    spectra, low = np.fft.fftn(psi, axes=axes).real, np.fft.fftn(phi).real
    best = np.inf
    for w in np.ndindex(phi.shape):
        minus = tuple(-a % size for a, size in zip(w, phi.shape, strict=True))
        energy = sum(p[w] ** 2 + p[minus] ** 2 for p in spectra) / 2
        if energy > 1e-9:
            best = min(best, (1 - low[w] ** 2) / energy)
    return [math.sqrt(best) * p for p in psi]


def convolve(x, h):
    """Return the cyclic convolution of arrays on the same grid."""
    axes = tuple(range(x.ndim))
    return sum(h[s] * np.roll(x, s, axes) for s in np.ndindex(x.shape))


def scatter(x, first, second, phi, paths):
    """Return the coefficients of a signal at all points, one array for each path."""
    found = []
    for a, b in paths:
        u = x
        if a >= 0:
            u = np.abs(convolve(u, first[a]))
        if b >= 0:
            u = np.abs(convolve(u, second[b]))
        found.append(convolve(u, phi))
    return np.array(found)
