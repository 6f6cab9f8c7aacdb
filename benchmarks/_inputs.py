"""Small inputs of many kinds for `benchmarks.record`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

Data = tuple[Any, Any, Any]  # rows to fit, labels, new rows


class Inputs:
    """Rows, labels and new rows by name, in one precision."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self.make = importlib.import_module("skredu.datasets")

    def split(self, X: Any, y: Any, n: int) -> Data:
        """Return the first rows to fit, and the others as new ones."""
        X = np.asarray(X, dtype=self._dtype)
        return X[:n], np.asarray(y)[:n], X[n:]

    def bundled(self, name: str, n: int, most: int) -> Data:
        """Return data of scikit-learn in random order, standardised unless pixels."""
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        order = np.random.default_rng(1).permutation(len(X))[:most]
        X = X / 16 if name == "digits" else (X - X.mean(axis=0)) / X.std(axis=0)
        return self.split(X[order], y[order], n)

    def named(self, name: str) -> Data:
        """Return rows of one kind."""
        rng = np.random.default_rng(2)
        if name == "wine":
            return self.bundled(name, 120, 178)
        if name == "iris":
            X, y, new = self.bundled(name, 110, 150)
            return X, np.array(["setosa", "versicolor", "virginica"])[y], new
        if name == "digits":
            X, y, new = self.bundled(name, 350, 450)
            # Otherwise, neighbours would tie.
            X = np.concatenate([X, new]) * rng.uniform(0.97, 1.03, (450, 64))
            return self.split(X, y, 350)
        if name == "wide":  # more features than rows
            y = np.arange(60) % 3
            X = rng.normal(size=(3, 200))[y] + rng.normal(size=(60, 200))
            return self.split(X, y, 45)
        if (
            name == "hard"
        ):  # scales, constant and equal features, equal rows, rare class
            y = np.r_[np.zeros(60), np.ones(60), np.full(3, 2)].astype(int)
            X = (
                rng.normal(size=(123, 8)) * 10.0 ** -np.arange(8)
                + 2 * (y == 1)[:, None]
            )
            X = np.c_[X, np.full(123, 3.0), X[:, :1], X[:, 1:2] + X[:, 2:3]]
            X[5:9] = X[4]
            order = rng.permutation(123)
            return self.split(
                np.r_[X[order], X[::6] + 0.1], np.r_[y[order], y[::6]], 123
            )
        if name == "sphere":
            rows = self.make.make_gaussians_on_sphere(
                200, n_classes=3, n_features=12, noise=0.3, random_state=0
            )
            return self.split(*rows, 140)
        if name == "signals":
            rows = self.make.make_shifted_signals(
                130, n_timesteps=30, n_classes=3, noise=0.3, random_state=0
            )
            return self.split(*rows, 90)
        if name == "channels":  # three channels on a grid of 4 x 5 points
            y = np.arange(120) % 4
            X = rng.normal(size=(4, 60))[y] + 1.5 * rng.normal(size=(120, 60))
            return self.split(X, y, 90)
        rows = self.make.make_subspaces(
            [50, 50, 60],
            n_features=5,
            noise=0.03,
            n_outliers=6,
            offset=1.0,
            random_state=0,
        )
        return self.split(*rows, 140)

    def weights(self, n: int) -> Any:
        """Return weights, some of which are zero and some integers."""
        weights = np.random.default_rng(3).uniform(0.2, 3, n).round(2)
        weights[::17] = 0
        weights[1::5] = 2
        return weights.astype(self._dtype)
