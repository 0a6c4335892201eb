"""A line of text that shows how far a job is, for terminals."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from napari_medai.core.steps import Step

WIDTH = 24
EVERY = 0.1
"""Seconds between two changes of the line."""


class ProgressLine:
    """Shows each `Step` on one line of standard error, and clears it at the end.

    Silent where standard error is no terminal.
    """

    def __init__(self, label: str = "", *, stream: TextIO | None = None) -> None:
        self.label = label
        self._stream = stream or sys.stderr
        self.active = self._stream is not None and self._stream.isatty()
        self._shown = 0
        self._next = 0.0

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if self.active and now >= self._next:
            self._next = now + EVERY
            self._show(self._line(step))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line, so that something else can be printed."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def _line(self, step: Step) -> str:
        words = [self.label] if self.label else []
        if step.total:
            part = min(1.0, step.done / step.total)
            words.append(f"[{'#' * round(WIDTH * part):.<{WIDTH}}] {100 * part:3.0f} %")
        return " ".join([*words, step.text])

    def _show(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + line.ljust(self._shown))
        self._stream.flush()
        self._shown = len(line)
