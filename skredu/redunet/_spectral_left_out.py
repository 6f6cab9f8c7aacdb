"""Rows of a group, and all of their shifts, by the operators of the other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from skredu._compat import at_least, namespace
from skredu.coding._incremental import NOTHING_LEFT
from skredu.redunet._hermitian import inverses
from skredu.redunet._spectral_forms import Factored, Group
from skredu.redunet._spectrum import squared_norms, squares, widen

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut


def left_out(groups: Sequence[Group]) -> list[LeftOut]:
    """Extra nats (b,) and projections (F, C, b) of some rows, each by the others.

    A row that is left out takes all of its shifts along.
    """
    dense = [group for group in groups if group.scatter is not None]
    changes = [_changes(group) for group in dense]
    pairs = [(g, c) for g, own in zip(dense, changes, strict=True) for c in own]
    found: Iterator[tuple[Any, Any]] = iter(())
    if pairs:
        matrices, logs = inverses(
            [group.scatter for group, _ in pairs],
            [
                group.form.frequencies.scale(
                    group.form.code.count + c, group.form.epsilon
                )
                for group, c in pairs
            ],
        )
        found = iter([(matrices[i, ...], logs[i, :]) for i in range(len(pairs))])
    rest = iter(changes)
    results: list[LeftOut] = []
    for group in groups:
        if isinstance(group.form, Factored):
            results.append(partial(_factored_left_out, group.form, group))
        else:
            known = {change: next(found) for change in next(rest)}
            results.append(partial(_dense_left_out, group, known))
    return results


def _weight(group: Group) -> float:
    """Weight that all rows of a dense group have."""
    return 1.0 if group.weights is None else float(group.weights[0])


def _changes(group: Group) -> list[float]:
    """Say how the weight of a dense group changes: rows leave, and one joins again."""
    count, weight = group.form.code.count, _weight(group)
    if count - weight <= NOTHING_LEFT * count:
        return []
    return [-weight] if weight == 1.0 else [-weight, 1.0 - weight]


def _dense_left_out(
    group: Group, known: dict[float, tuple[Any, Any]], some: slice
) -> tuple[Any, Any]:
    """Nats and projections of rows; ``known``: inverses and logarithms by change."""
    form, Z, weight = group.form, group.Z[:, :, some], _weight(group)
    xp, wide, code = namespace(Z), widen(Z), form.code
    n, C = code.count - weight, code.n_features
    if not known:
        return form.frequencies.alone(squared_norms(Z), form.epsilon), xp.zeros_like(Z)

    def downdate(change: float, copies: float) -> tuple[Any, Any, Any]:
        """Rows times the inverse, and what is left of them and of the volume."""
        inverse, logs = known[change]
        c = form.frequencies.scale(code.count + change, form.epsilon)[:, None] * copies
        rest = inverse @ wide
        m = xp.sum(xp.real(xp.conj(wide) * rest), axis=1)
        eps = float(xp.finfo(xp.float64).eps)
        remainder = xp.maximum(1.0 - c * m, eps / (1.0 + xp.abs(c) * m))
        return (
            rest,
            remainder,
            form.frequencies.total(xp.log(remainder) + logs[:, None]),
        )

    rest, remainder, volume = downdate(-weight, weight)
    if weight == 1.0:
        after, _ = code.volumes  # type: ignore[misc]
    else:
        _, _, after = downdate(1.0 - weight, weight - 1.0)
    nats = (n + 1.0 + C) / 2.0 * after - (n + C) / 2.0 * volume
    return nats, Z - xp.astype(rest / remainder[:, None, :], Z.dtype, copy=False)


def _factored_left_out(form: Factored, group: Group, some: slice) -> tuple[Any, Any]:
    xp, Z = namespace(group.Z), group.Z[:, :, some]
    weights = None if group.weights is None else group.weights[some]
    assert group.leverages is not None
    lev = group.leverages.of(Z, weights, some)
    if weights is None:
        weights = xp.ones(Z.shape[2], dtype=xp.float64, device=Z.device)
    left = at_least(form.code.count - weights, 0.0)
    alone = left <= NOTHING_LEFT * form.code.count
    safe = xp.where(alone, xp.ones_like(left), left)
    unit = form.frequencies.scale(1.0, form.epsilon)
    c = unit[:, None] / safe[None, :]
    scaled = c[:, None, :] * form.eigenvalues[:, :, None]
    shrink = 1.0 / (1.0 + scaled)
    remainder = xp.sum(lev * shrink, axis=1)
    if group.Z.shape[2] >= Z.shape[1]:  # otherwise the vectors are a complete basis
        remainder = remainder + at_least(1.0 - xp.sum(lev, axis=1), 0.0)
    prepared = form.prepare(Z)
    small = xp.astype(shrink, xp.real(Z).dtype, copy=False)
    rest = form.basis @ ((small - 1.0) * prepared) + Z
    projected = Z - rest / xp.astype(remainder, small.dtype, copy=False)[:, None, :]
    logs = xp.sum(xp.log1p(scaled), axis=1) + xp.log(remainder)
    nats = _coded_again(form, Z, prepared, logs, safe)
    lone = form.frequencies.alone(squared_norms(Z), form.epsilon)
    return (
        xp.where(alone, lone, nats),
        xp.where(alone, xp.zeros_like(Z), projected),
    )


def _coded_again(form: Factored, Z: Any, prepared: Any, logs: Any, left: Any) -> Any:
    """Nats of rows that join what of weight ``left`` has log-determinants ``logs``."""
    xp, code, C = namespace(Z), form.code, form.code.n_features
    inside = xp.astype(squares(prepared), xp.float64)
    outside = at_least(squared_norms(Z) - xp.sum(inside, axis=1), 0.0)
    scale = form.frequencies.scale(1.0, form.epsilon)[:, None] / (left + 1.0)
    scaled = scale[:, None, :] * form.eigenvalues[:, :, None]
    m = outside + xp.sum(inside / (1.0 + scaled), axis=1)
    joined = (left + 1.0 - code.count) * scale * m
    tiny = float(xp.finfo(xp.float64).eps)
    volume = xp.sum(xp.log1p(scaled), axis=1) + xp.log(at_least(1.0 + joined, tiny))
    after, before = (form.frequencies.total(part) for part in (volume, logs))
    return (left + 1.0 + C) / 2.0 * after - (left + C) / 2.0 * before
