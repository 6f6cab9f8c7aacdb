"""Rows of a group, and all of their shifts, by the operators of the other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from skredu._compat import at_least, at_most, namespace
from skredu.redunet._spectral_forms import Factored, Form, Group, inverses_of
from skredu.redunet._spectrum import squared_norms, widen

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut


def left_out(groups: Sequence[Group]) -> list[LeftOut]:
    """Extra nats (b,) and projections (F, C, b) of some rows, each by the others.

    A row that is left out takes all of its shifts along.
    """
    dense = [g for g in groups if g.scatter is not None and g.form.code.count > 1.0]
    found: Iterator[tuple[Any, Any]] = iter(())
    if dense:
        matrices, logs = inverses_of(dense, (-1.0,))
        found = iter([(matrices[i, ...], logs[i, :]) for i in range(len(dense))])
    results: list[LeftOut] = []
    for group in groups:
        if isinstance(group.form, Factored):
            results.append(partial(_factored_left_out, group.form, group))
        elif group.form.code.count > 1.0:
            inverse, logs = next(found)
            results.append(partial(_dense_left_out, group, inverse, logs))
        else:
            results.append(partial(_alone, group))
    return results


def _alone(group: Group, some: slice) -> tuple[Any, Any]:
    form, Z = group.form, group.Z[:, :, some]
    nats = form.frequencies.alone(squared_norms(Z), form.epsilon)
    return nats, namespace(Z).zeros_like(Z)


def _dense_left_out(
    group: Group, inverse: Any, logs: Any, some: slice
) -> tuple[Any, Any]:
    form, Z = group.form, group.Z[:, :, some]
    xp, wide = namespace(Z), widen(Z)
    n, C = form.code.count - 1.0, form.code.n_features
    c = form.frequencies.scale(n, form.epsilon)[:, None]
    rest = inverse @ wide
    m = xp.sum(xp.real(xp.conj(wide) * rest), axis=1)
    remainder = xp.maximum(1.0 - c * m, float(xp.finfo(xp.float64).eps) / (1.0 + c * m))
    nats = _left_nats(form, n, C, xp.log(remainder) + logs[:, None])
    return nats, Z - xp.astype(rest / remainder[:, None, :], Z.dtype, copy=False)


def _left_nats(form: Form, n: Any, C: float, logs: Any) -> Any:
    """Extra nats of rows in what is left, from its log-determinants (F, b)."""
    before, _ = form.code.volumes  # type: ignore[misc]
    volume = form.frequencies.total(logs)
    return (n + 1.0 + C) / 2.0 * before - (n + C) / 2.0 * volume


def _factored_left_out(form: Factored, group: Group, some: slice) -> tuple[Any, Any]:
    xp, Z = namespace(group.Z), group.Z[:, :, some]
    weights = None if group.weights is None else group.weights[some]
    assert group.leverages is not None
    lev = group.leverages.of(Z, weights, some)
    if weights is None:
        weights = xp.ones(Z.shape[2], dtype=xp.float64, device=Z.device)
    copies = at_most(weights, 1.0)
    left = at_least(form.code.count - copies, 0.0)
    alone = left <= 1e-12 * form.code.count
    safe = xp.where(alone, xp.ones_like(left), left)
    unit = form.frequencies.scale(1.0, form.epsilon)
    c = unit[:, None] / safe[None, :]
    scaled = c[:, None, :] * form.eigenvalues[:, :, None]
    shrink = 1.0 / (1.0 + scaled)
    inner = xp.sum(lev * shrink, axis=1)
    if group.Z.shape[2] >= Z.shape[1]:  # otherwise the vectors are a complete basis
        inner = inner + at_least(1.0 - xp.sum(lev, axis=1), 0.0)
    remainder = (weights - copies + copies * inner) / weights
    prepared = form.prepare(Z)
    small = xp.astype(shrink, xp.real(Z).dtype, copy=False)
    rest = form.basis @ ((small - 1.0) * prepared) + Z
    projected = Z - rest / xp.astype(remainder, small.dtype, copy=False)[:, None, :]
    logs = xp.sum(xp.log1p(scaled), axis=1) + xp.log(remainder)
    nats = _coded_again(form, Z, prepared, logs, copies, left)
    lone = form.frequencies.alone(squared_norms(Z), form.epsilon)
    return (
        xp.where(alone, lone, nats),
        xp.where(alone, xp.zeros_like(Z), projected),
    )


def _coded_again(
    form: Factored, Z: Any, prepared: Any, logs: Any, copies: Any, left: Any
) -> Any:
    """Nats of whole rows that join what is left without ``copies`` of them."""
    xp, code, C = namespace(Z), form.code, form.code.n_features
    norms, counts = squared_norms(Z), form.frequencies.counts
    totals = xp.zeros_like(left)
    for copy in xp.unique_values(copies):
        change = 1.0 - float(copy)
        n = code.count + change
        scale = form.frequencies.scale(n, form.epsilon)
        m = form.quadratic(norms, prepared, scale)
        volume = float(
            xp.sum(counts[:, None] * xp.log1p(scale[:, None] * form.eigenvalues))
        )
        joined = form.frequencies.total(xp.log1p(change * scale[:, None] * m))
        length = (n + C) / 2.0 * (volume + joined)
        totals = xp.where(copies == copy, length, totals)
    return totals - (left + C) / 2.0 * form.frequencies.total(logs)
