"""Base classes of the classifiers: one score per class, and probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from skredu._base import SkreduEstimator
from skredu._compat import at_least, namespace
from skredu.coding._linalg import log_softmax


class ScoringClassifier(ClassifierMixin, SkreduEstimator):
    """Base class of classifiers with one score per class; the highest score wins."""

    classes_: Any
    # Method of subclasses: the scores (n, k) of validated samples in every class.
    _scores: Any

    def decision_function(self, X: Any) -> Any:
        """Compute the score of each sample in every class.

        The scores are in bits, or in the units of the samples for
        `NearestSubspaceClassifier`; see the notes of the class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples, or their inner products with the training samples if the
            kernel is precomputed.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            The scores; higher is better. For two classes, the score of the second class
            minus that of the first.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return self._decided(self._checked_scores(X, "decision_function"))

    def _decided(self, scores: Any) -> Any:
        """Return scores (n, k) as `decision_function` returns them."""
        if scores.shape[1] == 2:
            return scores[:, 1] - scores[:, 0]
        return self._comparable(scores)

    def _comparable(self, scores: Any) -> Any:
        """Return scores whose columns can be compared between samples."""
        return scores

    def predict(self, X: Any) -> Any:
        """Predict the class with the highest score for each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples, or their inner products with the training samples if the
            kernel is precomputed.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predicted class labels.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        scores = self._checked_scores(X, "predict")
        best = namespace(scores).argmax(scores, axis=1)
        return take_labels(self.classes_, best)

    def _checked_scores(self, X: Any, method: str) -> Any:
        return self._scores(self._check_rows(X, method))


class CodingClassifier(ScoringClassifier):
    """Base class of classifiers whose scores are numbers of bits with a minus sign."""

    temperature_: float

    def score_samples(self, X: Any) -> Any:
        """Compute the bits of each sample in the class that codes it best.

        These are the extra bits of the sample and of the label, with a minus sign, so
        that unusual samples have low scores. With many samples per class, they are the
        base-2 logarithm of the density of the best class, a Gaussian, plus a constant
        and half its effective dimension; see the user guide.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples, or their inner products with the training samples if the
            kernel is precomputed.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the fewest extra bits over all classes.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        scores = self._bits(self._check_rows(X, "score_samples"))
        return namespace(scores).max(scores, axis=1)

    def _bits(self, X: Any) -> Any:
        """Return minus the extra bits of samples in every class, (n, k)."""
        return self._scores(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Compute the natural logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples, or their inner products with the training samples if the
            kernel is precomputed.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            The natural logarithms of the probabilities.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return self._log_proba(X, "predict_log_proba")

    def predict_proba(self, X: Any) -> Any:
        """Compute the class probabilities.

        The probability of a class is two to the power of minus its extra bits, divided
        by ``temperature_`` and then normalised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples, or their inner products with the training samples if the
            kernel is precomputed.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            The probabilities; each row sums to one.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        log_proba = self._log_proba(X, "predict_proba")
        xp = namespace(log_proba)
        # Below this value, decrease more slowly than exp, which is zero below -745. So
        # possible classes keep a positive probability, and their order.
        start = -700.0
        proba = xp.exp(at_least(log_proba, start))
        return proba * (start / -at_least(-log_proba, -start))

    def _log_proba(self, X: Any, method: str) -> Any:
        scores = self._checked_scores(X, method)
        return log_softmax(scores * (math.log(2.0) / self.temperature_))

    def _comparable(self, scores: Any) -> Any:
        """Return bits relative to those of all classes together.

        A sample that is far from every class costs many bits in each of them. This
        common part says nothing about its class.
        """
        nat = math.log(2.0) / self.temperature_
        return log_softmax(scores * nat) / nat


def take_labels(classes: Any, best: Any) -> Any:
    """Return labels by index, on the device of ``best`` if they are numbers."""
    xp = namespace(best)
    if xp is np or classes.dtype.kind not in "biuf":
        return classes[np.asarray(best)]
    return xp.take(xp.asarray(classes, device=best.device), best)
