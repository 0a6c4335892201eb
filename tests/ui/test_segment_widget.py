from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

from napari_medai.core.errors import InputError
from napari_medai.tasks.segmentation import Segmentation
from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.live import counted
from napari_medai.ui.region import Region
from napari_medai.ui.segment import SegmentWidget
from napari_medai.ui.settings import settings_path

Make = Callable[[], SegmentWidget]


def squares(shape: tuple[int, ...] = (40, 50)) -> np.ndarray:
    """Squares on 0: 5 pixels wide of 0.9, 4 wide of 0.6, and a single pixel of 0.9."""
    image = np.zeros(shape, np.float32)
    image[..., 5:10, 5:10] = 0.9
    image[..., 20:24, 30:34] = 0.6
    image[..., 35, 45] = 0.9
    return image


def run(qtbot: Any, widget: SegmentWidget) -> None:
    widget.run_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=5000)


def labels_of(viewer: ViewerModel) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def settled(widget: SegmentWidget) -> Callable[[], bool]:
    return lambda: not widget._decoding._busy and widget._decoding._waiting is None


def test_a_run_adds_one_layer_and_changes_no_input(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    image = squares()
    viewer.add_image(image, name="cells", scale=(2, 3))
    widget = make_widget()
    assert widget.status.text() == "Not run yet."
    run(qtbot, widget)
    (labels,) = labels_of(viewer)
    assert labels.name == "cells nuclei"
    assert labels.data.max() == 2  # the single pixel is too small
    assert list(labels.features["area"]) == [25, 16]
    assert np.allclose(labels.scale, (2, 3))
    assert np.array_equal(image, squares())
    assert widget.status.text().startswith("2 nuclei · ")
    assert widget.status.text().endswith("Mpx/s")
    run(qtbot, widget)
    assert len(labels_of(viewer)) == 2


def test_nothing_can_be_run_without_an_image(make_widget: Make, viewer: ViewerModel) -> None:
    widget = make_widget()
    assert widget.source.layers.placeholderText() == "no image is open"
    assert not widget.run_button.isEnabled()
    assert not widget.cancel_button.isEnabled()
    layer = viewer.add_image(squares())
    assert widget.run_button.isEnabled()
    viewer.layers.remove(layer)
    assert not widget.run_button.isEnabled()


def test_nothing_can_be_run_without_a_model(
    make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    fake.models.clear()
    viewer.add_image(squares())
    widget = make_widget()
    assert not widget.run_button.isEnabled()
    assert not widget.models.card_button.isEnabled()
    assert widget.status.text() == "No model is installed."


def test_cancel_adds_nothing_and_closes_the_job(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    assert widget.cancel_button.isEnabled()
    assert not widget.run_button.isEnabled()
    widget.cancel_button.click()
    fake.gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy)
    assert labels_of(viewer) == []
    assert fake.closed
    assert widget.status.text() == "Cancelled; nothing was changed."
    assert widget.run_button.isEnabled()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("the image is empty"), "the image is empty"),
        (RuntimeError("bad kernel"), "Segmentation failed: RuntimeError: bad kernel; please"),
    ],
)
def test_an_error_is_shown_and_one_can_go_on(
    qtbot: Any,
    make_widget: Make,
    viewer: ViewerModel,
    fake: Any,
    errors: list[str],
    error: Exception,
    sentence: str,
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    fake.error = error
    run(qtbot, widget)
    assert widget.status.text().startswith(sentence)
    assert errors == [widget.status.text()]
    assert labels_of(viewer) == []
    fake.error = None
    run(qtbot, widget)
    assert len(labels_of(viewer)) == 1


def test_a_layer_removed_while_running_still_gives_its_result(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    layer = viewer.add_image(squares(), name="cells", translate=(7, 8))
    widget = make_widget()
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    viewer.layers.remove(layer)
    fake.gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy)
    (labels,) = labels_of(viewer)
    assert np.allclose(labels.translate, (7, 8))
    assert "'cells' was removed" in widget.notes.text()


def test_a_widget_closed_while_running_stops_quietly(
    qtbot: Any, viewer: ViewerModel, fake: Any, errors: list[str]
) -> None:
    viewer.add_image(squares())
    widget = SegmentWidget(viewer)
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    widget.deleteLater()
    qtbot.wait(50)
    fake.gate.set()
    qtbot.waitUntil(lambda: fake.closed)
    qtbot.wait(50)
    assert labels_of(viewer) == []
    assert errors == []
    viewer.add_image(squares())  # nobody listens any more


def test_wrong_axes_are_said_at_once(make_widget: Make, viewer: ViewerModel) -> None:
    viewer.add_image(squares((3, 40, 50)))
    widget = make_widget()
    rows = widget.source
    assert rows.axes.text() == "ZYX"
    rows.axes.setText("YX")
    rows.axes.textEdited.emit("YX")
    assert "name 2 dimensions, but the array has 3" in rows.message.text()
    assert not widget.run_button.isEnabled()
    rows.axes.setText("tyx")
    rows.axes.textEdited.emit("tyx")
    assert rows.message.text() == ""
    assert widget.run_button.isEnabled()
    assert rows.source().image.axes == "TYX"


def test_axes_corrected_for_a_layer_are_kept_for_it(make_widget: Make, viewer: ViewerModel) -> None:
    stack = viewer.add_image(squares((3, 40, 50)))
    viewer.add_image(squares())
    widget = make_widget()
    rows = widget.source
    assert rows.axes.text() == "YX"
    rows.layers.choose(stack)
    rows.axes.setText("CYX")
    rows.axes.textEdited.emit("CYX")
    rows.layers.setCurrentIndex(0)
    assert rows.axes.text() == "YX"
    rows.layers.choose(stack)
    assert rows.axes.text() == "CYX"


def test_one_channel_is_taken_unless_they_may_be_colours(
    make_widget: Make, viewer: ViewerModel
) -> None:
    labels = ("channel", "y", "x")
    viewer.add_image(squares((3, 40, 50)), axis_labels=labels)
    widget = make_widget()
    assert widget.source.source().image.shape == (3, 40, 50)
    viewer.add_image(squares((4, 40, 50)), axis_labels=labels)
    assert widget.source.source().image.shape == (1, 40, 50)
    widget.source.channel.setCurrentIndex(3)
    assert widget.source.source().place.window == {"C": slice(2, 3)}


def test_one_of_the_colours_may_be_taken(make_widget: Make, viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((40, 50, 4), np.uint8), rgb=True)
    widget = make_widget()
    rows = widget.source
    assert [rows.channel.itemText(i) for i in range(rows.channel.count())] == ["all", *"012"]
    assert rows.source().image.shape == (40, 50, 3)
    rows.channel.setCurrentIndex(2)
    assert rows.source().image.shape == (40, 50, 1)
    widget.copy_button.click()
    assert "channel=1" in QApplication.clipboard().text()


def test_the_layer_list_follows_the_viewer(make_widget: Make, viewer: ViewerModel) -> None:
    first = viewer.add_image(squares(), name="a")
    widget = make_widget()
    combo = widget.source.layers
    second = viewer.add_image(squares(), name="b")
    viewer.add_labels(np.zeros((4, 5), int))
    assert [combo.itemText(i) for i in range(combo.count())] == ["b", "a"]
    assert combo.layer() is second
    viewer.layers.selection.active = first
    assert combo.layer() is first
    first.name = "renamed"
    assert combo.currentText() == "renamed"
    viewer.layers.remove(first)
    assert combo.layer() is second


def test_a_region_is_run_and_lies_in_its_place(
    qtbot: Any, make_widget: Make, viewer: ViewerModel
) -> None:
    viewer.add_image(squares(), name="cells", scale=(2, 2))
    viewer.add_shapes([np.array([[18, 28], [18, 38], [30, 38], [30, 28]]) * 2.0])
    widget = make_widget()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SHAPES))
    run(qtbot, widget)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (13, 11)
    assert np.allclose(labels.translate, (36, 56))
    assert labels.get_value((42, 62), world=True) == 1


