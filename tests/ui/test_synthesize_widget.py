from __future__ import annotations

import ast
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Vectors
from qtpy.QtWidgets import QApplication, QLabel, QScrollArea

from napari_medai.ui import device, engine
from napari_medai.ui.settings import settings_path
from napari_medai.ui.synthesize import SynthesizeWidget
from napari_medai.ui.synthesize_preview import CHANGED
from napari_medai.ui.synthesize_rows import Start

Make = Callable[..., SynthesizeWidget]


@pytest.fixture(scope="module")
def packages(painting: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of dots in planes, and of balls in volumes."""
    folder = tmp_path_factory.mktemp("painters")
    painting.painter(folder)
    painting.painter(folder, name="balls", ndim=3)
    return folder


@pytest.fixture
def gate(held_back: Callable[[str], threading.Event]) -> threading.Event:
    """Holds runs back while it is cleared."""
    return held_back("synthesize_steps")


@pytest.fixture
def models(packages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's models: dots alone."""
    folder = tmp_path / "models"
    shutil.copytree(packages / "dots", folder / "dots")
    monkeypatch.setenv("MEDAI_MODELS", str(folder))
    return folder


@pytest.fixture
def make(
    qtbot: Any,
    viewer: ViewerModel,
    gate: threading.Event,
    errors: list[str],
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Make:
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(device, "found_devices", lambda: {"cpu": "2 threads"})

    def made(model: str = "", shown_in: Any = viewer) -> SynthesizeWidget:
        widget = SynthesizeWidget(shown_in)
        qtbot.addWidget(widget)
        if model:
            widget.models.choose(model)
        return widget

    return made


def run(qtbot: Any, widget: SynthesizeWidget) -> None:
    widget.run_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)


def preview(qtbot: Any, widget: SynthesizeWidget) -> None:
    widget.preview.button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)


def edges(widget: SynthesizeWidget, **pixels: int) -> None:
    for axis, count in pixels.items():
        widget.rows.edges.boxes[axis.upper()].setValue(count)


def start(widget: SynthesizeWidget, how: Start) -> None:
    widget.rows.start.setCurrentIndex(list(Start).index(how))


def shown(widget: SynthesizeWidget) -> set[str]:
    """The labels of the rows that are shown."""
    form = widget._form
    return {
        form.itemAt(row, form.ItemRole.LabelRole).widget().text()
        for row in range(form.rowCount())
        if form.isRowVisible(row)
    }


def copied(widget: SynthesizeWidget) -> str:
    widget.copy_button.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    return clipboard.text()


def arguments(text: str) -> dict[str, str]:
    """Those of the call of synthesize in a script."""
    (call,) = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "medai.synthesize"
    ]
    return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}


def small_vessels(widget: SynthesizeWidget) -> None:
    widget.models.choose("vessels")
    edges(widget, y=64, x=72)
    widget.params.form.set_values({"segments": 20, "radius": 0.8})


# What there is


def test_rows_and_parameters_are_those_of_what_is_made(make: Make, packages: Path) -> None:
    widget = make("vessels")
    assert shown(widget) == {"Model", "Dimensions", "Shape", "Edges", "Pixel"}
    assert {"images", "seed", "segments", "photons"} <= set(widget.params.values())
    assert not widget.models.card_button.isEnabled()
    widget.models.choose("dots")
    assert shown(widget) == {"Model", "Make", "Shape", "Edges", "Pixel", "Style", "Device"}
    assert set(widget.params.values()) == {
        *("images", "seed", "count", "density", "size", "variation", "tile")
    }
    start(widget, Start.LABELS)
    assert shown(widget) == {"Model", "Make", "Labels", "Style", "Device"}
    assert set(widget.params.values()) == {"images", "seed", "variation", "tile"}
    rows = widget.params._forms[widget.params._shown][1].rows
    controls = widget.params.form.controls
    assert {name for name in rows if rows[name].isRowVisible(controls[name])} == {
        *("images", "seed", "variation", "tile")
    }


