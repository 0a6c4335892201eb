"""Jobs that yield steps and return a result."""

from __future__ import annotations

import pytest

from napari_medai.core.steps import Step, Steps, finished, retold


def job(closed: list[str]) -> Steps[str]:
    try:
        yield Step(1, 2, "first")
        yield Step(2, 2, values={"loss": 0.5})
    finally:
        closed.append("closed")
    return "result"


def test_finished_gives_the_result_and_shows_the_steps() -> None:
    seen: list[Step] = []
    closed: list[str] = []
    assert finished(job(closed), seen.append) == "result"
    assert seen == [Step(1, 2, "first"), Step(2, 2, "", {"loss": 0.5})]
    assert closed == ["closed"]


def test_a_part_is_told_in_other_words_and_closed_with_the_whole() -> None:
    seen: list[Step] = []
    assert finished(retold(job([]), lambda step: Step(step.done, 9)), seen.append) == "result"
    assert seen == [Step(1, 9), Step(2, 9)]
    closed: list[str] = []
    part = job(closed)
    whole = retold(part, lambda step: step)
    next(whole)
    whole.close()
    del part
    assert closed == ["closed"]


def test_nobody_has_to_watch() -> None:
    assert finished(job([])) == "result"


def test_a_job_without_steps() -> None:
    def at_once() -> Steps[int]:
        return 3
        yield

    assert finished(at_once()) == 3


def test_a_job_can_be_left() -> None:
    closed: list[str] = []
    steps = job(closed)
    assert next(steps).text == "first"
    steps.close()
    assert closed == ["closed"]


def test_errors_pass() -> None:
    def broken() -> Steps[None]:
        yield Step(1, 2)
        raise ValueError("broken file")

    seen: list[Step] = []
    with pytest.raises(ValueError, match="broken file"):
        finished(broken(), seen.append)
    assert seen == [Step(1, 2)]


def test_an_error_of_the_watcher_ends_the_job() -> None:
    def full(_: Step) -> None:
        raise OSError("disk full")

    closed: list[str] = []
    steps = job(closed)
    with pytest.raises(OSError, match="disk full"):
        finished(steps, full)
    steps.close()
    assert closed == ["closed"]


def test_values_are_one_step_s_own() -> None:
    Step(0, 1).values["loss"] = 1.0
    assert Step(0, 1).values == {}
