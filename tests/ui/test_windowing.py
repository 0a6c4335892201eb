from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medai.core.windows import CT_WINDOWS
from napari_medai.ui import windowing
from napari_medai.ui.windowing import BY_VALUES, CUSTOM, OWN, WindowWidget, limits_of


def _scan() -> np.ndarray:
    """Air, water and bone, a slice each."""
    return np.stack([np.full((8, 8), value, np.int16) for value in (-1000, 0, 1500)])


@pytest.fixture
def opened(qtbot: Any) -> tuple[ViewerModel, WindowWidget]:
    viewer = ViewerModel()
    viewer.add_image(_scan(), name="CT", contrast_limits=(-160, 240))
    widget = WindowWidget(viewer)
    qtbot.addWidget(widget)
    return viewer, widget


def test_a_preset_changes_the_display_alone(opened: tuple[ViewerModel, WindowWidget]) -> None:
    viewer, widget = opened
    assert widget.presets.currentText() == OWN
    widget.choose("Lung")
    assert viewer.layers["CT"].contrast_limits == [-1350, 150]
    assert (widget.level_box.value(), widget.width_box.value()) == (-600, 1500)
    assert widget.presets.currentText() == "Lung"
    assert np.array_equal(viewer.layers["CT"].data, _scan())
    widget.choose(OWN)
    assert viewer.layers["CT"].contrast_limits == [-160, 240]


def test_numbers_are_a_window_of_ones_own(opened: tuple[ViewerModel, WindowWidget]) -> None:
    viewer, widget = opened
    widget.level_box.setValue(100)
    widget.width_box.setValue(60)
    assert viewer.layers["CT"].contrast_limits == [70, 130]
    assert widget.presets.currentText() == CUSTOM


def test_it_follows_changes_made_elsewhere(opened: tuple[ViewerModel, WindowWidget]) -> None:
    viewer, widget = opened
    viewer.layers["CT"].contrast_limits = (0, 80)
    assert widget.presets.currentText() == "Brain"


def test_by_the_image_looks_at_the_slice_on_show(
    opened: tuple[ViewerModel, WindowWidget],
) -> None:
    viewer, widget = opened
    viewer.add_image(np.stack([np.arange(400.0).reshape(20, 20)] * 2) * [[[1]], [[10]]], name="MR")
    assert widget.layers.currentText() == "MR"
    viewer.dims.set_current_step(0, 1)
    widget.choose(BY_VALUES)
    expected = np.percentile(10 * np.arange(400), windowing.PERCENTILES)
    assert viewer.layers["MR"].contrast_limits == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(5, 64, 48), (64, 48, 3), (64, 48)])
def test_limits_of_a_pyramid_and_of_colours(shape: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    data = np.random.default_rng(0).uniform(0, 1, shape)
    rgb = shape[-1] == 3
    halves = (slice(None, None, 2),) * 2 if rgb else (..., *(slice(None, None, 2),) * 2)
    levels = [data, data[halves]]
    layer = viewer.add_image(levels, multiscale=True, rgb=rgb)
    viewer.dims.set_current_step(0, 3)
    shown = levels[1][3] if len(shape) == 3 and not rgb else levels[1]
    assert limits_of(layer, viewer.dims) == pytest.approx(np.percentile(shown, (1, 99.5)))


def test_values_that_are_no_numbers_are_left_out() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.array([[np.nan, 1.0], [np.inf, 2.0]]), contrast_limits=(0, 1))
    low, high = limits_of(layer, viewer.dims)
    assert 1 <= low < high <= 2
    layer.data = np.full((2, 2), np.nan)
    assert limits_of(layer, viewer.dims) == (0, 1)


def test_without_a_layer_nothing_can_be_chosen(qtbot: Any) -> None:
    widget = WindowWidget(ViewerModel())
    qtbot.addWidget(widget)
    assert not widget.presets.isEnabled()
    widget.choose("Lung")


def test_a_removed_layer_is_let_go(opened: tuple[ViewerModel, WindowWidget]) -> None:
    viewer, widget = opened
    layer = viewer.layers["CT"]
    viewer.layers.remove(layer)
    assert not widget.presets.isEnabled()
    layer.contrast_limits = (0, 1)


def test_every_window_has_a_command() -> None:
    for window in CT_WINDOWS:
        assert callable(getattr(windowing, window.name.lower().replace(" ", "_")))


@pytest.mark.screen
def test_the_menu_shows_the_chosen_layers_by_a_window(
    make_napari_viewer: Callable[..., Any],
) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer()
    scan, other = viewer.add_image(_scan()), viewer.add_image(_scan())
    viewer.layers.selection = {scan}
    before = list(other.contrast_limits)
    get_app_model().commands.execute_command("napari-medai.window_liver").result()
    assert scan.contrast_limits == [-45, 105]
    assert other.contrast_limits == before
