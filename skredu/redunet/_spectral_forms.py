r"""The operators of one group of rows and all of their shifts, in two forms.

With the scatter :math:`S(p)` of the spectra of a group at a frequency, its operator is
:math:`\alpha M(p)^{-1}` with :math:`M(p) = I + \alpha T S(p)` and
:math:`\alpha = C/(n\epsilon^2)`: the factor ``T`` makes it that of the scatter of all
shifts. `Factored` keeps eigenvectors, `Dense` square matrices, as in
`skredu.redunet._forms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skredu._compat import at_least, namespace
from skredu.coding._incremental import Code
from skredu.coding._linalg import batches
from skredu.redunet._base_layer import weights_differ
from skredu.redunet._hermitian import inverses
from skredu.redunet._spectrum import (
    CACHED,
    Frequencies,
    adjoint,
    coordinates,
    scatters,
    squared_norms,
    squares,
    weighted,
    widen,
)

# Beyond this the inverse of ``I + c S`` loses too many digits of weak directions.
MAX_SCALE = 1e7
# Up to this the eigenvectors of the smaller side are precise enough.
MAX_GRAM = 1e5
# Up to this, forms of a row in single precision are summed in single precision.
MAX_SINGLE = 1e3


class OnGrid:
    """What both forms have."""

    code: Code
    frequencies: Frequencies

    def volume(self) -> float:
        """Log-determinant of all operators, a point of the grid."""
        return float(self.code.volumes[0]) / self.frequencies.n_points  # type: ignore[index]


@dataclass(eq=False, repr=False)
class Factored(OnGrid):
    """Eigenvectors of the scatters.

    Parameters
    ----------
    code : Code
        Count and log-determinants.
    epsilon : float
        Distortion.
    frequencies : Frequencies
    eigenvalues : array of shape (F, r)
        In double precision.
    basis : array of shape (F, C, r)
        Eigenvectors as columns, zero for directions that have none.
    """

    code: Code
    epsilon: float
    frequencies: Frequencies
    eigenvalues: Any
    basis: Any

    @property
    def rank(self) -> int:
        """Number of eigenvectors at each frequency."""
        return int(self.eigenvalues.shape[1])

    def prepare(self, Z: Any) -> Any:
        """Coordinates of rows along the eigenvectors, (F, r, b)."""
        return coordinates(self.basis, Z)

    def quadratic(self, norms: Any, prepared: Any, scale: Any) -> Any:
        """Forms of ``(I + c S)^{-1}`` at rows, (F, b), from their coordinates."""
        rest = self._shrunk(norms, prepared, scale, 1)
        return at_least(rest, 0.0)

    def residual(self, norms: Any, prepared: Any) -> Any:
        """Squared norms of ``M^{-1} z``, of shape (b,)."""
        xp = namespace(norms)
        scale = self.frequencies.scale(self.code.count, self.epsilon)
        return at_least(xp.sum(self._shrunk(norms, prepared, scale, 2), axis=0), 0.0)

    def project(self, prepared: Any) -> Any:
        """Rows ``(I - M^{-1}) z``, of shape (F, C, b)."""
        xp = namespace(prepared)
        scale = self.frequencies.scale(self.code.count, self.epsilon)
        scaled = scale[:, None] * self.eigenvalues
        shares = xp.astype(scaled / (1.0 + scaled), xp.real(prepared).dtype, copy=False)
        return self.basis @ (shares[:, :, None] * prepared)

    def matrix(self) -> Any:
        """``I - M^{-1}`` at all frequencies, (F, C, C)."""
        return self.project(adjoint(self.basis))

    def _shrunk(self, norms: Any, prepared: Any, scale: Any, power: int) -> Any:
        xp, coordinates = namespace(norms), squares(prepared)
        shrink = (1.0 + scale[:, None] * self.eigenvalues) ** -power
        outside = norms - xp.astype(xp.sum(coordinates, axis=1), norms.dtype)
        shrink = xp.astype(shrink, coordinates.dtype, copy=False)
        inside = (shrink[:, None, :] @ coordinates)[:, 0, :]
        return at_least(outside, 0.0) + xp.astype(inside, norms.dtype)


@dataclass(eq=False, repr=False)
class Dense(OnGrid):
    """Square matrices.

    Parameters
    ----------
    code : Code
        Count and log-determinants.
    epsilon : float
        Distortion.
    frequencies : Frequencies
    ridge : array of shape (F, C, C)
        The matrices ``I - M^{-1}``.
    """

    code: Code
    epsilon: float
    frequencies: Frequencies
    ridge: Any

    def prepare(self, Z: Any) -> Any:
        """Projections need the rows themselves."""
        return Z

    def project(self, prepared: Any) -> Any:
        """Rows ``(I - M^{-1}) z``, of shape (F, C, b)."""
        return self.ridge @ prepared

    def matrix(self) -> Any:
        """``I - M^{-1}`` at all frequencies, (F, C, C)."""
        return self.ridge


Form = Factored | Dense


@dataclass(eq=False, repr=False)
class Leverages:
    """Squared left singular vectors of the weighted rows of a group.

    Parameters
    ----------
    squares : array of shape (F, r, b) or None
        Those of all rows, where these are few or steep.
    whitening : array of shape (F, C, r) or None
        Eigenvectors over singular values, in double precision, that make them.
    """

    squares: Any
    whitening: Any

    def of(self, Z: Any, weights: Any, some: Any) -> Any:
        """Those (F, r, m) of some rows, a slice or an index, and their weights."""
        if self.squares is None:
            rows = widen(weighted(Z, weights))
            return squares(coordinates(self.whitening, rows))
        if isinstance(some, slice):
            return self.squares[:, :, some]
        return namespace(Z).take(self.squares, some, axis=2)


@dataclass(eq=False, repr=False)
class Group:
    """Training rows of a group and what is made from them.

    Parameters
    ----------
    Z : array of shape (F, C, b)
        Their spectra.
    weights : array of shape (b,) or None
        Number of copies of each row, in double precision.
    form : Factored or Dense
    scatter : array of shape (F, C, C) or None
        Of the dense form.
    leverages : Leverages or None
        Of the rows, of the factored form.
    steepness : float
        Largest factor by which a scatter exceeds the unit matrix.
    """

    Z: Any
    weights: Any
    form: Form
    scatter: Any = None
    leverages: Leverages | None = None
    steepness: float = 0.0


def extra(form: Form, m: Any) -> Any:
    """Extra nats, label not included, (b,), of rows that join the group.

    ``m`` of shape (F, b) holds the forms of ``(I + c S)^{-1}`` at the rows, with one
    more row in the scale ``c``.
    """
    xp, code = namespace(m), form.code
    before, after = code.volumes  # type: ignore[misc]
    scale = form.frequencies.scale(code.count + 1.0, form.epsilon)
    scale = xp.astype(scale, m.dtype, copy=False)
    volume = after + form.frequencies.total(xp.log1p(scale[:, None] * m))
    n, C = code.count, code.n_features
    return (n + 1.0 + C) / 2.0 * volume - (n + C) / 2.0 * before


def count_of(Z: Any, weights: Any) -> float:
    """Weight of all rows."""
    return float(Z.shape[2] if weights is None else namespace(Z).sum(weights))


def group_of(
    Z: Any,
    weights: Any,
    frequencies: Frequencies,
    epsilon: float,
    scatter: Any,
    *,
    left_out: bool,
) -> Group:
    """Choose a form for a group; `complete` makes dense ones.

    Factored without a scatter, or where square matrices would lose digits.
    """
    xp, count = namespace(Z), count_of(Z, weights)
    if scatter is None:
        norms = squared_norms(Z)
        traces = xp.sum(norms, axis=1) if weights is None else norms @ weights
    else:
        traces = xp.real(xp.linalg.trace(scatter))
    steepness = float(xp.max(frequencies.scale(count, epsilon) * traces))
    many = left_out and weights_differ(weights)
    if scatter is not None and not many and steepness <= MAX_SCALE:
        code = Code(count, float(Z.shape[1]), None, 0.0, True, None)
        empty = Dense(code, epsilon, frequencies, None)
        return Group(Z, weights, empty, scatter, steepness=steepness)
    found, leverages = factored(Z, weights, frequencies, epsilon, steepness)
    return Group(Z, weights, found, None, leverages, steepness)


def factored(
    Z: Any,
    weights: Any,
    frequencies: Frequencies,
    epsilon: float,
    steepness: float = 0.0,
) -> tuple[Factored, Leverages]:
    """Eigenvectors of a group, and the leverages of its rows."""
    xp, (_, C, b) = namespace(Z), Z.shape
    squared = whitening = None
    if steepness > MAX_GRAM:
        V, sigma, Ut = xp.linalg.svd(widen(weighted(Z, weights)), full_matrices=False)
        eigenvalues, squared = sigma * sigma, squares(Ut)
    elif b < C:
        rows = weighted(Z, weights)
        root = widen(rows)
        eigenvalues, U = xp.linalg.eigh(adjoint(root) @ root)
        keep, eigenvalues = _real_ones(eigenvalues, C)
        V = rows @ xp.astype(U * keep, rows.dtype, copy=False)
        squared = squares(xp.matrix_transpose(U))
    else:
        (S,) = scatters(Z, [slice(None)], weights)
        eigenvalues, V, whitening = directions(S, b)
    code = Code(count_of(Z, weights), float(C), None, 0.0, True)
    pair = [
        frequencies.volume(eigenvalues, code.count + change, epsilon)
        for change in (0.0, 1.0)
    ]
    code = replace(code, volumes=(pair[0], pair[1]))
    basis = xp.astype(V, Z.dtype, copy=False)
    form = Factored(code, epsilon, frequencies, eigenvalues, basis)
    return form, Leverages(squared, whitening)


def directions(S: Any, longest: int) -> tuple[Any, Any, Any]:
    """Eigenvalues (F, C) of scatters, eigenvectors, and these over singular values.

    ``longest`` is the larger number of the channels and of the rows in the scatters.
    """
    eigenvalues, V = namespace(S).linalg.eigh(S)
    keep, eigenvalues = _real_ones(eigenvalues, longest)
    return eigenvalues, V, V * keep


def _real_ones(eigenvalues: Any, longest: int) -> tuple[Any, Any]:
    """Inverse roots of eigenvalues (F, 1, r), and these; zero where rounding is."""
    xp = namespace(eigenvalues)
    top = xp.max(eigenvalues, axis=1, keepdims=True)
    floor = longest * float(xp.finfo(xp.float64).eps) * top
    real = eigenvalues > floor
    eigenvalues = xp.where(real, eigenvalues, xp.zeros_like(eigenvalues))
    sigma = xp.sqrt(xp.where(real, eigenvalues, xp.ones_like(eigenvalues)))
    return (xp.astype(real, xp.float64) / sigma)[:, None, :], eigenvalues


def complete(groups: Sequence[Group], kind: str | None) -> tuple[list[Group], Any]:
    """Invert the scatters of the dense groups, all at once.

    Parameters
    ----------
    groups : sequence of Group
    kind : str or None
        Rule for memberships, None for groups that need none.

    Returns
    -------
    groups : list of Group
    matrices : array of shape (m, F, C, C) or None
        Of which memberships take the forms, for each dense group: the inverses of
        ``I + c S`` with one more row, or the squares of ``M^{-1}``.
    """
    dense = [group for group in groups if isinstance(group.form, Dense)]
    if not dense:
        return list(groups), None
    xp, m = namespace(dense[0].Z), len(dense)
    changes = (0.0, 1.0) if kind == "coding" else (0.0,)
    found, logs = inverses_of(dense, changes)
    volumes = xp.reshape(logs @ dense[0].form.frequencies.counts, (len(changes), m))
    inverse = found[:m, ...]
    ridges = _less_than_unit(inverse, dense[0].Z.dtype)
    made = []
    for i, group in enumerate(dense):
        pair = float(volumes[0, i]), float(volumes[-1, i])
        code = replace(group.form.code, volumes=pair)
        form = Dense(code, group.form.epsilon, group.form.frequencies, ridges[i, ...])
        made.append(replace(group, form=form))
    if kind is None:
        matrices = None
    else:
        matrices = found[m:, ...] if kind == "coding" else inverse @ inverse
    rest = iter(made)
    every = [next(rest) if isinstance(g.form, Dense) else g for g in groups]
    return every, matrices


def _less_than_unit(inverse: Any, dtype: Any) -> Any:
    """Return ``I - M^{-1}`` in a precision, with small temporaries."""
    xp, (m, F, C, _) = namespace(inverse), inverse.shape
    ridges = xp.empty((m, F, C, C), dtype=dtype, device=inverse.device)
    eye = xp.eye(C, dtype=inverse.dtype, device=inverse.device)
    for i in range(m):
        for block in batches(F, CACHED // C**2):
            ridge = eye - inverse[i, block, ...]
            ridges[i, block, ...] = xp.astype(ridge, dtype, copy=False)
    return ridges


def inverses_of(dense: Sequence[Group], changes: tuple[float, ...]) -> tuple[Any, Any]:
    """Inverses with the scales of changed counts, change by change."""
    scales = [
        g.form.frequencies.scale(g.form.code.count + change, g.form.epsilon)
        for change in changes
        for g in dense
    ]
    return inverses([g.scatter for g in dense] * len(changes), scales)
