"""Jobs in a thread: progress in the activity dock, cancel at the next step, errors in words.

Nothing here waits: the event loop only receives what a thread has finished.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils import cancelable_progress
from qtpy.QtCore import QObject, QTimer

from napari_medai.core.errors import MedaiError
from napari_medai.core.steps import Step, Steps

log = logging.getLogger(__name__)

Result = TypeVar("Result")
STEP_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """How a job ended: with a result, or with a sentence for the user."""

    result: Result | None = None
    error: str = ""


class StepsWorker(GeneratorWorker):  # type: ignore[misc]
    """napari's worker for a job: few enough steps to show, and a cancelled job tidies up here.

    A step is shown at most every `STEP_SECONDS`; cancelling is looked at after every one.
    """

    def run(self) -> None:
        try:
            super().run()
        except RuntimeError:
            # Its signals are deleted: the application ended first, and nobody is left to tell.
            log.debug("a job ended after the application")

    def work(self) -> Any:
        shown = 0.0
        try:
            while not self.abort_requested:
                try:
                    step = next(self._gen)
                except StopIteration as stop:
                    return stop.value
                if (now := time.perf_counter()) - shown >= STEP_SECONDS:
                    shown = now
                    self.yielded.emit(step)
            self.aborted.emit()
            return None
        finally:
            self._gen.close()

    def _relay_warning(self, show_warn_args: tuple[Any, ...]) -> None:
        # Warnings of libraries are for us, not for a popup in front of the user.
        log.warning("%s", show_warn_args[0])


class _Progress(cancelable_progress):  # type: ignore[misc]
    """A bar in the activity dock whose Cancel button calls back at once."""

    def cancel(self) -> None:
        super().cancel()
        if self.cancel_callback is not None:
            self.cancel_callback()


class Job(QObject):
    """The callbacks of one job; they end with the parent, so a closed viewer is left alone."""

    def __init__(
        self,
        worker: StepsWorker,
        *,
        parent: QObject | None,
        title: str,
        on_step: Callable[[Step], None],
        on_result: Callable[[Any], None],
        on_error: Callable[[str], None],
        on_cancelled: Callable[[], None],
    ) -> None:
        super().__init__(parent)
        self._worker = worker
        self._on_step, self._on_result = on_step, on_result
        self._on_error, self._on_cancelled = on_error, on_cancelled
        self._title = title
        self._outcome: Outcome[Any] | None = None
        self._bar = _Progress(total=0, desc=title, cancel_callback=worker.quit, leave=False)
        # Bound methods of a QObject: Qt drops the connections when it is deleted.
        worker.yielded.connect(self._show)
        worker.returned.connect(self._keep)
        worker.finished.connect(self._end)
        self.destroyed.connect(worker.quit)
        self.destroyed.connect(self._bar.close)

    def _show(self, step: Step) -> None:
        if self._worker.abort_requested:
            return
        # Before the bar: it handles events when it changes, and the job may end in there.
        self._on_step(step)
        if step.total != self._bar.total:
            self._bar.total = step.total
        self._bar.update(step.done - self._bar.n)
        if step.text:
            self._bar.set_description(f"{self._title}: {step.text}")

    def _keep(self, outcome: Outcome[Any]) -> None:
        self._outcome = outcome

    def _end(self) -> None:
        self._bar.close()
        outcome, self._outcome = self._outcome, None
        if outcome is None or self._worker.abort_requested:
            self._on_cancelled()
        elif outcome.error:
            self._on_error(outcome.error)
        else:
            self._on_result(outcome.result)
        # Qt may hold on to the worker, which must not hold on to images and results.
        self._worker.job = None
        self.deleteLater()


def start_steps(
    job: Callable[[], Steps[Result]],
    *,
    title: str,
    on_result: Callable[[Result], None],
    on_error: Callable[[str], None],
    on_cancelled: Callable[[], None],
    on_step: Callable[[Step], None] = lambda step: None,
    parent: QObject | None = None,
) -> StepsWorker:
    """Start a job in a thread and return its worker; ``worker.quit()`` cancels it.

    ``job`` is called in the thread, so what it imports does not hold up the viewer. Exactly one
    of ``on_result``, ``on_error`` (with one sentence) and ``on_cancelled`` is called, in the main
    thread; none if ``parent`` is gone by then.
    """
    worker: StepsWorker = create_worker(
        _outcome_of, job, title, _start_thread=False, _worker_class=StepsWorker
    )
    worker.job = Job(
        worker,
        parent=parent,
        title=title,
        on_step=on_step,
        on_result=on_result,
        on_error=on_error,
        on_cancelled=on_cancelled,
    )
    worker.start()
    return worker


def _outcome_of(
    job: Callable[[], Steps[Result]], title: str
) -> Generator[Step | None, None, Outcome[Result]]:
    """The job's steps, and its errors as an outcome.

    superqt drops a RuntimeError that leaves a worker, and what was raised must be told.
    """
    try:
        return Outcome((yield from job()))
    except MedaiError as error:
        return Outcome(error=str(error))
    except Exception as error:
        log.exception("%s failed", title)
        return Outcome(error=failure(title, error))


def failure(title: str, error: Exception) -> str:
    """One sentence about an error that nobody foresaw."""
    text = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return f"{title} failed: {reason}; please report it (the log has the details)"


class Latest(QObject):
    """Runs the latest of many requests in a thread, one at a time; older ones are skipped."""

    def __init__(
        self,
        on_outcome: Callable[[Outcome[Any]], None],
        *,
        title: str,
        milliseconds: int = 50,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._on_outcome = on_outcome
        self._title = title
        self._waiting: Callable[[], Any] | None = None
        self._busy = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(self._start)

    def request(self, call: Callable[[], Any]) -> None:
        """Run ``call`` soon, in place of any request that has not started."""
        self._waiting = call
        if not self._busy and not self._timer.isActive():
            self._timer.start()

    def forget(self) -> None:
        """Drop a request that has not started."""
        self._waiting = None
        self._timer.stop()

    def _start(self) -> None:
        call, self._waiting = self._waiting, None
        if call is None:
            return
        self._busy = True

        def steps() -> Steps[Any]:
            yield from ()
            return call()

        worker = StepsWorker(_outcome_of, steps, self._title)
        worker.returned.connect(self._finish)
        worker.start()

    def _finish(self, outcome: Outcome[Any]) -> None:
        self._busy = False
        if self._waiting is not None:
            self._timer.start()
        self._on_outcome(outcome)