def test_models_that_are_installed_later_can_be_chosen(
    make: Make, packages: Path, models: Path
) -> None:
    widget = make()
    combo = widget.models.combo
    assert [combo.itemText(n) for n in range(combo.count())] == ["nuclei-gan", "dots", "vessels"]
    shutil.copytree(packages / "balls", models / "balls")
    widget.models.refresh()
    after = ["nuclei-gan", "balls", "dots", "vessels"]
    assert [combo.itemText(n) for n in range(combo.count())] == after
    assert combo.currentText() == "nuclei-gan"
    widget.models.choose("balls")
    boxes = widget.rows.edges.boxes
    assert [box.value() for box in boxes.values()] == [128, 128, 128]
    assert all(box.isVisibleTo(widget) for box in boxes.values())


def test_edges_cannot_be_too_small_and_are_kept_apart(make: Make) -> None:
    widget = make("vessels")
    edges(widget, y=5, x=20)
    assert widget.rows.edges.edges() == (16, 20)
    widget.rows.ndim.setCurrentIndex(1)
    edges(widget, z=40)
    assert widget.rows.edges.edges() == (40, 128, 128)
    widget.rows.ndim.setCurrentIndex(0)
    assert widget.rows.edges.edges() == (16, 20)
    widget.models.choose("dots")
    assert widget.rows.edges.edges() == (32, 32)


def test_the_form_is_as_wide_as_its_widest_rows(qtbot: Any, make: Make) -> None:
    widget = make("dots")
    widget.show()
    area = widget.findChild(QScrollArea)
    inside = area.widget()
    widget._form.addRow("Wide", wide := QLabel("wide " * 60))
    qtbot.waitUntil(lambda: area.minimumWidth() > wide.minimumSizeHint().width())
    assert area.minimumWidth() > inside.minimumSizeHint().width()
    widget._form.setRowVisible(wide, False)
    qtbot.waitUntil(lambda: area.minimumWidth() < wide.minimumSizeHint().width())


# From scratch


