"""Samples of `MICLClassifier` that come in parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skredu._base import StreamEstimator
from skredu.coding._choose import Choice
from skredu.coding._rows import Rows, Summary, in_unit
from skredu.coding._scatter import Scatter


class LinearStream(StreamEstimator):
    """Incremental learning of `MICLClassifier`.

    The state ``_stream`` contains a `Summary` of the samples, the choice of `fit` that
    is kept, and the parameters at the time of the last call.
    """

    epsilon: Any
    priors: Any
    calibrate: bool
    assume_centered: bool
    classes_: Any
    _unit: float
    # methods of the classifier
    _given_epsilon: Any
    _fit_linear: Any

    def _keep(
        self, summary: Summary, choice: dict[str, Any] | None, parameters: Any
    ) -> None:
        """Store the summary of all samples so far and the current parameters."""
        rest = {"choice": choice, "parameters": parameters, "found": None}
        self._stream = {**summary.to_state(), **rest}

    def _settled(self, summary: Summary, choice: Any) -> Summary:
        """Return the summary with all samples merged into the scatters."""
        epsilon, unit = self._given_epsilon(), self._unit
        keep = choice is None and (self.epsilon == "auto" or self.calibrate)

        def scatters_of(rows: Rows, before: list[Scatter] | None) -> list[Scatter]:
            rows = replace(rows, source=in_unit(rows.source, unit))
            return rows.scatters(before, self.assume_centered, epsilon)

        return summary.settled(self.classes_, scatters_of, keep=keep)

    def _check_goes_on(self, stream: dict[str, Any]) -> None:
        """Check the parameters that must not change between calls."""
        if not stream:
            return
        names = ["assume_centered", "calibrate"]
        if stream["choice"] is not None and self.calibrate:
            names += ["epsilon", "priors"]  # used in the calibration by `fit`
        before = stream["parameters"]
        now, then = self.epsilon == "auto", before["epsilon"] == "auto"
        found = [("epsilon == 'auto'", now, then)]
        found += [(name, getattr(self, name), before[name]) for name in names]
        for name, now, then in found:
            if not np.array_equal(now, then):
                raise ValueError(
                    f"{name} is {now} and was {then} before: it must not change "
                    "between calls of partial_fit. Call fit to start again."
                )

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        """Fit a copy with the parameters at the time of the last call."""
        twin = type(self)(**stream["parameters"])
        twin.classes_, twin._unit = self.classes_, self._unit
        summary = twin._settled(Summary.of_state(stream), stream["choice"])
        before = None if stream["choice"] is None else Choice(**stream["choice"])
        scatters, rows, shares = summary.scatters, None, None
        assert scatters is not None
        if summary.kept is not None:
            rows = Rows.of_kept(summary.kept, self.classes_).merged()
            rows = replace(rows, source=in_unit(rows.source, self._unit))
            if summary.kept["stride"] == 1:  # exactly as in `fit`
                given, shares = twin._given_epsilon(), rows.shares()
                scatters = rows.scatters(None, twin.assume_centered, given)
        return twin._fit_linear(scatters, rows, shares, before)[1]

    def _forget(self) -> None:
        """Delete the attributes that depend on previous samples."""
        for name in (*self._following, "_stream", "gamma_"):
            self.__dict__.pop(name, None)
