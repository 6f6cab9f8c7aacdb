"""Tasks of a fit that scikit-learn's callbacks see: steps, and loops that are long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    def step(self, name: str, part: str) -> Iterator[Callable[[], bool]]:
        """One subtask of the fit, in parts, at least one.

        What it yields is called where a part has ended and another begins, and says
        whether a callback has asked to stop; ``stopped`` is true from there.
        """
        whole = self._begin(self._root, name, None)
        task = self._begin(whole, part)

        def next_part() -> bool:
            nonlocal task
            self._end(task)
            task = self._begin(whole, part)
            return self.stopped

        yield next_part
        self._end(task)
        self._end(whole)

    def percents(self, name: str, steps: Iterator[Any], n_steps: int) -> Iterator[Any]:
        """Go through a known number of steps, in at most a hundred tasks."""
        size = max(1, -(-n_steps // MAX_TASKS))
        n_tasks = -(-n_steps // size)
        whole = self._begin(self._root, name, n_tasks)
        for _ in range(n_tasks):
            task = self._begin(whole, "steps")
            yield from islice(steps, size)
            self._end(task)
        self._end(whole)

    def end(self, **data: Any) -> None:
        """Say that the fit is over."""
        self._root.call_on_fit_task_end(**self._data, **data)

    def _begin(self, whole: Any, name: str, n_tasks: int | None = 0) -> Any:
        task = whole.subcontext(task_name=name, max_subtasks=n_tasks)
        task.call_on_fit_task_begin(**self._data)
        return task

    def _end(self, task: Any) -> None:
        stop = task.call_on_fit_task_end(**self._data)
        self.stopped = self.stopped or bool(stop)