def test_vessels_come_with_labels_and_centre_lines(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    widget = make()
    small_vessels(widget)
    run(qtbot, widget)
    assert [type(layer) for layer in viewer.layers] == [Image, Labels, Vectors]
    assert viewer.layers[0].data.shape == (64, 72)
    assert len(viewer.layers[2].data) == 20
    assert widget.status.text().startswith("20 segments, ")


def test_volumes_of_vessels(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    widget = make("vessels")
    widget.rows.ndim.setCurrentIndex(1)
    edges(widget, z=20, y=24, x=28)
    widget.params.form.set_values({"segments": 10, "radius": 0.8})
    run(qtbot, widget)
    assert viewer.layers[0].data.shape == (20, 24, 28)


def test_painted_images_are_as_the_form_says(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    widget = make("dots")
    edges(widget, y=64, x=72)
    widget.rows.pixel.box.setValue(0.25)
    widget.rows.pixel.unit.setCurrentText("µm")
    widget.params.form.set_values({"images": 2, "count": 5, "seed": 9})
    run(qtbot, widget)
    image, labels = viewer.layers
    assert image.data.shape == labels.data.shape == (2, 64, 72)
    assert image.axis_labels == ("n", "y", "x")
    assert np.allclose(image.scale, (1, 0.25, 0.25))
    assert [str(unit) for unit in image.units] == ["pixel", "micrometer", "micrometer"]
    assert labels.features["n"].tolist() == [0] * 5 + [1] * 5
    assert image.metadata["medai"]["parameters"]["seed"] == 9
    assert widget.status.text().startswith("2 images, 5 objects in the first · ")


def test_images_may_be_as_large_as_a_layer_and_to_its_scale(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    scale, units = (1, 0.5, 0.25), ("s", "um", "um")
    movie = viewer.add_image(
        np.zeros((2, 40, 50)), scale=scale, units=units, axis_labels=("t", "y", "x"), name="movie"
    )
    widget = make("dots")
    widget.rows.like.choose(movie)
    assert [widget.rows.edges.boxes[axis].value() for axis in "YX"] == [40, 50]
    assert not widget.rows.edges.boxes["Y"].isEnabled()
    assert "Pixel" not in shown(widget)
    run(qtbot, widget)
    image = viewer.layers[1]
    assert image.data.shape == (40, 50)
    assert np.allclose(image.scale, (0.5, 0.25))
    assert {str(unit) for unit in image.units} == {"micrometer"}
    assert widget.rows.like.layer() is movie  # whatever was added
    viewer.layers.remove(movie)
    assert widget.rows.edges.edges() == (512, 512)
    assert "Pixel" in shown(widget)


def test_fewer_objects_than_asked_for_are_told(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    widget = make("dots")
    edges(widget, y=32, x=32)
    widget.params.form.set_values({"count": 500, "images": 2})
    run(qtbot, widget)
    assert "image 1: " in widget.notes.text()
    assert 0 < viewer.layers[1].data[0].max() < 500


# From a Labels layer


def placed(viewer: ViewerModel, painting: ModuleType) -> Labels:
    return viewer.add_labels(
        painting.disks((64, 80)),
        name="drawn",
        scale=(0.5, 0.25),
        translate=(7, 8),
        rotate=30,
        units=("um", "um"),
        axis_labels=("y", "x"),
    )


@pytest.mark.parametrize("images", [1, 2])
def test_labels_are_painted_where_they_lie(
    qtbot: Any, make: Make, viewer: ViewerModel, painting: ModuleType, images: int
) -> None:
    drawn = placed(viewer, painting)
    drawn.data = np.where(drawn.data == 3, 70, drawn.data)
    before = drawn.data.copy()
    widget = make("dots")
    start(widget, Start.LABELS)
    widget.params.form.set_values({"images": images})
    run(qtbot, widget)
    image, labels = viewer.layers[1:]
    for layer in (image, labels):
        planes = layer.data if images > 1 else layer.data[None]
        assert planes.shape == (images, 64, 80)
        assert layer.units[-2:] == drawn.units
        place = np.zeros(layer.ndim)
        for corner in ((0, 0), (63, 0), (5, 79)):
            place[-2:] = corner
            assert layer.data_to_world(place)[-2:] == pytest.approx(drawn.data_to_world(corner))
    first = labels.data if images == 1 else labels.data[0]
    assert (first == before).all()
    assert (drawn.data == before).all()
    assert widget.rows.labels.layer() is drawn  # the next run is for it, too
    assert image.metadata["medai"]["source"]["layer"] == "drawn"
    assert (image.data > 0).any()


def test_a_style_says_how_bright_images_are(
    qtbot: Any, make: Make, viewer: ViewerModel, painting: ModuleType
) -> None:
    placed(viewer, painting)
    light = painting.photograph(painting.disks((90, 90)), seed=2).astype(np.uint16) * 40
    photo = viewer.add_image(light, name="photo")
    widget = make("dots")
    start(widget, Start.LABELS)
    widget.rows.style.choose(photo)
    run(qtbot, widget)
    image = viewer.layers[2]
    assert image.data.dtype == np.uint16
    assert image.data.max() > 1000
    assert image.metadata["medai"]["source"]["style"] == "photo"


def test_nothing_is_painted_without_labels(make: Make, viewer: ViewerModel) -> None:
    widget = make("dots")
    start(widget, Start.LABELS)
    for button in (widget.run_button, widget.preview.button, widget.copy_button):
        assert not button.isEnabled()
    layer = viewer.add_labels(np.zeros((64, 64), np.int32))
    assert widget.run_button.isEnabled()
    viewer.layers.remove(layer)
    assert not widget.run_button.isEnabled()
    widget.models.choose("vessels")  # which are not painted
    assert widget.run_button.isEnabled()


def test_labels_removed_while_they_are_painted_still_give_a_result(
    qtbot: Any, make: Make, viewer: ViewerModel, gate: threading.Event, painting: ModuleType
) -> None:
    drawn = placed(viewer, painting)
    corner = drawn.data_to_world((5, 6))
    widget = make("dots")
    start(widget, Start.LABELS)
    gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    viewer.layers.remove(drawn)
    gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    image, _ = viewer.layers
    assert image.data_to_world((5, 6)) == pytest.approx(corner)
    assert "'drawn' was removed" in widget.notes.text()


def test_what_is_drawn_during_a_run_changes_nothing_in_it(
    qtbot: Any, make: Make, viewer: ViewerModel, gate: threading.Event, painting: ModuleType
) -> None:
    drawn = viewer.add_labels(painting.disks((64, 64)).astype(np.int64))
    before = drawn.data.copy()
    widget = make("dots")
    start(widget, Start.LABELS)
    gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    drawn.data[:] = 1
    gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert (viewer.layers[2].data == before).all()


# Preview and cancel


def test_the_preview_shows_the_first_image_without_a_layer(
    qtbot: Any, make: Make, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = make("dots")
    pictures: list[Any] = []
    monkeypatch.setattr(widget.preview.view, "show_pictures", lambda *both: pictures.append(both))
    edges(widget, y=64, x=72)
    widget.params.form.set_values({"images": 3, "count": 6})
    preview(qtbot, widget)
    assert not viewer.layers
    assert widget.preview.caption.text().startswith("6 objects · ")
    assert CHANGED not in widget.preview.caption.text()
    ((image, labelled),) = pictures
    assert image.shape == labelled.shape == (64, 72, 4)
    run(qtbot, widget)
    first = np.asarray(viewer.layers[0].data[0], np.float64)
    assert np.corrcoef(first.ravel(), image[..., 0].ravel())[0, 1] > 0.9
    coloured = (labelled != image).any(axis=-1)
    assert not coloured[viewer.layers[1].data[0] == 0].any()
    assert coloured[viewer.layers[1].data[0] > 0].mean() > 0.9
    widget.params.form.widgets["seed"].value = 5
    assert widget.preview.caption.text().endswith(CHANGED)
    widget.params.form.widgets["seed"].value = 0
    assert CHANGED not in widget.preview.caption.text()


def test_of_large_images_a_part_is_previewed(
    qtbot: Any, make: Make, viewer: ViewerModel, painting: ModuleType
) -> None:
    labels = np.zeros((60, 900), np.int32)
    labels[4:50, 850:880] = 7
    viewer.add_labels(labels)
    widget = make("dots")
    start(widget, Start.LABELS)
    preview(qtbot, widget)
    assert widget.preview.caption.text().startswith("1 objects · 60 × 512 of 60 × 900 pixels")


def test_volumes_are_previewed_as_they_are_brightest(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    widget = make("vessels")
    widget.rows.ndim.setCurrentIndex(1)
    edges(widget, z=20, y=24, x=28)
    widget.params.form.set_values({"segments": 10, "radius": 0.8})
    preview(qtbot, widget)
    assert "the brightest along z" in widget.preview.caption.text()
    assert not viewer.layers


@pytest.mark.parametrize("button", ["run_button", "preview"])
def test_a_cancelled_job_leaves_nothing(
    qtbot: Any, make: Make, viewer: ViewerModel, gate: threading.Event, button: str
) -> None:
    widget = make("dots")
    edges(widget, y=64, x=64)
    gate.clear()
    (widget.run_button if button == "run_button" else widget.preview.button).click()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    assert not widget.run_button.isEnabled()
    assert not widget.preview.button.isEnabled()
    widget.cancel_button.click()
    gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert widget.status.text() == "Cancelled; nothing was changed."
    assert not viewer.layers
    assert not widget.preview.caption.isVisibleTo(widget)
    run(qtbot, widget)
    assert len(viewer.layers) == 2


# Bad input


def told(qtbot: Any, widget: SynthesizeWidget, errors: list[str]) -> str:
    """What a run and a preview say alike."""
    run(qtbot, widget)
    preview(qtbot, widget)
    assert len(errors) == 2
    assert errors[0] == errors[1] == widget.status.text()
    return errors[0]


def test_labels_without_an_object_are_an_error_in_one_sentence(
    qtbot: Any, make: Make, viewer: ViewerModel, errors: list[str]
) -> None:
    viewer.add_labels(np.zeros((64, 64), np.int32))
    widget = make("dots")
    start(widget, Start.LABELS)
    assert "the labels are empty; draw an object" in told(qtbot, widget, errors)
    assert len(viewer.layers) == 1


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((40, 64, 64), "zyx", "paints images of 2 axes"),
        ((40, 64, 64), "tyx", "got axes T Y X; choose one point in time"),
        ((2, 3, 64, 64), "tzyx", "got axes T Z Y X; choose one point in time"),
        ((20, 64), "yx", "32 pixels or more along each axis, got the shape (20, 64)"),
    ],
)
def test_labels_that_do_not_fit_are_told(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    errors: list[str],
    shape: tuple[int, ...],
    axes: str,
    message: str,
) -> None:
    viewer.add_labels(np.ones(shape, np.int32), axis_labels=tuple(axes))
    widget = make("dots")
    start(widget, Start.LABELS)
    assert message in told(qtbot, widget, errors)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((20, 64, 64), "of 2 axes (Y X), but the style has 3 (Z Y X)"),
        ((64, 64, 3), "a plane or a volume of one channel, got axes Y X C"),
        ((64, 64), "nothing stands out"),
    ],
)
def test_a_style_that_does_not_fit_is_told(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    errors: list[str],
    shape: tuple[int, ...],
    message: str,
) -> None:
    values = np.zeros(shape, np.uint8)
    if len(shape) == 3:
        values[5:9, 10:30, :] = 200
    viewer.add_image(values, rgb=shape[-1] == 3)
    widget = make("dots")
    edges(widget, y=64, x=64)
    widget.rows.style.setCurrentIndex(1)
    assert message in told(qtbot, widget, errors)


def test_a_layer_without_the_axes_of_the_model_is_told_at_once(
    make: Make, viewer: ViewerModel
) -> None:
    plane = viewer.add_image(np.zeros((40, 50)), name="plane", axis_labels=("y", "x"))
    widget = make("vessels")
    widget.rows.like.choose(plane)
    assert widget.run_button.isEnabled()
    widget.rows.ndim.setCurrentIndex(1)
    assert "layer 'plane' has no axis Z; choose another" in widget.rows.message.text()
    assert not widget.run_button.isEnabled()
    widget.rows.like.setCurrentIndex(0)
    assert widget.rows.message.text() == ""
    assert widget.run_button.isEnabled()


def test_pixels_that_are_not_square_are_no_place_for_vessels(
    qtbot: Any, make: Make, viewer: ViewerModel, errors: list[str]
) -> None:
    layer = viewer.add_image(np.zeros((40, 50)), scale=(2, 1))
    widget = make("vessels")
    widget.rows.like.choose(layer)
    assert "as long along all axes, but they are 1, 2" in told(qtbot, widget, errors)


def test_count_and_density_are_not_taken_together(
    qtbot: Any, make: Make, errors: list[str]
) -> None:
    widget = make("dots")
    edges(widget, y=64, x=64)
    widget.params.form.set_values({"count": 5, "density": 2.0})
    sentence = told(qtbot, widget, errors)
    assert "count" in sentence
    assert "density" in sentence


# The script


def again(text: str, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    exec(text, {})


@pytest.mark.parametrize("styled", [False, True])
def test_the_script_paints_the_layers_of_the_viewer_again(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    painting: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    styled: bool,
) -> None:
    placed(viewer, painting)
    viewer.add_image(painting.photograph(painting.disks((90, 90)), seed=2), name="photo")
    widget = make("dots")
    start(widget, Start.LABELS)
    widget.params.form.set_values({"seed": 4, "variation": 0.5, "count": 9})
    if styled:
        widget.rows.style.setCurrentIndex(1)
    before = copied(widget)
    run(qtbot, widget)
    text = copied(widget)
    assert before == text
    assert "labels = viewer.layers['drawn']" in text
    assert ("style = viewer.layers['photo']" in text) == styled
    again(text, viewer, monkeypatch)
    image, labels, image_again, labels_again = viewer.layers[2:]
    assert (image.data == image_again.data).all()
    assert (labels.data == labels_again.data).all()
    assert (image.affine.affine_matrix == image_again.affine.affine_matrix).all()
    assert (image.extent.world == image_again.extent.world).all()


@pytest.mark.parametrize("model", ["dots", "vessels"])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_script_makes_the_same_from_scratch(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    scaled: bool,
) -> None:
    widget = make()
    small_vessels(widget)
    widget.models.choose(model)
    widget.params.form.set_values({"images": 2})
    if scaled:
        widget.rows.pixel.box.setValue(0.5)
        widget.rows.pixel.unit.setCurrentText("µm")
    before = copied(widget)
    run(qtbot, widget)
    text = copied(widget)
    assert arguments(before) == arguments(text)
    assert ("scale" in arguments(text)) == scaled
    made = list(viewer.layers)
    again(text, viewer, monkeypatch)
    for one, other in zip(made, viewer.layers[len(made) :], strict=True):
        assert np.array_equal(one.data, other.data)
        assert np.allclose(one.scale, other.scale)
        assert one.units == other.units


def test_the_script_is_of_the_form_once_it_changed(qtbot: Any, make: Make) -> None:
    widget = make()
    small_vessels(widget)
    run(qtbot, widget)
    widget.params.form.widgets["seed"].value = 8
    assert arguments(copied(widget))["seed"] == "8"
    widget.models.choose("dots")
    given = arguments(copied(widget))
    assert (given["model"], given["shape"]) == ("'dots'", "(64, 72)")
    assert "segments" not in given


# What is remembered


def test_a_run_is_remembered(qtbot: Any, make: Make) -> None:
    widget = make()
    small_vessels(widget)
    widget.rows.pixel.unit.setCurrentText("mm")
    run(qtbot, widget)
    widget.models.choose("dots")
    start(widget, Start.LABELS)
    widget = make()
    assert widget.models.combo.currentText() == "vessels"
    assert widget.rows.edges.edges() == (64, 72)
    assert widget.rows.pixel.unit.currentText() == "mm"
    assert widget.params.values()["segments"] == 20
    assert widget.rows.start.currentData() is Start.SCRATCH


@pytest.mark.parametrize(
    "stored",
    [
        {"edges": {"2": [1, "x"], "3": 4}, "pixel": [1], "parameters": 3, "ndim": 9, "start": 5},
        {"edges": [7], "pixel": ["a", "mm"], "parameters": {"VesselParams": {"segments": "x"}}},
        {"pixel": [0.5, "furlong"], "model": 3, "device": "abacus"},
    ],
)
def test_settings_that_make_no_sense_are_left_out(make: Make, stored: dict[str, Any]) -> None:
    make()
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text(json.dumps({"synthesize": stored}), "utf-8")
    widget = make("vessels")
    assert widget.rows.edges.edges() == (512, 512)
    assert widget.rows.pixel.stored() == [1.0, "pixel"]
    assert widget.params.values()["segments"] == 200
    assert widget.run_button.isEnabled()


def test_without_a_model_there_are_vessels(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "none"))
    monkeypatch.setattr(engine, "synthesis_models", list)
    widget = make()
    assert widget.models.combo.currentText() == "vessels"
    assert widget.run_button.isEnabled()


@pytest.mark.screen
def test_the_widget_in_the_real_viewer(
    make_napari_viewer: Any, qtbot: Any, make: Make, painting: ModuleType
) -> None:
    viewer = make_napari_viewer()
    viewer.add_labels(painting.disks((64, 80)), name="drawn")
    widget = make("dots", viewer)
    viewer.window.add_dock_widget(widget, name="Synthesize")
    start(widget, Start.LABELS)
    preview(qtbot, widget)
    run(qtbot, widget)
    small_vessels(widget)
    run(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == [
        *("drawn", "dots", "dots labels"),
        *("vessels", "vessels segments", "vessels centre lines"),
    ]
