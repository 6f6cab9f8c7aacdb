"""Fit and prediction of a single kernel: a model, or a candidate of a mix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from skredu._checks import has_gaps
from skredu._compat import namespace, to_numpy
from skredu._progress import UNWATCHED, Progress
from skredu.classification._kernel import KernelClasses, products_of, unit_power
from skredu.classification._local import LocalClasses
from skredu.coding._choose import Choice, LeftOut, choose
from skredu.coding._classes import Classes
from skredu.coding._missing import ClassesWithGaps, expected_scatters, extra_nats
from skredu.coding._rows import (
    Rows,
    check_reach,
    epsilon_in_unit,
    in_floats,
    in_unit,
    unit_of,
)
from skredu.coding._scatter import Scatter, group_of_scatter
from skredu.coding._symmetry import SymmetricGroup, permutations_of, symmetric

# Attributes of a fitted classifier that predictions need.
NEEDED = ("_model", "_epsilon", "_log_priors", "_unit", "temperature_")
# Kernels whose distortion is a length between samples.
LINEAR = ("linear", "auto")


def fit_single(
    estimator: Any, rows: Rows, progress: Progress, **how: Any
) -> LeftOut | None:
    """Fit an estimator to sorted samples; see `fit_rows` and `_choose` for ``how``."""
    estimator.classes_, estimator._unit = rows.classes, unit_for(estimator, rows.X)
    rows = rows.scaled(estimator._unit)
    if not estimator._adds_up:
        choice, fitted = fit_rows(estimator, rows, progress, **how)
    else:
        scatters = scatters_of(estimator, rows)
        choice, fitted = fit_linear(estimator, scatters, rows, progress, **how)
        known = {**choice._asdict(), "log_priors": None, "left_out": None}
        estimator._begin_stream(scatters, len(rows.y), known)
    estimator.__dict__.update(fitted)
    return choice.left_out


def unit_for(estimator: Any, X: Any) -> float:
    """Return a unit of length for samples, also for a distortion between them."""
    if callable(estimator.kernel) or estimator.kernel == "precomputed":
        return 1.0
    given = estimator.kernel in LINEAR and not isinstance(estimator.epsilon, str)
    return unit_of(X, float(estimator.epsilon) if given else None)


def scatters_of(estimator: Any, rows: Rows) -> list[Scatter]:
    """Return the scatters of the classes of scaled samples, expected ones for gaps."""
    epsilon = given_epsilon(estimator)
    if has_gaps(rows.X):
        return expected_scatters(rows, estimator.assume_centered, epsilon)
    return rows.scatters(estimator.assume_centered, epsilon)


def given_epsilon(estimator: Any) -> float | None:
    """Return the distortion in the unit of the samples, None to choose it."""
    if isinstance(estimator.epsilon, str):
        return None
    unit = estimator._unit if estimator.kernel in LINEAR else 1.0
    return epsilon_in_unit(float(estimator.epsilon), unit)


def fit_linear(
    estimator: Any,
    scatters: list[Scatter],
    rows: Rows | None,
    progress: Progress = UNWATCHED,
    **how: Any,
) -> tuple[Choice, dict[str, Any]]:
    """Choose parameters by samples, or keep a choice; return fitted attributes."""
    epsilon, d = given_epsilon(estimator), scatters[0].mean.shape[0]
    permutations = permutations_of(estimator.symmetry, estimator.signal_shape, d)
    if permutations is not None:
        scatters = [symmetric(scatter, permutations) for scatter in scatters]
    left_out = estimator.calibrate or how.get("everything", False) or epsilon is None
    left_out = left_out and rows is not None
    given = None if left_out else epsilon
    classes = Classes([group_of_scatter(s, epsilon=given) for s in scatters])
    if left_out and rows is not None and permutations is not None:
        groups: Any = classes.groups
        classes.groups = [SymmetricGroup.of(group, permutations) for group in groups]
        classes.spread = rows.spread(estimator.assume_centered, permutations)
    if rows is not None and has_gaps(rows.X):
        gaps = ClassesWithGaps(rows, scatters, classes.groups)
        classes, how = gaps, {"judged": gaps.judged, **how}
    choice = _choose(estimator, classes, rows, progress, **how)
    if left_out or epsilon is None:  # matrices take half of the products
        for j, s in enumerate(scatters):
            if s.matrix is not None and not s.ill_conditioned(choice.epsilon):
                classes.groups[j] = group_of_scatter(s, epsilon=choice.epsilon)
    return choice, _fitted(estimator, classes, choice, scatters[0].mean)


def fit_rows(
    estimator: Any,
    rows: Rows,
    progress: Progress,
    gamma_factor: float | None = None,
    **how: Any,
) -> tuple[Choice, dict[str, Any]]:
    """Fit classes that keep their samples, by products or by neighbours.

    ``gamma_factor`` multiplies the default of ``gamma``, which is the only candidate.
    """
    found: list[tuple[Choice, Classes]] = []
    kernel, unit = estimator.kernel, estimator._unit
    options = estimator.assume_centered, progress
    if estimator.n_neighbors is not None:
        m = estimator.n_neighbors
        near = LocalClasses.fit(rows, m, estimator.n_jobs, *options)
        candidates: Iterable[Classes] = [near]
    else:
        all_products = products_of(rows, estimator, unit, gamma_factor)
        for products in all_products:
            products.epsilon = given_epsilon(estimator) or 1.0
        candidates = (KernelClasses.fit(rows, p, *options) for p in all_products)
    for classes in candidates:
        found.append((_choose(estimator, classes, rows, progress, **how), classes))
        classes.Z = None  # its samples have been left out
    choice, classes = min(found, key=lambda pair: pair[0].loss)
    if isinstance(classes, KernelClasses):
        classes.products.epsilon = choice.epsilon
    fitted = _fitted(estimator, classes, choice, rows.source)
    if kernel in ("rbf", "laplacian", "poly"):
        gamma = fitted["_model"]["products"]["parameters"]["gamma"]
        for _ in range(unit_power(kernel)):
            gamma /= unit
        fitted["gamma_"] = in_floats(gamma)
    return choice, fitted


def _choose(
    estimator: Any,
    classes: Classes,
    rows: Rows | None,
    progress: Progress,
    *,
    everything: bool = False,
    **known: Any,
) -> Choice:
    """Choose parameters, and predict the samples that are left out for it.

    ``everything`` leaves out all of them, even if nothing is to be chosen.
    """
    options = {"labels": estimator.classes_, **known}
    options |= {"priors": estimator.priors, "calibrate": estimator.calibrate}
    epsilon = given_epsilon(estimator)
    wanted = everything or estimator.calibrate or epsilon is None
    with progress.task("choose epsilon"):
        choice = choose(classes, rows, epsilon=epsilon, left_out=wanted, **options)
        found = choice.left_out
        if everything and rows and found and len(found.chosen) < len(rows.y):
            options["judged"] = np.arange(len(rows.y)), np.ones(len(rows.y))
            again = choose(
                classes, rows, epsilon=choice.epsilon, left_out=True, **options
            )
            choice = choice._replace(left_out=again.left_out)
    return choice


def _fitted(
    estimator: Any, classes: Classes, choice: Choice, like: Any
) -> dict[str, Any]:
    """Return the fitted attributes, on the device of another array."""
    epsilon, xp = estimator.epsilon, namespace(like)
    if isinstance(epsilon, str):  # in the units of the samples, as a float
        linear = estimator.kernel in LINEAR
        epsilon = in_floats(choice.epsilon * (estimator._unit if linear else 1.0))
    place = {"dtype": xp.float64, "device": like.device}
    log_priors = xp.asarray(choice.log_priors, **place)
    path = xp.asarray([choice.epsilon], **place)
    nats = xp.concat([group.length(path) for group in classes.groups])
    return {
        "_model": classes.to_state(),
        "_epsilon": choice.epsilon,
        "_log_priors": log_priors,
        "epsilon_": float(epsilon),
        "priors_": xp.exp(log_priors),
        "temperature_": choice.temperature,
        "class_coding_length_": nats / math.log(2.0),
    }


def scores_of(fitted: dict[str, Any], X: Any) -> Any:
    """Return minus the extra bits of samples in every class, (n, k).

    ``fitted`` contains the attributes of a classifier that are named in NEEDED.
    """
    classes, Z = restored(fitted, X)
    return classes.scores(Z, fitted["_epsilon"], fitted["_log_priors"])


def restored(fitted: dict[str, Any], X: Any) -> tuple[Classes, Any]:
    """Return the classes of a fitted classifier, and features of samples."""
    model, unit, epsilon = fitted["_model"], fitted["_unit"], fitted["_epsilon"]
    kind: type[Classes] = Classes
    if "products" in model or "neighbours" in model:
        kind = KernelClasses if "products" in model else LocalClasses
    if kind is not KernelClasses:
        check_reach(X, unit, min(epsilon, 1.0))
    return kind.of_state(model), in_unit(X, unit).T[None, ...]


def scores_with_gaps(fitted: dict[str, Any], scatters: list[Scatter], X: Any) -> Any:
    """Return the scores (n, k) of samples, some of which have missing features.

    Samples without gaps have exactly the scores that they have alone.
    """
    missing = to_numpy(namespace(X).isnan(X)).any(axis=1)
    xp, unit, epsilon = namespace(X), fitted["_unit"], fitted["_epsilon"]
    places = np.flatnonzero(~missing), np.flatnonzero(missing)
    whole, rest = (xp.asarray(index, device=X.device) for index in places)
    check_reach(X, unit, min(epsilon, 1.0))
    log_priors, Z = fitted["_log_priors"], in_unit(xp.take(X, rest, axis=0), unit)
    epsilons = xp.full_like(log_priors[:1], epsilon)
    nats = extra_nats(scatters, Z, epsilons, epsilon)[:, :, 0]
    parts = [scores_of(fitted, xp.take(X, whole, axis=0))] if whole.shape[0] else []
    scores = xp.concat([*parts, (log_priors - nats) / math.log(2.0)])
    back = np.argsort(np.argsort(missing, kind="stable"))
    return xp.take(scores, xp.asarray(back, device=X.device), axis=0)


def followed(estimator: Any, stream: dict[str, Any]) -> dict[str, Any]:
    """Fit a copy of an estimator to a stream, with the parameters of the last call."""
    twin = estimator._with_last_parameters(stream)
    summary = twin._merged(stream)
    before = None if stream["choice"] is None else Choice(**stream["choice"])
    scatters, rows = summary.scatters, None
    if summary.kept is not None:
        d = summary.kept["X"].shape[1]
        permutations = permutations_of(twin.symmetry, twin.signal_shape, d)
        rows = Rows.of_parts([summary.kept], twin.classes_).merged(permutations)
        rows = rows.scaled(twin._unit)
        if summary.complete:  # exactly as in `fit`
            scatters = scatters_of(twin, rows)
    return fit_linear(twin, scatters, rows, before=before)[1]
