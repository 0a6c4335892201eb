from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import QApplication, QInputDialog

from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.tasks import self_supervised
from napari_medai.tasks.denoise_models import denoise_spec
from napari_medai.tasks.trained import write_trained
from napari_medai.ui import device, engine
from napari_medai.ui.denoise import OWN, DenoiseWidget
from napari_medai.ui.denoise_crop import coloured
from napari_medai.ui.region import Region
from napari_medai.ui.script import script
from napari_medai.ui.settings import settings_path

Make = Callable[..., DenoiseWidget]


@pytest.fixture(scope="module")
def smoother(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A package of random weights, which change what they are given."""
    import torch

    from napari_medai.nn.unet import UNet

    kwargs = {"ndim": 2, "widths": [4, 8], "shuffle": 2}
    spec = denoise_spec("smoother", kwargs, space="YX", description="For tests.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = UNet(**spec.architecture.kwargs).eval()
    with torch.no_grad():
        net.head.weight.mul_(3)
    return write_trained(tmp_path_factory.mktemp("models") / "smoother", spec, net, script=False)


@pytest.fixture
def gate(held_back: Callable[[str], threading.Event]) -> threading.Event:
    """Holds runs back while it is cleared."""
    return held_back("denoise_steps")


@pytest.fixture
def make(
    qtbot: Any,
    viewer: ViewerModel,
    gate: threading.Event,
    errors: list[str],
    smoother: Model,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Make:
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "models"))
    known = engine.denoising_models
    monkeypatch.setattr(engine, "denoising_models", lambda: [smoother, *known()])
    monkeypatch.setattr(device, "found_devices", lambda: {"cpu": "2 threads"})
    nets = {2: {"ndim": 2, "widths": [8, 12]}, 3: {"ndim": 3, "widths": [6, 8], "pool": [1, 2, 2]}}
    monkeypatch.setattr(self_supervised, "NETS", nets)
    monkeypatch.setattr(self_supervised, "CROP", {2: (32, 32), 3: (4, 32, 32)})
    monkeypatch.setattr(self_supervised, "SHOWN_EVERY", 0.05)

    def made(shown: Any = viewer) -> DenoiseWidget:
        widget = DenoiseWidget(shown)
        qtbot.addWidget(widget)
        return widget

    return made


def noisy(shape: tuple[int, ...] = (60, 72), seed: int = 0) -> np.ndarray:
    """What a camera of gain 2 and a dark level of 100 takes of waves of light, uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape[-2:])
    light = 50 + 40 * np.sin(y / 9) * np.cos(x / 11) + np.zeros(shape)
    return np.rint(2 * rng.poisson(light) + rng.normal(100, 3, shape)).astype(np.uint16)


def run(qtbot: Any, widget: DenoiseWidget) -> None:
    widget.run_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)


def learn(widget: DenoiseWidget, *, steps: int) -> None:
    widget.models.choose(OWN)
    widget.params.set_values({"steps": steps})


def settled(qtbot: Any, widget: DenoiseWidget) -> None:
    """Wait until the noise is told and the preview shown."""
    works = (widget.noise._telling, widget.preview._looking, widget.after._checking)
    qtbot.waitUntil(lambda: not any(w._busy or w._waiting for w in works), timeout=30_000)


def learning(qtbot: Any, widget: DenoiseWidget) -> None:
    """Wait until a net learns."""
    qtbot.waitUntil(lambda: widget.preview.enough_button.isEnabled(), timeout=60_000)


# A run


