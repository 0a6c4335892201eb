from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_medai.core.steps import Step, Steps
from napari_medai.ui import measure as module
from napari_medai.ui.measure import OUT_OF_DATE, MeasureWidget

Opened = tuple[ViewerModel, MeasureWidget]
PLACED = {"scale": (2, 0.5, 0.5), "translate": (10, 20, 30), "units": "mm"}


def lesions() -> np.ndarray:
    labels = np.zeros((6, 30, 40), np.uint8)
    labels[1:4, 3:8, 5:25] = 2
    labels[5, 20:24, 30:33] = 7
    return labels


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def opened(qtbot: Any, viewer: ViewerModel, errors: list[str]) -> Opened:
    values = np.where(lesions() == 2, 40, -800).astype(np.int16)
    viewer.add_image(values, name="CT", metadata={"medai": {"values": "HU"}}, **PLACED)
    viewer.add_labels(
        lesions(), name="lesions", features={"index": [7, 9], "class": ["cyst", "gone"]}, **PLACED
    )
    widget = MeasureWidget(viewer)
    qtbot.addWidget(widget)
    return viewer, widget


def measured(qtbot: Any, widget: MeasureWidget) -> None:
    widget.measure_button.click()
    qtbot.waitUntil(lambda: widget._worker is None, timeout=5000)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds the measuring back until it is set."""
    held = threading.Event()
    original = module.measure_steps

    def slow(*args: Any, **options: Any) -> Steps[Any]:
        for _ in range(2):
            yield Step(0, 100, "waiting")
            assert held.wait(10)
        return (yield from original(*args, **options))

    monkeypatch.setattr(module, "measure_steps", slow)
    yield held
    held.set()


def test_labels_are_measured_on_the_image_they_lie_on(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    layer = viewer.layers["lesions"]
    assert widget.image.currentText() == "CT"
    assert widget.spacing.text() == "2 × 0.5 × 0.5 mm"
    assert not widget.save_button.isEnabled()
    measured(qtbot, widget)
    columns = widget.table.columns
    np.testing.assert_array_equal(columns["index"], [2, 7])
    np.testing.assert_allclose(columns["volume_ml"], [300 * 0.5e-3, 12 * 0.5e-3])
    np.testing.assert_array_equal(columns["mean_intensity"], [40, -800])
    assert widget.table.text().splitlines()[0].endswith("Mean (HU)\tSD (HU)\tMin (HU)\tMax (HU)")
    assert widget.status.text().startswith("2 labels · ")
    assert widget.notes.text() == ""
    assert layer.features["index"].tolist() == [7, 9, 2]
    assert layer.features["class"].tolist()[:2] == ["cyst", "gone"]
    assert layer.features["volume_ml"].tolist()[2] == pytest.approx(0.15)
    assert np.array_equal(layer.data, lesions())
    measured(qtbot, widget)
    assert len(layer.features) == 3


def test_a_row_leads_to_its_object(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    measured(qtbot, widget)
    zoom = viewer.scene.camera.zoom
    widget.table.show()
    at = widget.table.visualRect(widget.table.model().index(1, 0)).center()
    qtbot.mouseClick(widget.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    layer = viewer.layers["lesions"]
    assert layer.selected_label == 7
    assert viewer.dims.current_step[0] == 5
    middle = layer.data_to_world((5, 21.5, 31))
    np.testing.assert_allclose(viewer.scene.camera.center[1:], middle[1:])
    assert viewer.scene.camera.zoom == zoom


def test_the_table_keeps_some_rows_where_there_is_little_room(qtbot: Any, opened: Opened) -> None:
    _, widget = opened
    widget.show()
    measured(qtbot, widget)
    widget.resize(300, 1000)
    QApplication.processEvents()
    widget.resize(300, 10)
    assert widget.height() < 600
    assert widget.table.viewport().height() >= 5 * widget.table.rowHeight(0)


def test_diameters_are_drawn_and_taken_away(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    active = viewer.layers.selection.active
    widget.lines.setChecked(True)
    assert len(viewer.layers) == 2  # nothing is measured yet
    measured(qtbot, widget)
    (lines,) = (layer for layer in viewer.layers if isinstance(layer, Shapes))
    assert viewer.layers.selection.active is active
    expected = [np.hypot(20, 4) / 2, np.hypot(4, 2) / 2]
    assert lines.features["longest_diameter_mm"].tolist() == pytest.approx(expected)
    assert lines.text.values.tolist() == [f"{length:.1f} mm" for length in expected]
    measured(qtbot, widget)
    assert sum(isinstance(layer, Shapes) for layer in viewer.layers) == 1
    widget.lines.setChecked(False)
    assert len(viewer.layers) == 2
    widget.lines.setChecked(True)
    assert len(viewer.layers) == 3
    assert MeasureWidget(viewer).lines.isChecked()  # remembered


@pytest.mark.parametrize("change", ["paint", "data", "scale", "image"])
def test_a_change_makes_it_out_of_date(qtbot: Any, opened: Opened, change: str) -> None:
    viewer, widget = opened
    measured(qtbot, widget)
    layer = viewer.layers["lesions"]
    viewer.dims.set_current_step(0, 3)
    layer.selected_label = 7
    assert widget.status.text() != OUT_OF_DATE
    if change == "paint":
        layer.paint((2, 2, 2), 1)
    elif change == "data":
        layer.data = np.zeros_like(layer.data)
    elif change == "scale":
        layer.scale = (1, 1, 1)
    else:
        viewer.layers["CT"].data = np.zeros((6, 30, 40))
    assert widget.status.text() == OUT_OF_DATE
    measured(qtbot, widget)
    assert widget.status.text() != OUT_OF_DATE


def test_undoing_makes_it_out_of_date_too(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    layer = viewer.layers["lesions"]
    layer.paint((2, 2, 2), 1)
    measured(qtbot, widget)
    layer.undo()
    assert widget.status.text() == OUT_OF_DATE


def test_a_change_while_measuring_is_not_lost(
    qtbot: Any, opened: Opened, gate: threading.Event
) -> None:
    viewer, widget = opened
    widget.measure_button.click()
    viewer.layers["lesions"].paint((2, 2, 2), 1)
    gate.set()
    qtbot.waitUntil(lambda: widget._worker is None)
    assert widget.status.text() == OUT_OF_DATE


def test_cancel_changes_nothing(qtbot: Any, opened: Opened, gate: threading.Event) -> None:
    viewer, widget = opened
    before = viewer.layers["lesions"].features.copy()
    widget.measure_button.click()
    assert not widget.measure_button.isEnabled()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    widget.cancel_button.click()
    gate.set()
    qtbot.waitUntil(lambda: widget._worker is None)
    assert widget.status.text() == "Cancelled; nothing was changed."
    assert viewer.layers["lesions"].features.equals(before)
    assert not widget.table.columns
    assert widget.measure_button.isEnabled()


def test_a_layer_removed_while_measured_still_gives_its_table(
    qtbot: Any, opened: Opened, gate: threading.Event
) -> None:
    viewer, widget = opened
    widget.lines.setChecked(True)
    widget.measure_button.click()
    viewer.layers.remove("lesions")
    gate.set()
    qtbot.waitUntil(lambda: widget._worker is None)
    assert len(widget.table.columns["index"]) == 2
    assert widget.notes.text() == "Layer 'lesions' was removed while it was measured."
    assert [layer.name for layer in viewer.layers] == ["CT"]
    widget.go(0)


def test_a_removed_layer_leaves_the_table(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    measured(qtbot, widget)
    layer = viewer.layers["lesions"]
    viewer.layers.remove(layer)
    assert widget.status.text() == "The measured layer was removed."
    assert widget.save_button.isEnabled()
    assert not widget.measure_button.isEnabled()
    layer.paint((2, 2, 2), 1)
    widget.go(0)
    assert widget.status.text() == "The measured layer was removed."


def test_the_image_is_not_held(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    measured(qtbot, widget)
    image = weakref.ref(viewer.layers["CT"])
    viewer.layers.remove("CT")
    qtbot.wait(50)
    gc.collect()
    assert image() is None
    assert len(widget.table.columns["index"]) == 2


def test_an_image_of_another_size_is_told(qtbot: Any, opened: Opened) -> None:
    viewer, widget = opened
    other = viewer.add_image(np.zeros((6, 30, 41)), name="other")
    assert widget.image.currentText() == "CT"
    widget.image.choose(other)
    assert widget.message.text().startswith("the labels have 6 × 30 × 40 (Z Y X) but the image")
    assert not widget.measure_button.isEnabled()
    widget.image.choose(None)
    assert widget.message.text() == ""
    measured(qtbot, widget)
    assert "mean_intensity" not in widget.table.columns


def test_an_image_opened_later_is_proposed_unless_one_was_chosen(
    qtbot: Any, viewer: ViewerModel
) -> None:
    widget = MeasureWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.measure_button.isEnabled()
    viewer.add_labels(lesions())
    assert widget.image.currentText() == "none"
    assert widget.spacing.text() == "1 × 1 × 1, without a unit"
    viewer.add_image(np.zeros((6, 30, 40)), name="first")
    assert widget.image.currentText() == "first"
    widget.image.setCurrentIndex(0)
    widget.image.activated.emit(0)  # what a user's choice emits
    viewer.add_image(np.zeros((6, 30, 40)), name="second")
    assert widget.image.currentText() == "none"


def test_labels_of_several_frames_leave_the_features_alone(
    qtbot: Any, viewer: ViewerModel, errors: list[str]
) -> None:
    frames = np.stack([lesions()[1], lesions()[1]])
    layer = viewer.add_labels(frames, axis_labels=("t", "y", "x"))
    widget = MeasureWidget(viewer)
    qtbot.addWidget(widget)
    measured(qtbot, widget)
    assert widget.table.columns["t"].tolist() == [0, 1]
    assert "features were left alone" in widget.notes.text()
    assert layer.features.empty
    widget.go(1)
    assert viewer.dims.current_step[0] == 1


def test_an_error_is_shown(
    qtbot: Any, opened: Opened, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **options: Any) -> Steps[Any]:
        yield Step(0, 1)
        raise RuntimeError("bad kernel")

    monkeypatch.setattr(module, "measure_steps", failing)
    measured(qtbot, opened[1])
    assert opened[1].status.text().startswith("Measuring failed: RuntimeError: bad kernel")
    assert errors == [opened[1].status.text()]


def test_the_table_is_copied_and_saved(
    qtbot: Any, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, errors: list[str]
) -> None:
    _, widget = opened
    measured(qtbot, widget)
    widget.copy_button.click()
    assert QApplication.clipboard().text() == widget.table.text()
    proposed: list[str] = []

    def ask(parent: Any, title: str, name: str, kinds: str) -> tuple[str, str]:
        proposed.append(name)
        return str(tmp_path / "out.csv"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    widget.save_button.click()
    assert proposed == ["lesions measures.csv"]
    assert widget.status.text() == "Saved as out.csv."
    header, first, _ = (tmp_path / "out.csv").read_text("utf-8").splitlines()
    assert header.startswith("index,class,volume_ml,surface_mm2,longest_diameter_mm,diameter-z")
    assert first.startswith("2,,0.15,")


def test_a_closed_widget_is_left_alone(qtbot: Any, viewer: ViewerModel) -> None:
    layer = viewer.add_labels(lesions())
    widget = MeasureWidget(viewer)
    measured(qtbot, widget)
    with qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()
    layer.paint((2, 2, 2), 1)
    layer.undo()
    viewer.add_image(np.zeros((6, 30, 40)))
    viewer.layers.remove(layer)


@pytest.mark.screen
def test_it_measures_in_the_viewer(make_napari_viewer: Callable[..., Any], qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(lesions() * 10.0, **PLACED)
    labels = viewer.add_labels(lesions(), **PLACED)
    _, widget = viewer.window.add_plugin_dock_widget("napari-medai", "Measure")
    widget.lines.setChecked(True)
    measured(qtbot, widget)
    assert isinstance(viewer.layers[-1], Shapes)
    assert isinstance(viewer.layers[0], Image)
    widget.go(1)
    assert viewer.dims.current_step[0] == 5
    assert isinstance(labels, Labels)
    assert labels.selected_label == 7
    shown = viewer.screenshot(flash=False)
    yellow = (shown[..., 0] > 200) & (shown[..., 1] > 200) & (shown[..., 2] < 60)
    assert yellow.any()  # the line, and its length
