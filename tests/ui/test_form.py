from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from qtpy.QtWidgets import QDoubleSpinBox, QSlider

from napari_medai.ui.form import Form
from napari_medai.ui.settings import remember, remembered, settings_path


@dataclass(frozen=True, kw_only=True)
class Params:
    cut: Annotated[float, {"min": 0.1, "max": 0.9, "step": 0.01, "help": "Where to cut"}] = 0.5
    size: Annotated[float, {"max": 1000, "zero": "auto", "unit": "px"}] = 0.0
    count: Annotated[int, {"min": 1, "max": 9, "label": "How many"}] = 3
    device: Annotated[str, {"choices": ("auto", "cpu")}] = "auto"
    name: str = "x"
    whole: bool = False


def test_a_form_begins_with_the_defaults_and_gives_the_types(qtbot: Any) -> None:
    form = Form(Params, sliders=["cut"])
    assert Params(**form.values()) == Params()
    assert {name: type(value) for name, value in form.values().items()} == {
        "cut": float,
        "size": float,
        "count": int,
        "device": str,
        "name": str,
        "whole": bool,
    }
    assert form.controls["size"].text() == "auto"


def test_controls_show_decimals_units_and_help(qtbot: Any) -> None:
    form = Form(Params, sliders=["cut"])
    form.set_values({"size": 12.5, "count": 4, "cut": 0.29})
    assert form.controls["size"].text() == "12.5 px"
    assert form.controls["count"].text() == "4"
    assert form.widgets["cut"].tooltip == "Where to cut"
    # The number beside a slider is the one that is used.
    assert form.controls["cut"].findChild(QDoubleSpinBox).text() == "0.29"
    assert form.value("cut") == 0.29
    # A click beside the handle moves it by ten steps.
    assert form.controls["cut"].findChild(QSlider).pageStep() == 100_000


def test_a_field_may_have_a_type_that_magicgui_knows(qtbot: Any) -> None:
    @dataclass(frozen=True)
    class Others:
        folder: Path = Path("/")
        kind: Annotated[str, {"choices": ("nuclei", "cells")}] = "cells"

    form = Form(Others)
    form.set_values({"folder": "/data", "kind": "nuclei"})
    assert form.values() == {"folder": Path("/data"), "kind": "nuclei"}


def test_values_are_set_quietly_within_limits(qtbot: Any) -> None:
    form = Form(Params, sliders=["cut"])
    heard: list[str] = []
    form.changed.connect(heard.append)
    form.set_values(
        {"cut": 0.33, "count": 99, "device": "tpu", "whole": True, "size": "wide", "unknown": 1}
    )
    assert heard == []
    assert form.values() == {
        "cut": 0.33,
        "size": 0.0,
        "count": 9,
        "device": "auto",
        "name": "x",
        "whole": True,
    }


def test_a_form_tells_which_control_changed(qtbot: Any) -> None:
    form = Form(Params, sliders=["cut"])
    heard: list[str] = []
    form.changed.connect(heard.append)
    form.widgets["cut"].value = 0.7
    form.controls["device"].setCurrentIndex(1)
    assert heard == ["cut", "device"]


def test_settings_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "new" / "folder"))
    assert remembered("segment") == {}
    remember("segment", {"model": "nuclei"})
    remember("detect", {"model": "cells"})
    assert remembered("segment") == {"model": "nuclei"}
    settings_path().write_text("{broken")
    assert remembered("segment") == {}
    remember("segment", {"model": "cells"})
    assert remembered("segment") == {"model": "cells"}


def test_settings_that_cannot_be_stored_stop_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "file"))
    remember("segment", {"model": "nuclei"})
    assert remembered("segment") == {}