def test_an_empty_region_is_an_error_before_the_run(
    make_widget: Make, viewer: ViewerModel, fake: Any, errors: list[str]
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SHAPES))
    widget.run_button.click()
    assert "no Shapes layer" in widget.status.text()
    assert fake.runs == []


def test_sliders_decode_again_in_the_same_layer(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    run(qtbot, widget)
    (labels,) = labels_of(viewer)
    for value in (0.6, 0.65, 0.7):
        widget.params.widgets["threshold"].value = value
    qtbot.waitUntil(settled(widget))
    assert labels_of(viewer) == [labels]
    assert labels.data.max() == 1
    assert list(labels.features["index"]) == [1]
    assert labels.metadata["medai"]["parameters"]["threshold"] == 0.7
    assert labels.metadata["medai"]["source"]["layer"] == "Image"
    assert len(fake.runs) == 1
    assert fake.decoded[-1].threshold == 0.7
    assert len(fake.decoded) < 3
    assert widget.status.text().startswith("1 nucleus · decoded")


def test_a_slider_moved_while_running_is_followed_afterwards(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    widget.params.widgets["threshold"].value = 0.7
    fake.gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy)
    qtbot.waitUntil(settled(widget))
    (labels,) = labels_of(viewer)
    assert labels.metadata["medai"]["parameters"]["threshold"] == 0.7
    assert labels.data.max() == 1


@pytest.mark.parametrize("which", ["source", "result", "edited", "while running"])
def test_scores_are_let_go_when_no_slider_can_use_them(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any, which: str
) -> None:
    image = weakref.ref(viewer.add_image(squares()))
    widget = make_widget()
    if which == "while running":
        fake.gate.clear()
        widget.run_button.click()
        qtbot.waitUntil(lambda: bool(fake.runs))
        viewer.layers.pop(0)
        fake.gate.set()
        qtbot.waitUntil(lambda: not widget.work.busy)
    else:
        run(qtbot, widget)
    if which == "source":
        viewer.layers.pop(0)
    elif which == "result":
        viewer.layers.pop(1)
    elif which == "edited":
        labels_of(viewer)[0].paint((0, 0), 7)
    assert widget._live is None or widget._live.result.scores is None
    if which in ("source", "while running"):
        fake.runs.clear()
        fake.image = None
        qtbot.wait(50)
        gc.collect()
        assert image() is None


def test_an_edited_layer_is_left_alone(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    run(qtbot, widget)
    (labels,) = labels_of(viewer)
    labels.paint((0, 0), 7)
    before = labels.data.copy()
    widget.params.widgets["threshold"].value = 0.7
    qtbot.wait(120)
    assert fake.decoded == []
    assert np.array_equal(labels.data, before)
    assert "Run again" in widget.status.text()


def test_a_removed_layer_is_not_brought_back(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    run(qtbot, widget)
    viewer.layers.remove(labels_of(viewer)[0])
    widget.params.widgets["threshold"].value = 0.7
    qtbot.wait(120)
    assert labels_of(viewer) == []
    assert "Run again" in widget.status.text()


def test_sliders_leave_the_result_of_another_layer_or_model_alone(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    run(qtbot, widget)
    widget.models.choose("cells")
    widget.params.widgets["threshold"].value = 0.7
    widget.models.choose("nuclei")
    viewer.add_image(squares())
    widget.params.widgets["threshold"].value = 0.8
    qtbot.wait(120)
    assert fake.decoded == []


def test_scores_too_large_to_keep_are_said(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    fake.scores = False
    viewer.add_image(squares())
    widget = make_widget()
    run(qtbot, widget)
    widget.params.widgets["threshold"].value = 0.7
    assert "too large to keep" in widget.status.text()


def test_settings_are_remembered(qtbot: Any, make_widget: Make, viewer: ViewerModel) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    widget.models.choose("cells")
    widget.params.set_values({"threshold": 0.42, "diameter": 30.0})
    widget.source.region.setCurrentIndex(2)
    run(qtbot, widget)
    assert json.loads(settings_path().read_text())["segment"]["model"] == "cells"
    again = make_widget()
    assert again.models.model().name == "cells"
    assert again.params.value("threshold") == 0.42
    assert again.params.value("diameter") == 30.0
    assert again.source.region.currentData() is Region.SLICE


def test_the_script_says_what_the_form_says(make_widget: Make, viewer: ViewerModel) -> None:
    viewer.add_image(squares(), name="cells")
    widget = make_widget()
    widget.params.set_values({"threshold": 0.42})
    widget.copy_button.click()
    text = QApplication.clipboard().text()
    assert "viewer.layers['cells']" in text
    assert "threshold=0.42" in text
    compile(text, "script", "exec")


def copied(widget: SegmentWidget) -> str:
    widget.copy_button.click()
    return QApplication.clipboard().text()


def test_the_script_makes_the_result_on_show(
    qtbot: Any, make_widget: Make, viewer: ViewerModel
) -> None:
    """Its own region, though another is chosen by the same words, and what the sliders made."""
    viewer.add_image(squares((3, 40, 50)), name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 1)
    widget = make_widget()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SLICE))
    run(qtbot, widget)
    viewer.dims.set_point(0, 2)
    assert "'T': slice(1, 2)" in copied(widget)
    widget.params.widgets["threshold"].value = 0.7
    qtbot.waitUntil(settled(widget))
    (labels,) = labels_of(viewer)
    qtbot.waitUntil(lambda: labels.metadata["medai"]["parameters"]["threshold"] == 0.7)
    assert "'T': slice(1, 2)" in copied(widget)
    assert "threshold=0.7" in copied(widget)


@pytest.mark.parametrize("change", ["parameter", "slider", "model", "name", "removed"])
def test_after_a_change_the_script_says_what_the_form_says(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, change: str
) -> None:
    layer = viewer.add_image(squares((3, 40, 50)), name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 1)
    widget = make_widget()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SLICE))
    run(qtbot, widget)
    (labels,) = labels_of(viewer)
    viewer.dims.set_point(0, 2)
    if change == "parameter":
        widget.params.widgets["diameter"].value = 30
    elif change == "slider":
        labels.paint((0, 0, 0), 7)  # it follows no more
        widget.params.widgets["threshold"].value = 0.7
    elif change == "model":
        widget.models.choose("cells")
    elif change == "name":
        layer.name = "renamed"
    else:
        viewer.layers.remove(labels)
    text = copied(widget)
    assert "'T': slice(2, 3)" in text
    expected = {
        "parameter": "diameter=30.0",
        "slider": "threshold=0.7",
        "model": "model='cells'",
        "name": "viewer.layers['renamed']",
        "removed": "viewer.layers['cells']",
    }
    assert expected[change] in text


def test_a_script_that_cannot_be_written_stops_no_run(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    viewer.add_image(squares())
    widget = make_widget()
    fake.gate.clear()
    widget.run_button.click()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SHAPES))
    widget.copy_script()
    assert "no Shapes layer" in widget.status.text()
    assert widget.cancel_button.isEnabled()
    fake.gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy)
    assert len(labels_of(viewer)) == 1


