"""Generators of data with known structure.

Like the generators of scikit-learn, they have a parameter ``random_state`` and return
the samples ``X`` in double precision with integer labels ``y``. There is one
difference: ``n_samples`` is the number of samples in *each* group or class, as in the
papers, and not the total number.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skredu._checks import as_float, check_integer, naming

__all__ = ["make_gaussians_on_sphere", "make_shifted_signals", "make_subspaces"]

# Limit of noise, offset and scale, such that sums of a few do not overflow.
MAX_LENGTH = 1e300

Seed = int | np.random.RandomState | None


def make_subspaces(
    n_samples: int | Sequence[int] = 100,
    *,
    n_features: int = 3,
    dimensions: Sequence[int] = (1, 1, 2),
    noise: float = 0.02,
    n_outliers: int = 0,
    offset: float = 0.0,
    scale: float = 1.0,
    distribution: str = "uniform",
    shuffle: bool = True,
    return_subspaces: bool = False,
    random_state: Seed = None,
) -> tuple[Any, ...]:
    r"""Generate noisy samples on random subspaces, with outliers.

    A sample of group j is :math:`c_j + B_j^T a + e`, where the centre :math:`c_j` is at
    distance ``offset`` from the origin in a random direction, :math:`B_j` is a random
    orthonormal basis, the coefficients :math:`a` are independent, and :math:`e` is
    isotropic Gaussian noise. Directions and bases are uniformly distributed.

    Parameters
    ----------
    n_samples : int or sequence of int, default=100
        Number of samples on each subspace, or one number per subspace.
    n_features : int, default=3
        Dimension of the space that contains the subspaces.
    dimensions : sequence of int, default=(1, 1, 2)
        Dimension of each subspace, from 0 (a point) to ``n_features``.
    noise : float, default=0.02
        Standard deviation of the noise in each coordinate. The noise moves a sample by
        ``noise * n_features**0.5`` in root mean square, which is a natural distortion
        ``epsilon``.
    n_outliers : int, default=0
        Number of additional samples with the label -1. They are uniformly distributed
        in the smallest cube around the origin that contains all other samples.
    offset : float, default=0.0
        Distance of the centre of each group from the origin, in the units of ``X``.
        The default generates linear subspaces, a positive value affine ones.
    scale : float, default=1.0
        Size of the coefficients, in the units of ``X``.
    distribution : {"uniform", "gaussian"}, default="uniform"
        Distribution of the coefficients: uniform between ``-scale`` and ``scale``, or
        Gaussian with the standard deviation ``scale``.
    shuffle : bool, default=True
        Whether to shuffle the samples. If False, they are sorted by group, with the
        outliers at the end.
    return_subspaces : bool, default=False
        Whether to return the subspaces, too.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible output across multiple function calls.

    Returns
    -------
    X : ndarray of shape (n, n_features)
        The generated samples.
    y : ndarray of shape (n,)
        Index of the subspace of each sample, and -1 for outliers.
    subspaces : list of (basis, centre)
        For each group, an orthonormal basis with one vector per row, of shape
        (dimension, n_features), and the centre, of shape (n_features,). Only returned
        if ``return_subspaces=True``.

    Raises
    ------
    ValueError
        If a parameter has the wrong type or is out of range.

    See Also
    --------
    make_gaussians_on_sphere : Generate classes around the axes, on the unit sphere.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007, for two lines and a plane in
    three dimensions, and outliers that are uniform in a cube.

    Examples
    --------
    Generate two lines and a plane, with outliers:

    >>> from skredu.datasets import make_subspaces
    >>> X, y = make_subspaces([104, 104, 150], n_outliers=40, random_state=0)
    >>> X.shape
    (398, 3)
    >>> [int((y == label).sum()) for label in (-1, 0, 1, 2)]
    [40, 104, 104, 150]
    """
    n_features = check_integer(n_features, "n_features", 1)
    dimensions = _check_integers(dimensions, "dimensions", 0, n_features)
    counts = _check_counts(n_samples, len(dimensions))
    n_outliers = check_integer(n_outliers, "n_outliers", 0)
    noise, offset = _check_length(noise, "noise"), _check_length(offset, "offset")
    scale, rng = _check_length(scale, "scale"), _check_random_state(random_state)

    subspaces = [_subspace(rng, m, n_features, offset) for m in dimensions]
    parts = [
        centre + scale * _coefficients(rng, distribution, (n, len(basis))) @ basis
        for n, (basis, centre) in zip(counts, subspaces, strict=True)
    ]
    X = np.concatenate(parts)
    X += noise * rng.standard_normal(X.shape)
    reach = np.max(np.abs(X))
    X = np.concatenate([X, rng.uniform(-reach, reach, (n_outliers, n_features))])
    y = np.concatenate([_labels(counts), np.full(n_outliers, -1)])
    X, y = _shuffled(rng, shuffle, X, y)
    return (X, y, subspaces) if return_subspaces else (X, y)


def make_gaussians_on_sphere(
    n_samples: int | Sequence[int] = 500,
    *,
    n_classes: int = 2,
    n_features: int | None = None,
    noise: float = 0.1,
    shuffle: bool = True,
    random_state: Seed = None,
) -> tuple[Any, Any]:
    r"""Generate Gaussian classes around the axes, projected to the unit sphere.

    A sample of class j is :math:`(e_j + e) / \|e_j + e\|`, where :math:`e_j` is a unit
    vector and :math:`e` is isotropic Gaussian noise. For these classes, the largest
    rate reduction that any map to the sphere can reach is known; see the example.

    Parameters
    ----------
    n_samples : int or sequence of int, default=500
        Number of samples in each class, or one number per class.
    n_classes : int, default=2
        Number of classes.
    n_features : int, default=None
        Number of features, at least ``n_classes``. None means ``n_classes``.
    noise : float, default=0.1
        Standard deviation of the noise in each coordinate, before the projection.
    shuffle : bool, default=True
        Whether to shuffle the samples. If False, they are sorted by class.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible output across multiple function calls.

    Returns
    -------
    X : ndarray of shape (n, n_features)
        The generated samples, with norm one.
    y : ndarray of shape (n,)
        Class of each sample.

    Raises
    ------
    ValueError
        If a parameter has the wrong type or is out of range.

    See Also
    --------
    skredu.rates.rate_reduction : Compute the rate reduction of features.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for two and three classes of
    500 samples. (In three dimensions, their program adds no noise along the axis.)

    Examples
    --------
    The rate reduction is smaller than its maximum, that of two orthogonal points:

    >>> import numpy as np
    >>> from skredu.datasets import make_gaussians_on_sphere
    >>> from skredu.rates import rate_reduction
    >>> X, y = make_gaussians_on_sphere(random_state=0)
    >>> X.shape
    (1000, 2)
    >>> largest = rate_reduction(np.eye(2), [0, 1], epsilon=0.1**0.5)
    >>> 0.7 < rate_reduction(X, y, epsilon=0.1**0.5) < largest
    True
    """
    n_classes = check_integer(n_classes, "n_classes", 1)
    if n_features is None:
        n_features = n_classes
    n_features = check_integer(n_features, "n_features", n_classes)
    counts = _check_counts(n_samples, n_classes)
    noise, rng = _check_length(noise, "noise"), _check_random_state(random_state)

    y = _labels(counts)
    unit = max(1.0, noise)  # the square of large noise does not overflow
    X = np.eye(n_classes, n_features)[y] / unit
    X += noise / unit * rng.standard_normal(X.shape)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X, y = _shuffled(rng, shuffle, X, y)
    return X, y


def make_shifted_signals(
    n_samples: int | Sequence[int] = 400,
    *,
    n_timesteps: int = 150,
    n_classes: int = 2,
    noise: float = 0.1,
    max_shift: int | None = None,
    shuffle: bool = True,
    return_shifts: bool = False,
    random_state: Seed = None,
) -> tuple[Any, ...]:
    r"""Generate periodic signals, with one waveform per class and random cyclic shifts.

    The waveforms have amplitude one. They are a sine and a square wave with one period,
    then with three periods, with five, and so on. They depend only on the class and on
    ``n_timesteps``, so calls with different random states generate different samples of
    the same classes. A sample is ``np.roll(waveform, shift)`` plus Gaussian noise.

    Parameters
    ----------
    n_samples : int or sequence of int, default=400
        Number of samples in each class, or one number per class.
    n_timesteps : int, default=150
        Length of a signal. It has to be at least eight steps per period of the fastest
        waveform, because with fewer steps a sine and a square wave may be equal.
    n_classes : int, default=2
        Number of classes.
    noise : float, default=0.1
        Standard deviation of the noise at each time.
    max_shift : int, default=None
        Largest shift in time steps, from 0 (no shift) to ``n_timesteps - 1``. Shifts
        are uniformly distributed between 0 and this value; None allows every shift.
    shuffle : bool, default=True
        Whether to shuffle the samples. If False, they are sorted by class.
    return_shifts : bool, default=False
        Whether to return the shifts, too.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible output across multiple function calls.

    Returns
    -------
    X : ndarray of shape (n, n_timesteps)
        The generated signals, one per row.
    y : ndarray of shape (n,)
        Class of each sample.
    shifts : ndarray of shape (n,)
        Number of steps by which each sample is shifted to the right. Only returned if
        ``return_shifts=True``.

    Raises
    ------
    ValueError
        If a parameter has the wrong type or is out of range.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for sines and their signs
    with one and three periods, and 400 samples per class. (Their program also shifts by
    fractions of a step, and repeats the first point of a period at its end.)

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.datasets import make_shifted_signals
    >>> options = {"n_timesteps": 8, "noise": 0.0, "shuffle": False, "random_state": 0}
    >>> X, y, shifts = make_shifted_signals(3, return_shifts=True, **options)
    >>> y.tolist()
    [0, 0, 0, 1, 1, 1]
    >>> np.roll(X[3], -shifts[3]).tolist()
    [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]
    """
    n_classes = check_integer(n_classes, "n_classes", 1)
    n_timesteps = check_integer(n_timesteps, "n_timesteps", 8 * _periods(n_classes - 1))
    last = n_timesteps - 1
    last = last if max_shift is None else check_integer(max_shift, "max_shift", 0, last)
    counts = _check_counts(n_samples, n_classes)
    noise, rng = _check_length(noise, "noise"), _check_random_state(random_state)

    y = _labels(counts)
    shifts = rng.randint(0, last + 1, len(y))
    waveforms = np.stack([_waveform(j, n_timesteps) for j in range(n_classes)])
    X = waveforms[y[:, None], (np.arange(n_timesteps) - shifts[:, None]) % n_timesteps]
    X += noise * rng.standard_normal(X.shape)
    X, y, shifts = _shuffled(rng, shuffle, X, y, shifts)
    return (X, y, shifts) if return_shifts else (X, y)


def _subspace(
    rng: np.random.RandomState, dimension: int, n_features: int, offset: float
) -> tuple[Any, Any]:
    """Draw an orthonormal basis, one vector per row, and a centre of a subspace."""
    Q, R = np.linalg.qr(rng.standard_normal((n_features, dimension)))
    basis = (Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)).T  # unique for R > 0
    direction = rng.standard_normal(n_features)
    return basis, offset / np.linalg.norm(direction) * direction


def _coefficients(
    rng: np.random.RandomState, distribution: str, shape: tuple[int, int]
) -> Any:
    """Draw the coefficients of the rows of a group."""
    if distribution == "uniform":
        return rng.uniform(-1.0, 1.0, shape)
    if distribution == "gaussian":
        return rng.standard_normal(shape)
    allowed = '"uniform" or "gaussian"'
    raise ValueError(f"Bad distribution: must be {allowed}, found {distribution!r}.")


def _periods(label: int) -> int:
    """Return the number of periods of a class: 1, 1, 3, 3, 5, 5, ..."""
    return label // 2 * 2 + 1


def _waveform(label: int, n_timesteps: int) -> Any:
    """Return a sine wave for even labels and a square wave for odd ones."""
    turns = _periods(label) * np.arange(n_timesteps)
    if label % 2 == 0:
        return np.sin(2.0 * np.pi / n_timesteps * turns)
    # Integers, so that the sign at a zero of the sine does not depend on rounding.
    return np.where(2 * turns // n_timesteps % 2 == 0, 1.0, -1.0)


def _labels(counts: list[int]) -> Any:
    """Return the labels of groups of these sizes."""
    return np.repeat(np.arange(len(counts)), counts)


def _shuffled(rng: np.random.RandomState, mix: bool, *arrays: Any) -> tuple[Any, ...]:
    """Apply one random order to the rows of all arrays, if ``mix`` is true."""
    order = rng.permutation(len(arrays[0])) if mix else slice(None)
    return tuple(array[order] for array in arrays)


def _check_random_state(random_state: Seed) -> np.random.RandomState:
    """Return a generator of random numbers."""
    with naming("random_state"):
        return check_random_state(random_state)


def _check_counts(n_samples: Any, n_groups: int) -> list[int]:
    """Return the number of samples in each group."""
    if isinstance(n_samples, numbers.Integral):
        return [check_integer(n_samples, "n_samples", 1)] * n_groups
    counts = _check_integers(n_samples, "n_samples", 1)
    if len(counts) != n_groups:
        raise ValueError(
            f"Bad n_samples: must be one integer, or one for each of the {n_groups} "
            f"groups, found {len(counts)}."
        )
    return counts


def _check_integers(
    values: Any, name: str, low: int, high: float = np.inf
) -> list[int]:
    """Return integers of a range as a list."""
    try:
        values = list(values)
    except TypeError as error:
        raise ValueError(
            f"Bad {name}: must be a sequence of integers, found {values!r}."
        ) from error
    if not values:
        raise ValueError(f"Bad {name}: must contain at least one integer, found none.")
    return [check_integer(value, name, low, high) for value in values]


def _check_length(value: Any, name: str) -> float:
    """Return a length as a float."""
    length = as_float(value)
    if not 0.0 <= length <= MAX_LENGTH:
        allowed = f"a finite number from 0 to {MAX_LENGTH:g}"
        raise ValueError(f"Bad {name}: must be {allowed}, found {value!r}.")
    return length
