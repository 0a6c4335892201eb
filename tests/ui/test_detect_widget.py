from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, Steps, finished
from napari_medai.tasks.detect import DetectParams
from napari_medai.ui import box_layers, device, engine
from napari_medai.ui.detect import DetectWidget
from napari_medai.ui.layers import array_from_layer, place_of
from napari_medai.ui.live_boxes import Kind, Show, live_boxes_steps, viewed_again
from napari_medai.ui.region import Region
from napari_medai.ui.script import script
from napari_medai.ui.settings import settings_path
from napari_medai.ui.source import Source

Make = Callable[..., DetectWidget]
SHAPE = (90, 110)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, box_model: Any) -> Iterator[threading.Event]:
    """Holds runs back while it is cleared."""
    held = threading.Event()
    held.set()
    original = engine.detect_steps

    def slow(*args: Any) -> Steps[Any]:
        for _ in range(2):
            yield Step(0, 2, "waiting")
            assert held.wait(10)
        return (yield from original(*args))

    monkeypatch.setattr(engine, "detect_steps", slow)
    yield held
    held.set()


@pytest.fixture
def make(
    qtbot: Any,
    viewer: ViewerModel,
    gate: threading.Event,
    errors: list[str],
    box_model: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Make:
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(engine, "detection_models", lambda: [box_model])
    monkeypatch.setattr(engine, "segmentation_models", lambda: [])
    monkeypatch.setattr(device, "found_devices", lambda: {"cpu": "2 threads"})

    def made(shown: Any = viewer) -> DetectWidget:
        widget = DetectWidget(shown)
        qtbot.addWidget(widget)
        return widget

    return made


@pytest.fixture
def picture(box_models: ModuleType) -> np.ndarray:
    return box_models.drawn(SHAPE, discs=5, rings=3, seed=1)[0]


def run(qtbot: Any, widget: DetectWidget) -> None:
    widget.run_button.click()
    settle(qtbot, widget)


def settle(qtbot: Any, widget: DetectWidget) -> None:
    def done() -> bool:
        choosing = widget._choosing
        waiting = choosing._busy or choosing._waiting is not None
        return not widget.work.busy and not waiting and not widget.updates.busy

    qtbot.waitUntil(done, timeout=20_000)


def shapes_of(viewer: ViewerModel) -> list[Shapes]:
    return [layer for layer in viewer.layers if isinstance(layer, Shapes)]


def boxes_in(layer: Shapes) -> list[list[float]]:
    return sorted(np.concatenate([box.min(0), box.max(0)]).tolist() for box in layer.data)


def middle_score(layer: Shapes | Points) -> float:
    """A threshold that about half of the boxes reach."""
    return round(float(np.median(layer.features["score"])), 2)


def turn(widget: DetectWidget, row: int, on: bool) -> None:
    item = widget.classes.item(row)
    item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def test_a_run_adds_one_layer_of_boxes(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, box_models: ModuleType
) -> None:
    viewer.add_image(picture, name="smear", scale=(2, 2), units="um")
    widget = make()
    assert widget.classes.names == ["disc", "ring"]
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert layer.name == "smear rings"
    assert np.allclose(layer.scale, (2, 2))
    _, corners, kinds = box_models.drawn(SHAPE, discs=5, rings=3, seed=1)
    middles = np.array([box.mean(0) for box in layer.data])
    far = np.linalg.norm(middles[:, None] - corners.mean(1)[None], axis=2)
    assert far.min(1).max() < 1.5
    names = [box_models.CLASSES[kind] for kind in kinds[far.argmin(1)]]
    assert layer.features["class"].tolist() == names
    assert widget.status.text().startswith("8 objects: 5 disc, 3 ring · ")
    assert widget.classes.item(0).text().split() == ["disc", "5"]
    assert widget.tables.counts.columns == {"disc": [5], "ring": [3], "all": [8]}
    assert widget.tables.objects.text().startswith("Box\tClass\tScore\tHeight (µm)\tWidth (µm)")


@pytest.mark.parametrize("fewer", [True, False])
def test_sliders_give_what_a_new_run_gives(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    fewer: bool,
) -> None:
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    half = {"threshold": middle_score(layer)}
    moved = half if fewer else {"threshold": 0.02, "overlap": 0.8}
    for name, value in moved.items():
        widget.params.widgets[name].value = value
    settle(qtbot, widget)
    assert "shown within" in widget.status.text()
    assert shapes_of(viewer) == [layer]
    widget.run_button.click()
    settle(qtbot, widget)
    again = next(other for other in shapes_of(viewer) if other is not layer)
    assert boxes_in(layer) == boxes_in(again)
    assert 0 < len(layer.data) < 8 if fewer else len(layer.data) > 8
    ours = layer.features.sort_values("index").reset_index(drop=True)
    assert ours.equals(again.features)
    heights = [float(np.ptp(box[:, 0])) for box in layer.data]
    assert layer.features["height"].tolist() == pytest.approx(heights, abs=1e-3)
    made = layer.metadata["medai"]["parameters"]
    assert {name: made[name] for name in moved} == moved


def test_sliders_go_back_and_forth(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    before, features = boxes_in(layer), layer.features.copy()
    colours = {tuple(c) for c in layer.edge_color}
    for value in (0.99, 0.5):
        widget.params.widgets["threshold"].value = value
        settle(qtbot, widget)
    assert boxes_in(layer) == before
    assert layer.features.sort_values("index").reset_index(drop=True).equals(features)
    assert {tuple(c) for c in layer.edge_color} == colours
    kinds = layer.features["class"].to_numpy()
    assert len({tuple(c) for c in layer.edge_color[kinds == "disc"]}) == 1
    assert layer.text.values.tolist()[0].startswith(kinds[0])


def test_new_boxes_come_in_parts(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_medai.ui.box_updates.PART", 2)
    viewer.add_image(picture)
    widget = make()
    widget.params.widgets["threshold"].value = 0.99
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    few = len(layer.data)
    sizes: list[int] = []
    layer.events.features.connect(lambda: sizes.append(len(layer.data)))
    widget.params.widgets["threshold"].value = 0.5
    settle(qtbot, widget)
    assert len(layer.data) == 8
    assert max(np.diff([few, *sizes])) == 2


@pytest.mark.parametrize("end", ["source removed", "new run", "edited"])
def test_an_update_that_ends_half_way_tells_what_is_there(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    box_model: Any,
    end: str,
) -> None:
    monkeypatch.setattr("napari_medai.ui.box_updates.PART", 2)
    image = viewer.add_image(picture)
    widget = make()
    widget.params.widgets["threshold"].value = 0.9
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    few, live = len(layer.data), widget._live
    assert live is not None
    source, params = widget.source.source(), DetectParams(threshold=0.02)
    other = finished(live_boxes_steps(source, box_model, params, Show.BOXES))
    widget.updates.show(*viewed_again(live, params, Show.BOXES, asked=0.0))
    widget.updates._go_on()
    assert widget.updates.busy
    if end == "source removed":
        viewer.layers.remove(image)
    elif end == "new run":
        widget._finish(source, (), other, 1.0)
    else:
        layer.remove([0])
    settle(qtbot, widget)
    if end != "new run":
        assert "Run again" in widget.status.text()
    there = few + 2 - (end == "edited")
    assert len(layer.data) == there
    assert layer.features["index"].is_unique
    heights = [float(np.ptp(box[:, 0])) for box in layer.data]
    assert layer.features["height"].tolist() == pytest.approx(heights, abs=1e-3)
    scores = engine.rethresholded(live.result, params).boxes.scores
    assert set(layer.features["score"].tolist()) <= set(scores.tolist())
    made = layer.metadata["medai"]
    assert made["parameters"]["threshold"] == 0.02
    assert made["found"]["count"] == few + 2
    assert made["found"]["not_shown"] == len(scores) - few - 2


def test_classes_are_turned_off(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    turn(widget, 0, on=False)
    settle(qtbot, widget)
    assert layer.features["class"].tolist() == ["ring"] * 3
    assert layer.metadata["medai"]["parameters"]["classes"] == "ring"
    assert widget.classes.item(0).text().split() == ["disc", "5"]  # what there would be
    turn(widget, 1, on=False)
    assert widget.classes.value() == "ring"
    assert "At least one" in widget.status.text()
    turn(widget, 0, on=True)
    settle(qtbot, widget)
    assert len(layer.data) == 8
    widget.copy_button.click()
    text = QApplication.clipboard().text()
    assert "medai.detect(" in text
    assert "classes=''" in text
    assert "points" not in text
    widget.show_as.setCurrentText("points")
    widget.params.widgets["diameter"].value = 12
    widget.copy_button.click()
    assert "    points=True,\n" in QApplication.clipboard().text()  # what the form says
    compile(text, "script", "exec")


def test_an_image_without_objects_gives_an_empty_layer(
    qtbot: Any, make: Make, viewer: ViewerModel, box_models: ModuleType, errors: list[str]
) -> None:
    viewer.add_image(box_models.drawn(SHAPE, discs=0, rings=0)[0])
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert len(layer.data) == 0
    assert {"index", "class", "score", "height", "width", "area"} <= set(layer.features)
    assert widget.status.text().startswith("no objects")
    assert "lower threshold" in widget.notes.text()
    assert errors == []


def test_all_go_and_come_again(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture * 0.5 + 0.2)
    widget = make()
    widget.params.widgets["threshold"].value = 0.99
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert len(layer.data) < 8
    widget.params.widgets["threshold"].value = 0.5
    settle(qtbot, widget)
    assert len(layer.data) == len(layer.features) == 8


@pytest.mark.parametrize("labels", [("t", "y", "x"), ("z", "y", "x")])
def test_counts_are_by_frame_or_slice(
    qtbot: Any, make: Make, viewer: ViewerModel, box_models: ModuleType, labels: Any
) -> None:
    frames = [box_models.drawn(SHAPE, discs=n, rings=1, seed=n)[0] for n in (2, 0, 4)]
    viewer.add_image(np.stack(frames), axis_labels=labels, scale=(5, 1, 1))
    widget = make()
    run(qtbot, widget)
    counts = widget.tables.counts
    assert {name: list(column) for name, column in counts.columns.items()} == {
        labels[0]: [0, 1, 2],
        "disc": [2, 0, 4],
        "ring": [1, 1, 1],
        "all": [3, 1, 5],
    }
    assert counts.text().splitlines()[0] == f"{labels[0].upper()}\tdisc\tring\tall"
    counts.went.emit(2)
    assert viewer.dims.point[0] == 10
    widget.tables.objects.went.emit(3)
    assert viewer.dims.point[0] == 5
    (layer,) = shapes_of(viewer)
    assert layer.selected_data == {3}
    middle = layer.data_to_world(layer.data[3].mean(axis=0))
    np.testing.assert_allclose(viewer.scene.camera.center[1:], middle[1:])


def test_a_window_keeps_the_positions_of_the_image(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    box_models: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [box_models.drawn(SHAPE, discs=n, rings=1, seed=n)[0] for n in (2, 0, 4, 3)]
    viewer.add_image(np.stack(frames), axis_labels=("t", "y", "x"), scale=(5, 1, 1))
    viewer.dims.set_point(0, 10)
    widget = make()
    widget.inputs.source.region.setCurrentText(Region.SLICE.value)
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert layer.features["t"].tolist() == [2] * 5
    assert widget.tables.objects.columns["t"].tolist() == [2] * 5
    window = {"T": slice(1, 4)}
    image = viewer.layers[0]
    cut = Source(
        image, array_from_layer(image, window=window), place_of(image, window=window), "TYX"
    )
    monkeypatch.setattr(widget.source, "source", lambda: cut)
    run(qtbot, widget)
    counts = widget.tables.counts
    assert (counts.columns["t"].tolist(), counts.columns["all"].tolist()) == ([1, 2, 3], [1, 5, 4])
    shapes = viewer.layers[-1]
    assert shapes.features["t"].tolist() == [1] + [2] * 5 + [3] * 4
    counts.went.emit(2)
    assert viewer.dims.point[0] == 15
    widget.tables.objects.went.emit(1)
    assert viewer.dims.point[0] == 10
    widget.params.widgets["threshold"].value = 0.51
    settle(qtbot, widget)
    assert set(shapes.features["t"]) <= {1, 2, 3}


def test_a_row_leads_to_its_box_after_the_order_changed(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    widget.params.widgets["threshold"].value = 0.97
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    turn(widget, 1, on=False)
    settle(qtbot, widget)
    turn(widget, 1, on=True)
    widget.params.widgets["threshold"].value = 0.5
    settle(qtbot, widget)
    for row in range(8):
        widget.tables.objects.went.emit(row)
        (at,) = layer.selected_data
        assert layer.features["index"][at] == row + 1
        y = widget.tables.objects.columns["centroid-y"][row]
        assert layer.data[at][:, 0].mean() == pytest.approx(y, abs=1e-3)


def test_tables_are_saved(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(picture, name="smear")
    widget = make()
    assert not widget.tables.save_button.isEnabled()
    run(qtbot, widget)
    asked: list[str] = []

    def answer(parent: Any, title: str, name: str, *_: Any) -> tuple[str, str]:
        asked.append(name)
        return str(tmp_path / name), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    widget.tables.save_button.click()
    widget.tables.tabs.setCurrentIndex(1)
    widget.tables.save_button.click()
    assert asked == ["smear objects.csv", "smear counts.csv"]
    assert (tmp_path / "smear counts.csv").read_text().split() == ["disc,ring,all", "5,3,8"]
    assert len((tmp_path / "smear objects.csv").read_text().split()) == 9
    assert widget.status.text() == "Saved as smear counts.csv."


def test_beyond_the_limit_there_are_points(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(box_layers, "MOST_SHAPES", 4)
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    points = viewer.layers[-1]
    assert isinstance(points, Points)
    assert len(points.data) == len(points.features) == 8
    assert "8 boxes are shown as points" in widget.notes.text()
    widget.tables.objects.went.emit(2)
    assert points.selected_data == {2}
    turn(widget, 0, on=False)
    settle(qtbot, widget)
    (shapes,) = shapes_of(viewer)
    assert points not in viewer.layers
    assert len(shapes.data) == 3
    turn(widget, 0, on=True)
    widget.show_as.setCurrentText("points")
    settle(qtbot, widget)
    assert shapes_of(viewer) == []
    widget.show_as.setCurrentText("boxes")
    settle(qtbot, widget)
    (shapes,) = shapes_of(viewer)
    assert len(shapes.data) == 8
    assert "slow in napari" in widget.notes.text()


def test_points_follow_sliders_in_their_layer(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    widget.show_as.setCurrentText("points")
    run(qtbot, widget)
    points = viewer.layers[-1]
    turn(widget, 1, on=False)
    settle(qtbot, widget)
    assert viewer.layers[-1] is points
    assert "    points=True,\n" in script(points)
    widget.copy_button.click()
    assert "    points=True,\n" in QApplication.clipboard().text()
    assert points.features["class"].tolist() == ["disc"] * 5
    assert len({tuple(colour) for colour in points.face_color}) == 1


def test_texts_are_hidden_where_there_are_many(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(box_layers, "MOST_TEXTS", 4)
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert not layer.text.visible
    assert "Texts are hidden" in widget.notes.text()
    turn(widget, 0, on=False)
    settle(qtbot, widget)
    assert layer.text.visible
    layer.text.visible = False  # the user's own choice stays
    widget.params.widgets["threshold"].value = middle_score(layer)
    settle(qtbot, widget)
    assert not layer.text.visible


def test_cancel_adds_nothing(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, gate: threading.Event
) -> None:
    viewer.add_image(picture)
    widget = make()
    gate.clear()
    widget.run_button.click()
    assert widget.cancel_button.isEnabled()
    assert not widget.run_button.isEnabled()
    widget.cancel_button.click()
    gate.set()
    settle(qtbot, widget)
    assert len(viewer.layers) == 1
    assert widget.status.text() == "Cancelled; nothing was changed."


def test_an_error_is_shown(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    errors: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(picture)
    widget = make()

    def fail(*_: Any) -> Steps[Any]:
        yield Step(0, 0)
        raise InputError("the image is empty; open another")

    monkeypatch.setattr(engine, "detect_steps", fail)
    run(qtbot, widget)
    assert errors == [widget.status.text()] == ["the image is empty; open another"]
    assert widget.run_button.isEnabled()


def test_a_layer_removed_while_running_still_gives_its_result(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, gate: threading.Event
) -> None:
    layer = viewer.add_image(picture, name="smear", translate=(7, 8))
    widget = make()
    gate.clear()
    widget.run_button.click()
    viewer.layers.remove(layer)
    gate.set()
    settle(qtbot, widget)
    (shapes,) = shapes_of(viewer)
    assert np.allclose(shapes.translate, (7, 8))
    assert "'smear' was removed" in widget.notes.text()
    assert widget._live is None


@pytest.mark.parametrize("edit", ["data", "features", "removed"])
def test_an_edited_layer_is_left_alone(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, edit: str
) -> None:
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    if edit == "data":
        layer.remove([0])
    elif edit == "features":
        layer.features = layer.features.assign(**{"class": "seen"})
    else:
        viewer.layers.remove(layer)
    count = len(layer.data)
    widget.params.widgets["threshold"].value = 0.99
    settle(qtbot, widget)
    assert len(layer.data) == count
    assert "Run again" in widget.status.text()
    assert len(shapes_of(viewer)) == (edit != "removed")


def test_a_slider_moved_while_running_is_followed_afterwards(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, gate: threading.Event
) -> None:
    viewer.add_image(picture)
    widget = make()
    gate.clear()
    widget.run_button.click()
    widget.params.widgets["threshold"].value = 0.97
    turn(widget, 1, on=False)
    gate.set()
    settle(qtbot, widget)
    (layer,) = shapes_of(viewer)
    made = layer.metadata["medai"]["parameters"]
    assert (made["threshold"], made["classes"]) == (0.97, "disc")
    assert set(layer.features["class"]) <= {"disc"}
    assert (layer.features["score"] >= 0.97).all()


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_slider_moved_during_a_run_without_a_result_is_followed(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    picture: np.ndarray,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    viewer.add_image(picture)
    widget = make()
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    value = middle_score(layer)

    def fail(*_: Any) -> Steps[Any]:
        yield Step(0, 0)
        assert gate.wait(10)
        raise InputError("the image is empty; open another")

    if end == "failed":
        monkeypatch.setattr(engine, "detect_steps", fail)
    gate.clear()
    widget.run_button.click()
    widget.params.widgets["threshold"].value = value
    if end == "cancelled":
        widget.cancel_button.click()
    gate.set()
    settle(qtbot, widget)
    assert shapes_of(viewer) == [layer]
    assert layer.metadata["medai"]["parameters"]["threshold"] == value
    assert 0 < len(layer.data) < 8


def test_another_way_to_show_boxes_chosen_during_a_run_is_followed(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray, gate: threading.Event
) -> None:
    viewer.add_image(picture)
    widget = make()
    widget.show_as.setCurrentText("points")
    gate.clear()
    widget.run_button.click()
    widget.show_as.setCurrentText("boxes")
    gate.set()
    settle(qtbot, widget)
    (layer,) = shapes_of(viewer)
    assert len(layer.data) == 8
    assert not [one for one in viewer.layers if isinstance(one, Points)]


def test_settings_are_remembered(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    widget.params.set_values({"threshold": 0.42})
    turn(widget, 0, on=False)
    widget.show_as.setCurrentText("points")
    run(qtbot, widget)
    assert json.loads(settings_path().read_text())["detect"]["show"] == "points"
    again = make()
    assert again.params.value("threshold") == 0.42
    assert again.classes.value() == "ring"
    assert again._show() is Show.POINTS


def test_nothing_can_be_run_without_a_model(
    make: Make, viewer: ViewerModel, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "detection_models", lambda: [])
    viewer.add_image(picture)
    widget = make()
    assert not widget.run_button.isEnabled()
    assert widget.status.text() == "No model is installed."


def test_boxes_of_volumes_are_stacks_and_centres(
    qtbot: Any, make: Make, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a model of volumes would find: here the boxes around labels."""
    from napari_medai.core.axes import AxesArray
    from napari_medai.tasks.label_boxes import boxes_of_labels

    labels = np.zeros((6, 20, 30), int)
    labels[1:4, 2:6, 3:9] = 1
    labels[2:6, 10:15, 20:24] = 2
    found = boxes_of_labels(AxesArray(labels, "ZYX"), {1: "disc", 2: "ring"})
    monkeypatch.setattr(type(found), "all_counts", {"disc": 1, "ring": 1})

    def steps(*_: Any) -> Steps[Any]:
        yield Step(0, 0)
        record = {**found.record, "parameters": asdict(DetectParams()), "model": "cells"}
        record["image"] = {**record["image"], "units": {}}
        return found.__class__(
            found.boxes, found.places, found.features, record, found.candidates,
            (), found.classes, found.wanted, found.which,
        )  # fmt: skip

    monkeypatch.setattr(engine, "detect_steps", steps)
    viewer.add_image(labels.astype(np.float32), name="scan", scale=(3, 1, 1))
    widget = make()
    run(qtbot, widget)
    live = widget._live
    assert live is not None
    shapes, points = live.layers[Kind.SHAPES], live.layers[Kind.POINTS]
    assert points.name == "scan cells centres"
    assert shapes.features["index"].tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert sorted({float(box[0, 0]) for box in shapes.data[:3]}) == [1, 2, 3]
    np.testing.assert_allclose(points.data[1], (3.5, 12, 21.5))
    widget.tables.objects.went.emit(1)
    assert shapes.selected_data == {3, 4, 5, 6}
    assert points.selected_data == {1}


def test_labels_become_boxes(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    labels = np.zeros((3, 20, 30), np.uint8)
    labels[0, 2:6, 3:9] = 4
    labels[2, 10:15, 20:24] = 4
    labels[2, 1:3, 1:3] = 7
    features = {"index": [4], "class": ["cyst"]}
    layer = viewer.add_labels(
        labels, name="truth", features=features, scale=(1, 2, 2), axis_labels=("t", "y", "x")
    )
    widget = make()
    widget.tools.labels_button.click()
    settle(qtbot, widget)
    (boxes,) = shapes_of(viewer)
    assert boxes.name == "truth boxes"
    assert np.allclose(boxes.scale, layer.scale)
    assert boxes_in(boxes) == [[0, 1.5, 2.5, 0, 5.5, 8.5], [2, 0.5, 0.5, 2, 2.5, 2.5],
                               [2, 9.5, 19.5, 2, 14.5, 23.5]]  # fmt: skip
    assert boxes.features["index"].tolist() == [4, 4, 7]
    assert boxes.features["class"].tolist() == ["cyst", "cyst", ""]
    assert widget.status.text().startswith("3 boxes were drawn")


def test_many_labels_become_points(
    qtbot: Any, make: Make, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box_layers, "MOST_SHAPES", 2)
    labels = np.zeros((20, 30), np.uint8)
    labels[2:6, 3:9], labels[10:15, 20:24], labels[1:3, 12:15] = 1, 2, 3
    viewer.add_labels(labels, name="truth")
    widget = make()
    widget.tools.labels_button.click()
    settle(qtbot, widget)
    points = viewer.layers[-1]
    assert isinstance(points, Points)
    assert points.name == "truth boxes"
    assert points.features["index"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(points.data[0], (3.5, 5.5))
    assert "3 boxes are shown as points" in widget.notes.text()


def test_rows_of_no_label_are_left_out(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[2:6, 3:9], labels[10:15, 20:24] = 1, 2
    features = {"index": [np.nan, 2, np.inf, 1], "class": np.array(["a", "b", "c", np.nan], object)}
    viewer.add_labels(labels, features=features)
    widget = make()
    widget.tools.labels_button.click()
    settle(qtbot, widget)
    (boxes,) = shapes_of(viewer)
    assert boxes.features["class"].tolist() == ["", "b"]


def test_what_is_in_boxes_becomes_labels(
    qtbot: Any, make: Make, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skimage.io import imread

    from napari_medai.models.registry import find_model

    monkeypatch.setattr(engine, "segmentation_models", lambda: [find_model("nuclei")])
    data = Path(__file__).parents[1] / "data" / "nuclei"
    truth = imread(data / "masks" / "fluorescence-256.png")
    viewer.add_image(imread(data / "images" / "fluorescence-256.png"), name="cells", scale=(2, 2))
    kept = np.unique(truth)[1:6]
    features = {"index": kept, "class": ["round"] * len(kept)}
    few = np.where(np.isin(truth, kept), truth, 0)
    viewer.add_labels(few, features=features, name="truth", scale=(2, 2))
    widget = make()
    assert not widget.tools.inside_button.isEnabled()
    widget.tools.labels_button.click()
    settle(qtbot, widget)
    assert widget.tools.inside_button.isEnabled()
    widget.tools.inside_button.click()
    settle(qtbot, widget)
    labels = viewer.layers[-1]
    assert isinstance(labels, Labels)
    assert labels.name == "cells nuclei"
    assert np.allclose(labels.scale, (2, 2))
    assert labels.features["class"].tolist() == ["round"] * len(kept)
    shared = np.count_nonzero((labels.data > 0) & (few > 0))
    assert shared > 0.75 * np.count_nonzero((labels.data > 0) | (few > 0))
    with pytest.raises(InputError, match="cannot be made again by one call"):
        script(labels)


def test_a_table_is_filled_when_it_is_looked_at(
    qtbot: Any, make: Make, viewer: ViewerModel, picture: np.ndarray
) -> None:
    viewer.add_image(picture)
    widget = make()
    tables = widget.tables
    widget.show()
    run(qtbot, widget)
    filled = [table.model().rowCount() for table in (tables.objects, tables.counts)]
    assert filled == [8, 0]
    tables.tabs.setCurrentWidget(tables.counts)
    assert tables.counts.model().rowCount() == 1
    turn(widget, 1, on=False)
    settle(qtbot, widget)
    assert tables.objects.model().rowCount() == 8  # nobody looks
    assert tables.counts.model().columnCount() == 1
    tables.tabs.setCurrentWidget(tables.objects)
    assert tables.objects.model().rowCount() == 5


@pytest.mark.screen
def test_the_widget_in_the_real_viewer(
    make_napari_viewer: Any, qtbot: Any, make: Make, picture: np.ndarray
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(picture, name="smear")
    widget = make(viewer)
    viewer.window.add_dock_widget(widget, name="Detect")
    run(qtbot, widget)
    (layer,) = shapes_of(viewer)
    widget.params.widgets["threshold"].value = middle_score(layer)
    settle(qtbot, widget)
    assert 0 < len(layer.data) < 8
    turn(widget, 1, on=False)
    widget.show_as.setCurrentText("points")
    settle(qtbot, widget)
    assert isinstance(viewer.layers[-1], Points)
    assert not [one for one in viewer.layers if isinstance(one, Labels)]
    assert DetectParams(**viewer.layers[-1].metadata["medai"]["parameters"]).classes == "disc"