def test_the_card_is_at_hand(qtbot: Any, make_widget: Make) -> None:
    widget = make_widget()
    assert "Finds nuclei." in widget.models.combo.toolTip()
    dialog = widget.models.show_card()
    assert dialog is not None
    assert dialog.windowTitle() == "nuclei 1.0"
    dialog.close()


def test_a_model_that_came_meanwhile_is_in_the_list(make_widget: Make, fake: Any) -> None:
    widget = make_widget()
    widget.models.choose("cells")
    fake.models.append(replace(fake.models[0], name="mine"))
    widget.models.combo.showPopup()
    assert [widget.models.combo.itemText(i) for i in range(3)] == ["nuclei", "cells", "mine"]
    assert widget.models.model().name == "cells"


def test_the_device_is_shown_with_the_reason(qtbot: Any, make_widget: Make) -> None:
    widget = make_widget()
    qtbot.waitUntil(lambda: widget.device.reason.text() == "cpu: 2 threads")
    assert widget.device.value() == "auto"
    assert [widget.device.combo.itemText(i) for i in range(2)] == ["auto", "cpu"]


@pytest.mark.parametrize(
    ("count", "model", "text"),
    [
        (1302, "nuclei", "1\u202f302 nuclei"),
        (1, "nuclei", "1 nucleus"),
        (0, "my-cells", "0 objects"),
    ],
)
def test_counts_are_readable(count: int, model: str, text: str) -> None:
    found = Segmentation(np.zeros((1, 1)), "YX", {"index": np.arange(count)}, {})
    assert counted(SimpleNamespace(model=model, result=found)) == text  # type: ignore[arg-type]