def test_a_run_adds_one_layer_in_place_with_the_looks_of_the_source(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy()
    layer = viewer.add_image(values, name="cells", scale=(2, 3), colormap="green")
    layer.contrast_limits = (120, 280)
    widget = make()
    assert widget.inputs.model_name == "smoother"
    run(qtbot, widget)
    restored = viewer.layers[-1]
    assert len(viewer.layers) == 2
    assert isinstance(restored, Image)
    assert restored.data.dtype == np.float32
    assert not np.array_equal(restored.data, values)
    assert abs(restored.data.mean() / values.mean() - 1) < 0.01
    assert np.allclose(restored.scale, (2, 3))
    assert restored.colormap.name == "green"
    assert list(restored.contrast_limits) == [120, 280]
    assert np.array_equal(layer.data, noisy())
    assert widget.status.text().startswith("gain ")
    assert widget.status.text().endswith("Mpx/s")
    assert widget.source.layers.layer() is layer  # the next run is for it, too
    assert not widget.after.keep_button.isEnabled()


def test_what_is_given_is_used(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    viewer.add_image(noisy(), name="cells")
    widget = make()
    widget.noise.boxes["gain"].setText("2")
    widget.noise.boxes["dark"].setText("100")
    run(qtbot, widget)
    record = viewer.layers[-1].metadata["medai"]
    assert record["parameters"]["gain"] == 2
    assert record["found"]["noise"] == [{"gain": 2.0, "offset": 100.0, "read_noise": 0.0}]
    widget.noise.boxes["gain"].setText("two")
    widget.run_button.click()
    assert not widget.work.busy
    assert widget.status.text() == "gain must be a number, got 'two'"


def test_a_region_is_run_and_lies_in_its_place(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    viewer.add_image(noisy((3, 60, 72)), name="stack")
    viewer.dims.set_point(0, 2)
    widget = make()
    widget.source.region.setCurrentIndex(list(Region).index(Region.SLICE))
    run(qtbot, widget)
    restored = viewer.layers[-1]
    assert restored.data.shape == (1, 60, 72)
    assert np.allclose(restored.translate, (2, 0, 0))


def test_colours_come_back_as_colours(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    rgb = np.stack([noisy(seed=seed) // 2 for seed in range(3)], axis=-1).astype(np.uint8)
    viewer.add_image(rgb, rgb=True)
    widget = make()
    settled(qtbot, widget)
    assert widget.preview._glimpse is not None
    assert np.array_equal(widget.preview._glimpse.noisy, rgb[..., 1])
    run(qtbot, widget)
    assert viewer.layers[-1].rgb
    assert viewer.layers[-1].data.shape == rgb.shape
    widget.after.residual_button.click()
    qtbot.waitUntil(lambda: "choose one channel" in widget.status.text(), timeout=10_000)
    assert len(viewer.layers) == 2


def test_an_image_of_a_few_pixels_is_an_error_in_one_sentence(
    qtbot: Any, make: Make, viewer: ViewerModel, errors: list[str]
) -> None:
    viewer.add_image(noisy((8, 8)))
    widget = make()
    run(qtbot, widget)
    assert "at least 16 x 16" in widget.status.text()
    assert errors == [widget.status.text()]
    learn(widget, steps=3)
    widget.noise.boxes["gain"].setText("2")
    run(qtbot, widget)
    assert len(viewer.layers) == 2  # with the noise known, 8 x 8 is enough to learn from


def test_nothing_can_be_run_without_an_image(make: Make, viewer: ViewerModel) -> None:
    widget = make()
    assert not widget.run_button.isEnabled()
    assert "Choose an image" in widget.preview.view.empty
    layer = viewer.add_image(noisy())
    assert widget.run_button.isEnabled()
    viewer.layers.remove(layer)
    assert not widget.run_button.isEnabled()
    assert widget.noise.told.text() == ""


def test_a_layer_removed_while_running_still_gives_its_result(
    qtbot: Any, make: Make, viewer: ViewerModel, gate: threading.Event
) -> None:
    layer = viewer.add_image(noisy(), name="cells", translate=(7, 8))
    widget = make()
    gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    viewer.layers.remove(layer)
    gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    (restored,) = viewer.layers
    assert np.allclose(restored.translate, (7, 8))
    assert "'cells' was removed" in widget.notes.text()
    assert not widget.after.residual_button.isEnabled()


# Learning


def test_the_parameters_follow_what_is_chosen(make: Make, viewer: ViewerModel) -> None:
    widget = make()
    rows = widget.groups.rows
    shown = {name for name, form in rows.items() if form.isRowVisible(widget.params.controls[name])}
    assert shown == {"strength", "dtype", "tile", "block"}
    widget.models.choose(OWN)
    shown = {name for name, form in rows.items() if form.isRowVisible(widget.params.controls[name])}
    assert shown >= {"strength", "seconds", "across", "scheme", "lines", "seed"}
    assert not widget.models.card_button.isEnabled()
    assert "learns" in widget.models.combo.toolTip()


def test_the_preview_follows_a_net_that_learns_and_enough_ends_it(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    viewer.add_image(noisy(), name="cells")
    widget = make()
    learn(widget, steps=100_000)
    settled(qtbot, widget)
    assert not widget.preview.enough_button.isVisibleTo(widget)
    widget.run_button.click()
    learning(qtbot, widget)
    assert widget.preview.enough_button.isVisibleTo(widget)
    preview = widget.preview
    qtbot.waitUntil(
        lambda: preview._glimpse is not None and preview._glimpse.restored is not None,
        timeout=60_000,
    )
    qtbot.waitUntil(lambda: "dB gained" in preview.caption.text(), timeout=60_000)
    first = preview._glimpse.restored
    qtbot.waitUntil(lambda: preview._glimpse.restored is not first, timeout=60_000)
    preview.enough_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert len(viewer.layers) == 2
    assert 50 <= viewer.layers[-1].metadata["medai"]["found"]["steps"] < 5000
    assert not preview.enough_button.isVisibleTo(widget)
    settled(qtbot, widget)
    assert preview.caption.text().startswith("the last result")
    assert np.array_equal(preview._glimpse.restored, viewer.layers[-1].data)


def test_what_was_learned_is_kept_as_a_model_also_after_a_cancel(
    qtbot: Any,
    make: Make,
    viewer: ViewerModel,
    errors: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(noisy(), name="cells")
    widget = make()
    learn(widget, steps=100_000)
    widget.run_button.click()
    learning(qtbot, widget)
    assert not widget.after.keep_button.isEnabled()
    widget.cancel_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert len(viewer.layers) == 1
    assert "can be kept as a model" in widget.status.text()
    assert not widget.after.residual_button.isEnabled()

    names = iter([("", True), ("mine", False), ("no / name", True), ("mine", True), ("mine", True)])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: next(names))
    for _ in range(2):
        widget.after.keep_button.click()
        assert widget.after._keeping._waiting is None  # nothing was asked for
    widget.after.keep_button.click()
    qtbot.waitUntil(lambda: len(errors) == 1, timeout=30_000)
    assert "no / name" in errors[0]
    widget.after.keep_button.click()
    qtbot.waitUntil(lambda: widget.inputs.model_name == "mine", timeout=30_000)
    assert widget.status.text() == "Kept as model mine."
    assert find_model("mine", "denoise").decoder == "light"
    widget.after.keep_button.click()
    qtbot.waitUntil(lambda: len(errors) == 2, timeout=30_000)
    assert "already" in errors[1]
    run(qtbot, widget)
    assert viewer.layers[-1].metadata["medai"]["model"]["name"] == "mine"


def test_a_run_that_is_cancelled_before_it_learns_leaves_nothing(
    qtbot: Any, make: Make, viewer: ViewerModel, gate: threading.Event
) -> None:
    viewer.add_image(noisy())
    widget = make()
    learn(widget, steps=5)
    gate.clear()
    widget.run_button.click()
    qtbot.waitUntil(lambda: widget.status.text() == "waiting")
    widget.cancel_button.click()
    gate.set()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert len(viewer.layers) == 1
    assert widget.status.text() == "Cancelled; nothing was changed."
    assert not widget.after.keep_button.isEnabled()


def test_what_cannot_be_learned_is_an_error_in_one_sentence(
    qtbot: Any, make: Make, viewer: ViewerModel, errors: list[str]
) -> None:
    viewer.add_image(noisy())
    widget = make()
    learn(widget, steps=3)
    widget.params.set_values({"scheme": "frames"})
    run(qtbot, widget)
    assert "several along T" in widget.status.text()
    assert errors == [widget.status.text()]
    widget.params.set_values({"scheme": "auto"})
    run(qtbot, widget)
    assert len(viewer.layers) == 2


def test_a_net_that_sees_neighbours_along_z_is_previewed_at_the_slice_on_show(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy((12, 48, 56))
    viewer.add_image(values, name="stack")
    viewer.dims.set_point(0, 10)
    widget = make()
    learn(widget, steps=100_000)
    widget.params.set_values({"across": "Z"})
    widget.run_button.click()
    preview = widget.preview
    qtbot.waitUntil(
        lambda: preview._glimpse is not None and preview._glimpse.restored is not None,
        timeout=60_000,
    )
    assert np.array_equal(preview._glimpse.noisy, values[10])
    assert preview._glimpse.restored.shape == (48, 56)
    preview.enough_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    settled(qtbot, widget)
    assert np.array_equal(preview._glimpse.restored, viewer.layers[-1].data[10])


def test_planes_without_z_cannot_be_seen_along_it(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    viewer.add_image(noisy())
    widget = make()
    learn(widget, steps=3)
    widget.params.widgets["across"].value = "Z"
    settled(qtbot, widget)
    assert "planes along Z Y X are needed" in widget.preview.caption.text()
    run(qtbot, widget)
    assert "planes along Z Y X are needed" in widget.status.text()


# The preview


def test_the_preview_shows_both_and_follows_strength_noise_and_colours(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy()
    layer = viewer.add_image(values, colormap="magenta", contrast_limits=(100, 300))
    widget = make()
    widget.noise.boxes["gain"].setText("2")
    widget.noise.boxes["dark"].setText("100")
    settled(qtbot, widget)
    view, preview = widget.preview.view, widget.preview
    assert preview.caption.text().startswith("smoother · ")
    full = preview._glimpse.restored
    run(qtbot, widget)
    assert np.allclose(full, viewer.layers[-1].data, atol=1e-3)

    view.resize(256, 256)
    view.divider = 0.5
    shown, frame = view.grab().toImage(), view.frame
    scale = frame.width() / values.shape[1]
    for row, column, picture in ((20, 10, values), (20, 60, full)):
        x, y = int(frame.left() + (column + 0.5) * scale), int(frame.top() + (row + 0.5) * scale)
        colour = shown.pixelColor(x, y)
        wanted = coloured(picture[row : row + 1, column : column + 1], layer)[0, 0, :3]
        assert [colour.red(), colour.green(), colour.blue()] == wanted.tolist()

    widget.params.widgets["strength"].value = 0.5
    qtbot.waitUntil(lambda: not np.allclose(preview._glimpse.restored, full), timeout=30_000)
    half = preview._glimpse.restored
    assert np.allclose(half, (full + values) / 2, atol=1e-2)
    widget.noise.boxes["gain"].setText("8")
    qtbot.waitUntil(lambda: not np.allclose(preview._glimpse.restored, half), timeout=30_000)
    before = view.grab().toImage()
    layer.contrast_limits = (0, 2000)
    assert view.grab().toImage() != before


def test_noise_is_told_anew_when_the_layer_has_other_pixels(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    layer = viewer.add_image(noisy())
    widget = make()
    settled(qtbot, widget)
    before = widget.noise.estimate
    layer.data = (noisy() * 4).astype(np.uint16)
    settled(qtbot, widget)
    after = widget.noise.estimate
    assert before is not None
    assert after is not None
    gains = [found.noises[0].gain for found in (before, after) if found.noises[0] is not None]
    assert gains[1] == pytest.approx(4 * gains[0], rel=0.05)


def test_preview_here_goes_where_the_canvas_is(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    values = noisy((300, 600))
    viewer.add_image(values)
    viewer.scene.camera.center = (0, 150, 128)
    widget = make()
    settled(qtbot, widget)
    assert np.array_equal(widget.preview._glimpse.noisy, values[22:278, :256])
    viewer.scene.camera.center = (0, 150, 472)
    widget.preview.here.click()
    settled(qtbot, widget)
    assert np.array_equal(widget.preview._glimpse.noisy, values[22:278, 344:])


def test_a_volume_in_3d_and_a_pyramid_are_previewed(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy((6, 60, 72))
    viewer.add_image(values)
    viewer.dims.ndisplay = 3
    widget = make()
    settled(qtbot, widget)
    assert np.array_equal(widget.preview._glimpse.noisy, values[2])
    viewer.dims.ndisplay = 2
    pyramid = [da.from_array(values[0], 16), da.from_array(values[0, ::2, ::2], 16)]
    viewer.add_image(pyramid, multiscale=True)
    settled(qtbot, widget)
    assert np.array_equal(widget.preview._glimpse.noisy, values[0])


def test_a_layer_that_is_gone_is_not_shown(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    layer = viewer.add_image(noisy())
    widget = make()
    settled(qtbot, widget)
    viewer.layers.remove(layer)
    assert widget.preview._glimpse is None
    layer.contrast_limits = (0, 1)  # nobody follows it
    settled(qtbot, widget)
    assert widget.preview._glimpse is None


# What was taken away


def test_the_residual_is_input_minus_output_in_place(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy((2, 60, 72))
    layer = viewer.add_image(values, name="cells", scale=(1, 2, 3), translate=(4, 5, 6))
    widget = make()
    assert not widget.after.residual_button.isEnabled()
    run(qtbot, widget)
    restored = viewer.layers[-1]
    settled(qtbot, widget)
    assert "taken away" in widget.after.check.text()
    widget.after.residual_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=10_000)
    residual = viewer.layers[-1]
    assert residual.name == f"{restored.name} residual"
    assert np.array_equal(residual.data, values.astype(np.float32) - restored.data)
    assert np.allclose(residual.scale, (1, 2, 3))
    assert np.allclose(residual.translate, (4, 5, 6))
    assert residual.contrast_limits[0] == -residual.contrast_limits[1]
    assert residual.metadata["medai"]["task"] == "residual"
    assert widget.source.layers.layer() is layer
    viewer.layers.remove(restored)
    assert not widget.after.residual_button.isEnabled()
    assert widget.after.check.text() == ""


def test_a_residual_whose_middle_is_unknown_is_shown(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    values = noisy((2, 60, 72)).astype(np.float32)
    values[1] = np.nan
    viewer.add_image(values, contrast_limits=(0, 300))
    widget = make()
    run(qtbot, widget)
    widget.after.residual_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=10_000)
    assert viewer.layers[-1].contrast_limits == [-1, 1]


# Copy as Python, settings


def test_the_script_says_what_was_done(qtbot: Any, make: Make, viewer: ViewerModel) -> None:
    viewer.add_image(noisy(), name="cells")
    widget = make()
    widget.copy_button.click()
    text = QApplication.clipboard().text()
    ast.parse(text)
    assert "medai.denoise(" in text
    assert "model='smoother'" in text
    assert "seconds" not in text
    learn(widget, steps=3)
    widget.copy_button.click()
    text = QApplication.clipboard().text()
    assert "model='self'" in text
    assert "steps=3" in text
    run(qtbot, widget)
    widget.copy_button.click()
    assert QApplication.clipboard().text() == script(viewer.layers[-1])
    widget.params.widgets["strength"].value = 0.5
    widget.copy_button.click()
    assert "strength=0.5" in QApplication.clipboard().text()


def test_what_was_chosen_is_there_the_next_time(
    qtbot: Any, make: Make, viewer: ViewerModel
) -> None:
    viewer.add_image(noisy())
    widget = make()
    learn(widget, steps=3)
    widget.params.set_values({"strength": 0.75})
    run(qtbot, widget)
    assert json.loads(settings_path().read_text("utf-8"))["denoise"]["model"] == OWN
    again = make()
    assert again.inputs.model_name == OWN
    assert again.params.value("strength") == 0.75
    assert again.params.value("steps") == 3


def test_a_widget_closed_while_learning_stops_quietly(
    qtbot: Any, make: Make, viewer: ViewerModel, errors: list[str]
) -> None:
    viewer.add_image(noisy())
    make()
    widget = DenoiseWidget(viewer)
    learn(widget, steps=100_000)
    widget.run_button.click()
    learning(qtbot, widget)
    worker = widget.work._worker
    widget.deleteLater()
    qtbot.waitUntil(lambda: worker.abort_requested and not worker.is_running, timeout=60_000)
    qtbot.wait(50)
    assert len(viewer.layers) == 1
    assert errors == []


@pytest.mark.screen
def test_the_widget_in_the_real_viewer(make_napari_viewer: Any, qtbot: Any, make: Make) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(noisy(), name="cells")
    widget = make(viewer)
    viewer.window.add_dock_widget(widget, name="Denoise")
    settled(qtbot, widget)
    assert widget.preview._glimpse.restored is not None
    learn(widget, steps=100_000)
    widget.run_button.click()
    learning(qtbot, widget)
    widget.preview.enough_button.click()
    qtbot.waitUntil(lambda: not widget.work.busy, timeout=60_000)
    assert len(viewer.layers) == 2
    widget.after.add_residual()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=10_000)
