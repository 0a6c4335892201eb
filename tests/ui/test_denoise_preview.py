"""The parts of the Denoise widget: the crop, its colours, the split view, the noise rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.tasks.denoise_params import DenoiseParams
from napari_medai.ui.denoise_crop import centre_of, coloured, crop_of
from napari_medai.ui.denoise_noise import NoiseRows
from napari_medai.ui.denoise_split import SplitView
from napari_medai.ui.layers import array_from_layer, place_of
from napari_medai.ui.source import Source


def source_of(layer: Image, axes: str, window: Mapping[str, slice] | None = None) -> Source:
    image = array_from_layer(layer, axes=axes, window=window)
    return Source(layer, image, place_of(layer, axes=axes, window=window), axes)


def plain(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    picture = np.full((height, width, 4), 255, np.uint8)
    picture[..., :3] = colour
    return picture


def painted(view: SplitView, x: int, y: int = 20) -> list[int]:
    """The red, green and blue that the view paints at a place."""
    colour = view.grab().toImage().pixelColor(x, y)
    return [colour.red(), colour.green(), colour.blue()]


# The crop


def test_the_crop_is_around_the_middle_of_the_canvas(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((5, 600, 700)), scale=(1, 2, 2), translate=(0, 10, 0))
    viewer.dims.set_point(0, 3)
    viewer.scene.camera.center = (0, 10 + 2 * 300, 2 * 400)
    centre = centre_of(viewer, layer)
    assert np.allclose(centre, (3, 300, 400))
    crop = crop_of(source_of(layer, "ZYX"), centre, "YX")
    assert crop.part == {"Z": 3, "Y": slice(172, 428), "X": slice(272, 528)}


def test_the_crop_stays_inside_and_counts_from_the_region(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((40, 600, 100)))
    window = {"Y": slice(250, 550), "Z": slice(10, 30)}
    crop = crop_of(source_of(layer, "ZYX", window), np.array([29, 540, -7.0]), "ZYX")
    assert crop.part == {"Z": slice(12, 20), "Y": slice(44, 300), "X": slice(0, 100)}
    stack = np.arange(8)[:, None, None] * np.ones((1, 2, 2))
    assert (crop.shown(stack) == 7).all()  # slice 29 is 19 of the region, and 12 + 7


def test_of_channels_the_one_on_show_is_taken_and_of_colours_green(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((3, 40, 50)))
    viewer.dims.set_point(0, 2)
    crop = crop_of(source_of(layer, "CYX"), centre_of(viewer, layer), "YX")
    assert crop.part["C"] == 2
    one = crop_of(source_of(layer, "CYX", {"C": slice(1, 2)}), centre_of(viewer, layer), "YX")
    assert one.part["C"] == 0
    rgb = Image(np.zeros((40, 50, 3), np.uint8), rgb=True)
    assert crop_of(source_of(rgb, "YXC"), np.array([20.0, 25.0]), "YX").part["C"] == 1


def test_the_colours_are_those_of_the_layer() -> None:
    layer = Image(np.zeros((4, 5)), colormap="green", contrast_limits=(100, 300))
    plane = np.array([[0.0, 100.0, 200.0], [300.0, 999.0, np.nan]])
    found = coloured(plane, layer)
    assert found[..., 1].tolist() == [[0, 0, 128], [255, 255, 0]]
    assert not found[..., [0, 2]].any()
    layer.gamma = 2.0
    assert coloured(plane, layer)[0, 2, 1] == 64
    rgb = Image(np.zeros((4, 5, 3), np.uint8), rgb=True)
    assert coloured(np.array([[0, 51, 255]], np.uint8), rgb)[0, :, 0].tolist() == [0, 51, 255]


# The split view


def test_both_sides_are_painted_on_their_sides_of_the_divider(qtbot: Any) -> None:
    view = SplitView("noisy", "restored")
    qtbot.addWidget(view)
    view.resize(400, 200)
    view.show_pictures(plain(50, 50, (200, 0, 0)), plain(50, 50, (0, 0, 200)))
    assert (view.frame.left(), view.frame.width()) == (100, 200)
    red, blue = [200, 0, 0], [0, 0, 200]
    assert painted(view, 120) == red
    assert painted(view, 280) == blue
    assert painted(view, 20) not in (red, blue)  # beside the pictures
    view.move_divider(0.9)
    assert painted(view, 270) == red
    assert painted(view, 295) == blue
    view.show_pictures(plain(50, 50, (200, 0, 0)), None)
    assert painted(view, 295) == red


def test_the_divider_is_dragged(qtbot: Any) -> None:
    view = SplitView("noisy", "restored")
    qtbot.addWidget(view)
    view.resize(400, 200)
    view.show_pictures(plain(50, 50, (9, 9, 9)), plain(50, 50, (9, 9, 9)))
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    for kind, x in ((QEvent.Type.MouseButtonPress, 150.0), (QEvent.Type.MouseMove, 160.0)):
        at = QPointF(x, 20)
        QApplication.sendEvent(view, QMouseEvent(kind, at, at, left, left, none))
    assert view.divider == pytest.approx(0.3)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.divider == pytest.approx(0.35)
    view.move_divider(7)
    assert view.divider == 1


# The noise


@pytest.fixture
def rows(qtbot: Any) -> NoiseRows:
    made = NoiseRows(DenoiseParams)
    qtbot.addWidget(made)
    return made


def camera(seed: int = 0, scale: float = 1.0) -> AxesArray:
    rng = np.random.default_rng(seed)
    light = 50 + 40 * np.sin(np.arange(160) / 25)[:, None] * np.ones((1, 150))
    return AxesArray(scale * (2 * rng.poisson(light) + rng.normal(100, 3, light.shape)), "YX")


def test_the_estimate_is_told_and_can_be_taken_over(qtbot: Any, rows: NoiseRows) -> None:
    assert not rows.use_button.isEnabled()
    assert rows.boxes["gain"].placeholderText() == "estimated"
    assert rows.noises(1) is None
    rows.look(camera(), "a")
    assert rows.told.text() == "Estimating the noise …"
    qtbot.waitUntil(lambda: rows.estimate is not None, timeout=10_000)
    assert rows.told.text().startswith("Noise: gain 2")
    known = rows.noises(1)
    assert known is not None
    assert known[0] is not None
    assert known[0].gain == pytest.approx(2, rel=0.15)
    assert rows.values() == {"gain": 0, "read_noise": 0, "dark": 0}
    rows.use_button.click()
    assert rows.values()["gain"] == pytest.approx(known[0].gain, rel=1e-5)
    assert rows.values()["dark"] == pytest.approx(known[0].offset, rel=1e-5)


def test_small_figures_keep_their_digits(qtbot: Any, rows: NoiseRows) -> None:
    rows.look(camera(scale=1e-6), "a")
    qtbot.waitUntil(lambda: rows.estimate is not None, timeout=10_000)
    rows.use_button.click()
    assert rows.values()["gain"] == pytest.approx(2e-6, rel=0.15)


def test_what_is_given_is_taken_for_every_channel(rows: NoiseRows) -> None:
    rows.boxes["gain"].setText("1.5")
    assert rows.boxes["read_noise"].placeholderText() == "0"
    given = CameraNoise(gain=1.5, offset=0.0, read_noise=0.0)
    assert rows.noises(2) == {0: given, 1: given}


def test_no_number_is_an_error_in_words(rows: NoiseRows) -> None:
    rows.boxes["gain"].setText("1,5")
    with pytest.raises(InputError, match="gain must be a number, got '1,5'"):
        rows.values()


def test_a_small_image_says_why_nothing_is_told(qtbot: Any, rows: NoiseRows) -> None:
    rows.look(AxesArray(np.zeros((8, 8)), "YX"), "a")
    qtbot.waitUntil(lambda: "at least 16 x 16" in rows.told.text(), timeout=10_000)
    assert not rows.use_button.isEnabled()
    rows.clear()
    assert rows.told.text() == ""


def test_each_channel_has_its_line(qtbot: Any, rows: NoiseRows) -> None:
    stack = np.stack([np.asarray(camera(seed).data) for seed in range(6)])
    rows.look(AxesArray(stack, "CYX"), "a")
    qtbot.waitUntil(lambda: rows.estimate is not None, timeout=20_000)
    lines = rows.told.text().splitlines()
    assert [line[:8] for line in lines[:2]] == ["0: Noise", "1: Noise"]
    assert lines[4:] == ["… and 2 more channels"]