def test_classes_are_measured() -> None:
    features = {
        "index": np.array([1, 2]),
        "voxels": np.array([1500, 0]),
        "volume_ml": np.array([1.2345, 0]),
    }
    found = Segmentation(np.zeros((1, 1)), "YX", features, {}, classes=("front", "back"))
    live: Any = SimpleNamespace(model="nuclei", result=found)
    assert counted(live) == "front 1.23 ml, back 0 ml"
    del features["volume_ml"]
    assert counted(live) == "front 1\u202f500 pixels, back 0 pixels"


def test_a_model_of_classes_shows_its_own_parameters(
    qtbot: Any, make_widget: Make, viewer: ViewerModel, fake: Any
) -> None:
    notice = "Not a medical device; research use only."
    fake.models.append(
        replace(fake.models[0], name="organs", decoder="classes", config={"notice": notice})
    )
    viewer.add_image(squares())
    widget = make_widget()
    assert not widget.objects.isHidden()
    assert widget.params.controls["mirror"].isHidden()
    assert widget.models.notice.isHidden()
    widget.models.choose("organs")
    assert widget.objects.isHidden()
    assert not widget.params.controls["mirror"].isHidden()
    assert (widget.models.notice.text(), widget.models.notice.isHidden()) == (notice, False)
    widget.models.choose("nuclei")
    assert not widget.objects.isHidden()
    assert widget.models.notice.isHidden()


