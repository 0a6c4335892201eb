"""Long jobs are generators of steps: progress and cancel for free, everywhere."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Step:
    """One finished piece of a job.

    ``done`` of ``total`` pieces are finished (``total`` 0: not known yet); ``text`` says in a
    few words what is going on; ``values`` carries live numbers (a loss, a validation score).
    """

    done: int
    total: int
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)


Steps = Generator[Step, None, Result]
"""A job that yields `Step` and returns its result."""


def retold(steps: Steps[Result], change: Callable[[Step], Step]) -> Steps[Result]:
    """A job that is part of another, its steps told in the other's words; the same result."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        yield change(step)


def as_part(steps: Steps[Result], *, done: int, total: int, text: str = "") -> Steps[Result]:
    """A job that is one of ``total`` like it, of which ``done`` are finished."""

    def share(step: Step) -> Step:
        return Step(100 * done + 100 * step.done // max(1, step.total), 100 * total, text)

    return retold(steps, share)


def finished(steps: Steps[Result], on_step: Callable[[Step], None] | None = None) -> Result:
    """Run a job to its end and return its result, showing each step to ``on_step``."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        if on_step is not None:
            on_step(step)
