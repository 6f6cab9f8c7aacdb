"""What a network for signals decides by: coding lengths pooled over frequencies.

Classes are all shifts of their rows and linear subspaces at every frequency; affine
ones would differ at frequency zero only, where a mean over all shifts is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from skredu._compat import at_least, namespace
from skredu.classification._coders import Coder, Prepared
from skredu.classification._selection import N_EPSILONS, choose_codes
from skredu.classification._training import Training
from skredu.coding._incremental import NOTHING_LEFT
from skredu.coding._linalg import widen
from skredu.redunet._decision import state_of
from skredu.redunet._spectral_forms import Leverages, directions, factored
from skredu.redunet._spectrum import (
    Frequencies,
    coordinates,
    squared_norms,
    squares,
)


class Scales(NamedTuple):
    """What a class is at some distortions, with one change of its weight or several.

    Parameters
    ----------
    factors : array of shape (F, e, m)
        Before its scatters.
    volumes : array of shape (m, e)
        Log-determinants over all frequencies.
    """

    factors: Any
    volumes: Any


class SpectralCoder(Coder):
    """Classes by the eigenvectors of their scatters at every frequency.

    Rows come first in their spectra, see `rows_of`.

    Parameters
    ----------
    frequencies : Frequencies
    classes : list of dict
        Count, eigenvalues (F, r) and eigenvectors (F, C, r) of each class.
    leverages : list of Leverages, default=None
        Of the training rows of each class; only leave-one-out needs them.
    """

    def __init__(
        self,
        frequencies: Frequencies,
        classes: list[dict[str, Any]],
        leverages: list[Leverages] | None = None,
    ) -> None:
        self.frequencies = frequencies
        self.classes, self.leverages = classes, leverages
        self.n_classes = len(classes)
        self.n_features = float(frequencies.n_channels)
        self.counts = [part["count"] for part in classes]
        self._known: tuple[Any, dict[tuple[int, float], Scales]] = (None, {})

    @classmethod
    def of(
        cls, Z: Any, slices: list[slice], weights: Any, frequencies: Frequencies
    ) -> SpectralCoder:
        """Factor the classes of training features (F, C, n)."""
        classes, leverages = [], []
        weights = None if weights is None else widen(weights)
        for part in slices:
            w = None if weights is None else weights[part]
            form, found = factored(Z[:, :, part], w, frequencies, 1.0)
            leverages.append(found)
            classes.append(_known_class(form.code.count, form.eigenvalues, form.basis))
        return cls(frequencies, classes, leverages)

    @classmethod
    def of_scatters(
        cls,
        scatters: list[Any],
        counts: list[float],
        n_rows: int,
        frequencies: Frequencies,
        dtype: Any,
    ) -> SpectralCoder:
        """Factor classes of which only scatters (F, C, C) and weights are known."""
        classes, leverages = [], []
        for S, count in zip(scatters, counts, strict=True):
            eigenvalues, V, whitening = directions(S, max(n_rows, S.shape[1]))
            basis = namespace(V).astype(V, dtype, copy=False)
            classes.append(_known_class(count, eigenvalues, basis))
            leverages.append(Leverages(None, whitening))
        return cls(frequencies, classes, leverages)

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        return {"frequencies": vars(self.frequencies), "classes": self.classes}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> SpectralCoder:
        """Restore the coder from its plain state."""
        return cls(Frequencies(**state["frequencies"]), state["classes"])

    @property
    def width(self) -> int:
        """Entries that one row takes: spectrum, coordinates, all distortions."""
        F = int(self.frequencies.counts.shape[0])
        return F * (6 * int(self.n_features) + 3 * N_EPSILONS)

    def spread(self, rows: Training) -> float:
        """Root mean square norm of the rows, which are on the sphere."""
        return 1.0

    @staticmethod
    def pick(X: Any, index: Any) -> Any:
        """Return some rows; their last axis lies together in memory, not the first."""
        xp = namespace(X)
        spectra = xp.take(xp.permute_dims(X, (1, 2, 0)), index, axis=2)
        return rows_of(spectra)

    def prepare(self, X: Any) -> Prepared:
        """Every class needs the rows themselves."""
        return (X,)

    def joined(self, j: int, prepared: Prepared, epsilons: Any) -> Any:
        """Extra nats (b, e) of rows that are not in class ``j``."""
        zero = self._one(epsilons, 0.0)
        before = self._length(j, self._scales(j, epsilons, zero).volumes, zero)
        one = self._one(epsilons, 1.0)
        return self._joined(j, self._spectra(prepared), epsilons, one) - before

    def left(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        """Extra nats (b, e) of rows ``index``, all of class ``j``, when left out."""
        xp, Z = namespace(prepared[0]), self._spectra(prepared)
        assert self.leverages is not None
        weights = rows.weights_of(index)
        positions = xp.take(rows.positions, index)
        levers = self.leverages[j].of(Z, weights, positions)
        w = self._one(epsilons, 1.0) if weights is None else weights
        w = w[:1] if xp.all(w == w[:1]) else w
        alone = self.counts[j] - w <= NOTHING_LEFT * self.counts[j]
        w = xp.where(alone, xp.full_like(w, 0.5 * self.counts[j]), w)
        scales = self._scales(j, epsilons, -w)
        remainder = self._shrunk(j, levers, scales.factors)
        remainder += at_least(1.0 - xp.sum(levers, axis=1), 0.0)[:, None, :]
        tiny = float(xp.finfo(xp.float64).smallest_normal)
        logs = self._pooled(xp.log(at_least(remainder, tiny)))
        after = self._joined(j, Z, epsilons, 1.0 - w)
        nats = after - self._length(j, scales.volumes + logs, -w)
        return xp.where(alone[:, None], xp.full_like(nats, xp.inf), nats)

    def lengths(self, epsilons: Any) -> Any:
        """Nats of each class itself, of shape (k, e)."""
        zero, lengths = self._one(epsilons, 0.0), []
        for j in range(self.n_classes):
            volumes = self._scales(j, epsilons, zero).volumes
            lengths.append(self._length(j, volumes, zero)[0, :])
        return namespace(epsilons).stack(lengths)

    def _joined(self, j: int, Z: Any, epsilons: Any, changes: Any) -> Any:
        """Length of a class with so many more copies of each row, (b, e)."""
        xp, scales = namespace(Z), self._scales(j, epsilons, changes)
        if not xp.any(changes != 0.0):
            return self._length(j, scales.volumes, changes)
        inside = squares(coordinates(self.classes[j]["basis"], Z))
        outside = squared_norms(Z) - xp.astype(xp.sum(inside, axis=1), xp.float64)
        forms = self._shrunk(j, inside, scales.factors)
        rest = xp.astype(at_least(outside, 0.0), forms.dtype, copy=False)
        scale = xp.astype(changes * scales.factors, forms.dtype, copy=False)
        joined = scale * (forms + rest[:, None, :])
        # some copies leave
        joined = at_least(joined, float(xp.finfo(joined.dtype).eps) - 1.0)
        return self._length(j, scales.volumes + self._pooled(xp.log1p(joined)), changes)

    def _shrunk(self, j: int, squared: Any, factors: Any) -> Any:
        """Return forms (F, e, b) of the inverse of ``I + c S`` by squares (F, r, b)."""
        xp, eigenvalues = namespace(squared), self.classes[j]["eigenvalues"]
        if factors.shape[2] == 1:
            shares = 1.0 / (1.0 + factors * eigenvalues[:, None, :])
            return xp.astype(shares, squared.dtype, copy=False) @ squared
        columns = []
        for i in range(factors.shape[1]):
            scaled = 1.0 + factors[:, i, :][:, None, :] * eigenvalues[:, :, None]
            scaled = xp.astype(scaled, squared.dtype, copy=False)
            columns.append(xp.sum(squared / scaled, axis=1))
        return xp.stack(columns, axis=1)

    def _pooled(self, values: Any) -> Any:
        """Sum values (F, e, b) over frequencies, (b, e)."""
        xp, (F, e, b) = namespace(values), values.shape
        sums = self.frequencies.total(xp.reshape(values, (F, e * b)))
        return xp.reshape(sums, (e, b)).T

    def _scales(self, j: int, epsilons: Any, changes: Any) -> Scales:
        """Scales of a class; of one change made once for all blocks of rows."""
        if changes.shape[0] > 1:
            return self._made_scales(j, epsilons, changes)
        if self._known[0] is not epsilons:
            self._known = (epsilons, {})
        known, place = self._known[1], (j, float(changes[0]))
        if place not in known:
            known[place] = self._made_scales(j, epsilons, changes)
        return known[place]

    def _made_scales(self, j: int, epsilons: Any, changes: Any) -> Scales:
        xp, eigenvalues = namespace(epsilons), self.classes[j]["eigenvalues"]
        found, places = xp.unique_inverse(changes)
        counts = self.counts[j] + found
        # of no rows, any factor will do
        counts = xp.where(counts == 0.0, xp.ones_like(counts), counts)
        unit = self.frequencies.scale(1.0, 1.0)[:, None] / counts[None, :]
        factors = unit[:, None, :] / (epsilons * epsilons)[None, :, None]
        if counts.shape[0] == 1:
            logs = xp.log1p(factors * eigenvalues[:, None, :])
            volumes = self.frequencies.total(xp.sum(logs, axis=2))[None, :]
            return Scales(factors, volumes)
        columns = []
        for i in range(factors.shape[1]):
            scaled = factors[:, i, :][:, None, :] * eigenvalues[:, :, None]
            columns.append(self.frequencies.total(xp.sum(xp.log1p(scaled), axis=1)))
        volumes = xp.take(xp.stack(columns, axis=1), places, axis=0)
        return Scales(xp.take(factors, places, axis=2), volumes)

    @staticmethod
    def _one(epsilons: Any, value: float) -> Any:
        """Return a change that is the same for all rows."""
        return namespace(epsilons).full_like(epsilons[:1], value)

    def _spectra(self, prepared: Prepared) -> Any:
        """Spectra (F, C, b) of prepared rows."""
        return namespace(prepared[0]).permute_dims(prepared[0], (1, 2, 0))

    def _length(self, j: int, volumes: Any, changes: Any) -> Any:
        """Length by log-determinants (b, e) with changes (b,) or (1,)."""
        return (self.counts[j] + changes + self.n_features)[:, None] / 2.0 * volumes


def _known_class(count: float, eigenvalues: Any, basis: Any) -> dict[str, Any]:
    return {"count": count, "eigenvalues": eigenvalues, "basis": basis}


def rows_of(Z: Any) -> Any:
    """Spectra (F, C, n) with rows first, (n, F, C); NumPy copies nothing."""
    return namespace(Z).permute_dims(Z, (2, 0, 1))


def fit_decision(rows: Training, Z: Any, frequencies: Frequencies) -> dict[str, Any]:
    """Fit a decision to features; its state as arrays, numbers and containers."""
    coder = SpectralCoder.of(Z, rows.slices, rows.weights, frequencies)
    placed = replace(rows, source=rows_of(Z), index=np.arange(Z.shape[2]))
    return state_of(coder, choose_codes(coder, placed, None, "auto", rows.classes), Z)


def decision_scores(decision: dict[str, Any], Z: Any) -> Any:
    """Minus the extra bits of features in every class, label included, (n, k)."""
    coder = SpectralCoder.of_plain(decision["coder"])
    return coder.scores(rows_of(Z), decision["epsilon"], decision["log_priors"])