@pytest.mark.screen
def test_the_widget_in_the_real_viewer(make_napari_viewer: Any, qtbot: Any, fake: Any) -> None:
    from napari.utils import progress

    viewer = make_napari_viewer()
    viewer.add_image(squares(), name="cells")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    (bar,) = progress._all_instances
    assert "Segmentation" in bar.desc
    bar.cancel()
    fake.gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy)
    assert widget.status.text().startswith("Cancelled")
    run(qtbot, widget)
    assert labels_of(viewer)[0].data.max() == 2
    widget.params.widgets["threshold"].value = 0.7
    qtbot.waitUntil(settled(widget))
    assert labels_of(viewer)[0].data.max() == 1
    assert len(progress._all_instances) == 0


@pytest.mark.screen
def test_the_viewer_closed_while_running(make_napari_viewer: Any, qtbot: Any, fake: Any) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(squares())
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    fake.gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: bool(fake.runs))
    viewer.close()
    fake.gate.set()
    qtbot.waitUntil(lambda: fake.closed)
    qtbot.wait(100)
    assert labels_of(viewer) == []


def test_a_notice_keeps_its_lines_when_it_is_squeezed(qtbot: Any) -> None:
    label = WrappedLabel()
    qtbot.addWidget(label)
    label.setText("Not a medical device; research use only. " * 3)
    label.resize(150, 10)
    label.show()
    assert label.height() >= label.heightForWidth(150) > 2 * label.fontMetrics().lineSpacing()
    label.setText("")
    assert label.minimumHeight() == 0
