"""MICLClassifier on digits, and for many more features than rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skredu import MICLClassifier

MODELS: dict[str, dict[str, Any]] = {
    "given": {"epsilon": 1.0},
    "auto": {},
    "rbf": {"kernel": "rbf"},
    "local": {"n_neighbors": 20},
}


class Digits:
    """Time of fit and predict, and accuracy of every variant."""

    params = (list(MODELS),)
    param_names = ("variant",)

    def setup(self, variant: str) -> None:
        """Load digits in [0, 1], and fit a model."""
        X, self.y = load_digits(return_X_y=True)
        self.X = X / 16
        self.model = MICLClassifier(**MODELS[variant]).fit(self.X, self.y)

    def time_fit(self, variant: str) -> None:
        """Fit all rows."""
        MICLClassifier(**MODELS[variant]).fit(self.X, self.y)

    def time_predict(self, _: str) -> None:
        """Predict all rows."""
        self.model.predict(self.X)

    def track_accuracy(self, variant: str) -> float:
        """Return the five-fold accuracy."""
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        model = MICLClassifier(**MODELS[variant])
        return float(cross_val_score(model, self.X, self.y, cv=folds).mean())


class Wide:
    """A hundred rows with ten thousand features, so no d x d array may be formed."""

    def setup(self) -> None:
        """Generate rows of two classes."""
        self.X = np.random.default_rng(0).standard_normal((100, 10_000))
        self.y = np.arange(100) % 2
        self.X[self.y == 1, :50] += 1.0

    def time_fit_predict(self) -> None:
        """Fit with the best distortion, and predict the same rows."""
        MICLClassifier().fit(self.X, self.y).predict(self.X)

    def peakmem_fit_predict(self) -> None:
        """Fit and predict for the measurement of memory."""
        MICLClassifier().fit(self.X, self.y).predict(self.X)
