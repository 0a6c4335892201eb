"""One job at a time behind the buttons of a form."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal

from napari_medai.core.steps import Step, Steps
from napari_medai.ui.controls import RunControls
from napari_medai.ui.worker import start_steps

Result = TypeVar("Result")
CANCELLED = "Cancelled; nothing was changed."


class Run(QObject):
    """Starts and cancels jobs, and lets the controls show how far one is and how it ended.

    `changed` tells that one began or ended, so that buttons can follow; `ended` that one ended,
    however, and that what it gave is shown.
    """

    changed = Signal()
    ended = Signal()

    def __init__(self, ends: RunControls, *, title: str, parent: QObject) -> None:
        super().__init__(parent)
        self._ends, self._title = ends, title
        self._worker: Any = None
        ends.cancel.clicked.connect(self.cancel)

    @property
    def busy(self) -> bool:
        return self._worker is not None

    def start(
        self,
        job: Callable[[], Steps[Result]],
        on_result: Callable[[Result, float], None],
        *,
        title: str = "",
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """Run a job in a thread; ``on_result`` gets its result and the seconds it took.

        Nothing happens while another one runs.
        """
        if self.busy:
            return
        self._ends.begin()
        self._worker = start_steps(
            job,
            title=title or self._title,
            on_step=partial(self._show, on_step),
            on_result=partial(self._finish, on_result, time.perf_counter()),
            on_error=self._fail,
            on_cancelled=self._show_cancelled,
            parent=self,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the job at its next step."""
        if self._worker is not None:
            self._worker.quit()
            self._ends.status.setText("Cancelling …")

    def _show(self, on_step: Callable[[Step], None], step: Step) -> None:
        self._ends.step(step)
        on_step(step)

    def _finish(
        self, on_result: Callable[[Result, float], None], started: float, result: Result
    ) -> None:
        seconds = time.perf_counter() - started
        self._end()
        on_result(result, seconds)
        self.ended.emit()

    def _fail(self, sentence: str) -> None:
        self._end()
        self._ends.tell(sentence)
        self.ended.emit()

    def _show_cancelled(self) -> None:
        self._end()
        self._ends.status.setText(CANCELLED)
        self.ended.emit()

    def _end(self) -> None:
        self._worker = None
        self._ends.progress.hide()
        self.changed.emit()
