"""Progress of a fit. This is the only file that uses the callback protocol.

A fit is a task that consists of tasks, which may consist of tasks again. Callbacks of
scikit-learn are called when a task begins and when it ends, and may ask the fit to stop
when a task ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from skredu._compat import callback_management_context

# Largest number of tasks in which a loop is reported.
MAX_TASKS = 100

Fitted = Callable[[], dict[str, Any]]


class Progress:
    """A task of a fit, which starts the tasks within it.

    Parameters
    ----------
    context : CallbackContext
        Context of the task in the callback protocol.
    data : dict of str to Any
        Arguments of the hooks of callbacks: the estimator, ``X``, ``y`` etc.
    fit : Progress, default=None
        The task of the whole fit; None if this is that task.
    """

    def __init__(
        self, context: Any, data: dict[str, Any], fit: Progress | None = None
    ) -> None:
        self._context, self._data = context, data
        self._fit = self if fit is None else fit
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether a callback has asked any task of the fit to stop."""
        return self._fit._stopped

    @contextmanager
    def task(
        self, name: str, n_tasks: int | None = 0, *, fitted: Fitted | None = None
    ) -> Iterator[Progress]:
        """Report one task, which begins and ends with the ``with`` block.

        Parameters
        ----------
        name : str
            Name of the task.
        n_tasks : int or None, default=0
            Largest number of tasks within it; None if it is unknown.
        fitted : callable, default=None
            Returns the attributes that a copy of the estimator needs to predict or
            transform at the end of the task; None if this is not possible yet.
        """
        context = self._context.subcontext(task_name=name, max_subtasks=n_tasks)
        context.call_on_fit_task_begin(**self._data)
        yield Progress(context, self._data, self._fit)
        if context.call_on_fit_task_end(**self._data, reconstruction_attributes=fitted):
            self._fit._stopped = True

    def done(self, name: str) -> bool:
        """Report a task that has just been completed; return whether to stop."""
        with self.task(name):
            pass
        return self.stopped

    def follow(self, name: str, steps: Iterable[Any], n_steps: int) -> Iterator[Any]:
        """Report a loop as one task, which consists of at most a hundred equal tasks.

        The loop continues if a callback asks to stop; check ``stopped`` after it.

        Parameters
        ----------
        name : str
            Name of the task. The tasks within it are named "steps".
        steps : iterable
            The steps of the loop.
        n_steps : int
            Number of steps.
        """
        remaining, size = iter(steps), max(1, -(-n_steps // MAX_TASKS))
        n_tasks = -(-n_steps // size)
        with self.task(name, n_tasks) as loop:
            for _ in range(n_tasks):
                with loop.task("steps"):
                    yield from islice(remaining, size)


class _Nobody:
    """Context of a fit without callbacks."""

    def subcontext(self, **_: Any) -> _Nobody:
        return self

    def call_on_fit_task_begin(self, **_: Any) -> None:
        pass

    def call_on_fit_task_end(self, **_: Any) -> bool:
        return False


# Default of functions that may be called outside of a fit.
UNWATCHED = Progress(_Nobody(), {})


@contextmanager
def watched(
    estimator: Any, n_tasks: int | None = None, **data: Any
) -> Iterator[Progress]:
    """Let callbacks observe a fit, which begins and ends with the ``with`` block.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        The estimator, which is fitted when the block ends.
    n_tasks : int, default=None
        Largest number of tasks within the fit; None if it is unknown.
    **data : Any
        ``X``, ``y`` and other data that callbacks may need.
    """
    if not hasattr(estimator, "_init_callback_context"):  # scikit-learn < 1.9
        yield UNWATCHED
        return
    data = {"estimator": estimator, **data}
    with callback_management_context(estimator):
        context = estimator._init_callback_context(max_subtasks=n_tasks)
        context.call_on_fit_task_begin(**data)
        yield Progress(context, data)
        context.call_on_fit_task_end(**data, reconstruction_attributes={})
