from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from functools import partial
from typing import Any

import pytest
from qtpy.QtCore import QObject

from napari_medai.core.errors import InputError, RunError
from napari_medai.core.steps import Step, Steps
from napari_medai.ui import worker as worker_module
from napari_medai.ui.worker import Latest, start_steps


class Ended:
    """What a job told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.told: list[tuple[str, Any]] = []

    def start(self, job: Any, parent: QObject | None = None) -> Any:
        return start_steps(
            job,
            title="Work",
            on_step=self.steps.append,
            on_result=lambda result: self.told.append(("result", result)),
            on_error=lambda sentence: self.told.append(("error", sentence)),
            on_cancelled=lambda: self.told.append(("cancelled", None)),
            parent=parent,
        )


def three(error: Exception | None = None) -> Steps[str]:
    for done in range(3):
        yield Step(done, 3, "going")
    if error is not None:
        raise error
    return "done"


def test_a_job_shows_steps_and_gives_its_result(qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(worker_module, "STEP_SECONDS", 0)
    ended = Ended()
    ended.start(three)
    qtbot.waitUntil(lambda: bool(ended.told))
    assert ended.told == [("result", "done")]
    assert [step.done for step in ended.steps] == [0, 1, 2]


def test_steps_that_come_faster_than_eyes_are_not_shown(qtbot: Any) -> None:
    ended = Ended()
    ended.start(three)
    qtbot.waitUntil(lambda: bool(ended.told))
    assert len(ended.steps) == 1


def test_what_ends_while_the_bar_changes_is_told_after_the_steps(
    qtbot: Any, monkeypatch: Any
) -> None:
    """napari's bars handle events when they change."""
    told: list[str] = []
    ended = threading.Event()

    def job() -> Steps[str]:
        yield Step(0, 1, "going")
        ended.set()
        return "done"

    def change(bar: Any, text: str) -> None:
        assert ended.wait(5)
        qtbot.wait(50)

    monkeypatch.setattr(worker_module._Progress, "set_description", change)
    start_steps(
        job,
        title="Work",
        on_step=lambda step: told.append(step.text),
        on_result=told.append,
        on_error=told.append,
        on_cancelled=lambda: told.append("cancelled"),
    )
    qtbot.waitUntil(lambda: len(told) == 2)
    assert told == ["going", "done"]


@pytest.mark.parametrize("error", [InputError("too small"), RunError("the disk is full")])
def test_an_error_is_told_in_its_own_words(qtbot: Any, error: Exception) -> None:
    ended = Ended()
    ended.start(lambda: three(error))
    qtbot.waitUntil(lambda: bool(ended.told))
    assert ended.told == [("error", str(error))]


@pytest.mark.parametrize("error", [RuntimeError("shapes\nlong"), KeyError("k"), ValueError()])
def test_what_nobody_foresaw_is_one_sentence_and_a_log_entry(
    qtbot: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    ended = Ended()
    with caplog.at_level(logging.ERROR):
        ended.start(lambda: three(error))
        qtbot.waitUntil(lambda: bool(ended.told))
    (kind, sentence), *rest = ended.told
    assert (kind, rest) == ("error", [])
    assert sentence.startswith(f"Work failed: {type(error).__name__}")
    assert "\n" not in sentence
    assert caplog.records[0].exc_info is not None


def test_cancel_returns_at_the_next_step_and_tidies_up(qtbot: Any) -> None:
    ended, tidied = Ended(), []
    inside = threading.Event()

    def endless() -> Steps[None]:
        try:
            while True:
                inside.set()
                time.sleep(0.01)
                yield Step(0, 0)
        finally:
            tidied.append(threading.current_thread() is not threading.main_thread())

    worker = ended.start(endless)
    assert inside.wait(5)
    worker.quit()
    qtbot.waitUntil(lambda: bool(ended.told), timeout=1000)
    assert ended.told == [("cancelled", None)]
    assert tidied == [True]


def test_cancel_during_the_last_step_is_a_cancel_too(qtbot: Any) -> None:
    ended, gate, inside = Ended(), threading.Event(), threading.Event()

    def last() -> Steps[str]:
        yield Step(0, 1)
        inside.set()
        gate.wait(5)
        return "done"

    worker = ended.start(last)
    assert inside.wait(5)
    worker.quit()
    gate.set()
    qtbot.waitUntil(lambda: bool(ended.told), timeout=1000)
    assert ended.told == [("cancelled", None)]


def test_a_job_whose_owner_is_gone_stops_quietly(qtbot: Any) -> None:
    ended, owner, closed = Ended(), QObject(), threading.Event()

    def endless() -> Steps[None]:
        try:
            while True:
                time.sleep(0.01)
                yield Step(0, 0)
        finally:
            closed.set()

    ended.start(endless, owner)
    qtbot.waitUntil(lambda: bool(ended.steps))
    owner.deleteLater()
    qtbot.waitUntil(closed.is_set, timeout=2000)
    qtbot.wait(50)
    assert ended.told == []


def test_an_ended_job_lets_its_result_and_callbacks_go(qtbot: Any) -> None:
    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    def job() -> Steps[Large]:
        yield Step(0, 1)
        kept.append(weakref.ref(result := Large()))
        return result

    def show(image: Large, result: Large) -> None:
        told.append("result")

    told: list[str] = []
    image = Large()
    kept.append(weakref.ref(image))
    owner = QObject()
    worker = start_steps(
        job,
        title="Work",
        on_result=partial(show, image),
        on_error=told.append,
        on_cancelled=lambda: None,
        parent=owner,
    )
    del image
    qtbot.waitUntil(lambda: bool(told))
    qtbot.wait(50)
    gc.collect()
    assert worker is not None  # kept, as Qt may
    assert [one() for one in kept] == [None, None]


def test_of_many_requests_the_latest_wins(qtbot: Any) -> None:
    results: list[Any] = []
    called: list[int] = []

    def call(number: int) -> int:
        called.append(number)
        time.sleep(0.1)
        return number

    latest = Latest(lambda outcome: results.append(outcome.result), title="Decoding")
    for number in range(20):
        latest.request(lambda number=number: call(number))
    qtbot.waitUntil(lambda: called == [19])
    for number in range(20, 30):
        latest.request(lambda number=number: call(number))
    qtbot.waitUntil(lambda: bool(results) and results[-1] == 29)
    assert results == [19, 29]
