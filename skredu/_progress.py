"""Tasks of a fit that scikit-learn's callbacks see: steps, and loops that are long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

# Tasks that a loop of more steps than this is reported in.
MAX_TASKS = 100


class Progress:
    """The task of a whole fit, with its subtasks in order.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        Its ``fit`` is decorated with ``with_callbacks``.
    n_tasks : int
        Number of subtasks.
    **data : Any
        ``X``, ``y`` and what else callbacks may ask for.
    """

    def __init__(self, estimator: Any, n_tasks: int, **data: Any) -> None:
        self._data = {"estimator": estimator, **data}
        self._root = estimator._init_callback_context(max_subtasks=n_tasks)
        self._root.call_on_fit_task_begin(**self._data)
        self.stopped = False

    @contextmanager
    def step(self, name: str, n_tasks: int = 0) -> Iterator[Any]:
        """One subtask of the fit; ``stopped`` is true from where a callback asks."""
        task = self._root.subcontext(task_name=name, max_subtasks=n_tasks)
        task.call_on_fit_task_begin(**self._data)
        yield task
        self._end(task)

    def percents(self, name: str, steps: Iterator[Any], n_steps: int) -> Iterator[Any]:
        """Go through a known number of steps, in at most a hundred tasks."""
        size = max(1, -(-n_steps // MAX_TASKS))
        n_tasks = -(-n_steps // size)
        with self.step(name, n_tasks) as whole:
            for _ in range(n_tasks):
                task = whole.subcontext(task_name="steps")
                task.call_on_fit_task_begin(**self._data)
                yield from islice(steps, size)
                self._end(task)

    def end(self, **data: Any) -> None:
        """Say that the fit is over."""
        self._root.call_on_fit_task_end(**self._data, **data)

    def _end(self, task: Any) -> None:
        stop = task.call_on_fit_task_end(**self._data)
        self.stopped = self.stopped or bool(stop)
