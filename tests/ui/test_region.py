from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medai.core.errors import InputError
from napari_medai.ui.region import Region, region_window


def window(viewer: ViewerModel, region: Region, axes: str, shapes: Any = None) -> dict[str, slice]:
    return region_window(region, viewer.layers[0], axes, viewer=viewer, shapes=shapes)


def test_the_whole_layer_is_not_cut(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((3, 20, 30)))
    assert window(viewer, Region.WHOLE, "ZYX") == {}


def test_the_current_slice_is_where_the_sliders_stand(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((4, 2, 5, 20, 30)), scale=(2, 1, 0.5, 0.1, 0.1))
    viewer.dims.set_current_step((0, 1, 2), (3, 1, 2))
    assert window(viewer, Region.SLICE, "TCZYX") == {"T": slice(3, 4), "Z": slice(2, 3)}
    viewer.dims.ndisplay = 3
    assert window(viewer, Region.SLICE, "TCZYX") == {"T": slice(3, 4)}


def test_the_slice_of_a_moved_layer_beside_a_larger_one(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((4, 20, 30)), translate=(10, 0, 0), units="micrometer")
    viewer.add_image(np.zeros((30, 20, 30)), units="micrometer")
    viewer.dims.set_point(0, 12)
    assert window(viewer, Region.SLICE, "ZYX") == {"Z": slice(2, 3)}
    viewer.dims.set_point(0, 5)
    with pytest.raises(InputError, match="outside of layer"):
        window(viewer, Region.SLICE, "ZYX")


def test_a_slice_across_the_planes_is_refused(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((4, 20, 30)))
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(InputError, match="slices are along YX"):
        window(viewer, Region.SLICE, "ZYX")


def test_what_is_visible_is_cut_and_only_this_slice(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((4, 20, 30)))
    viewer.dims.set_current_step(0, 2)
    assert window(viewer, Region.VISIBLE, "ZYX") == {"Z": slice(2, 3)}
    layer.corner_pixels = np.array([[0, 3, 5], [0, 12, 40]])
    assert window(viewer, Region.VISIBLE, "ZYX") == {
        "Z": slice(2, 3),
        "Y": slice(3, 13),
        "X": slice(5, 30),
    }
    layer.corner_pixels = np.array([[0, 19, 5], [0, 19, 40]])
    with pytest.raises(InputError, match="nothing of layer"):
        window(viewer, Region.VISIBLE, "ZYX")


def test_what_is_visible_of_a_pyramid_is_counted_in_full_pixels(viewer: ViewerModel) -> None:
    full = np.zeros((64, 64))
    layer = viewer.add_image([full, full[::4, ::4]], multiscale=True)
    layer.corner_pixels = np.array([[2, 0], [7, 15]])
    viewer.scene.camera.center = (0, 32, 32)
    assert layer.data_level == 1
    assert window(viewer, Region.VISIBLE, "YX") == {"Y": slice(8, 32)}


@pytest.mark.screen
def test_what_is_visible_when_zoomed_in(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    full = np.zeros((2048, 3072), np.uint8)
    place = {"scale": (0.5, 0.5), "translate": (10, 0), "units": "micrometer"}
    viewer.add_image(full, **place)
    pyramid = viewer.add_image([full, full[::2, ::2], full[::4, ::4]], multiscale=True, **place)
    viewer.window._qt_window.resize(900, 700)
    viewer.scene.camera.zoom = 16
    viewer.scene.camera.center = (0, 300, 500)
    viewer.window.screenshot(canvas_only=True, flash=False)
    seen = window(viewer, Region.VISIBLE, "YX")
    height, width = np.array(viewer.canvas.size) / 16 / 0.5
    assert seen["Y"].stop - seen["Y"].start == pytest.approx(height, abs=2)
    assert seen["X"].stop - seen["X"].start == pytest.approx(width, abs=2)
    assert seen["Y"].start <= 580 < seen["Y"].stop
    zoomed = region_window(Region.VISIBLE, pyramid, "YX", viewer=viewer)
    assert {a: (cut.start, cut.stop) for a, cut in zoomed.items()} == {
        a: (pytest.approx(cut.start, abs=1), pytest.approx(cut.stop, abs=1))
        for a, cut in seen.items()
    }


def test_a_rectangle_is_mapped_through_both_layers(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((20, 30)), scale=(0.5, 0.5), translate=(100, 0))
    shapes = viewer.add_shapes(
        [[[0, 0], [0, 4], [2, 4], [2, 0]]], scale=(2, 2), translate=(101, 0.4)
    )
    # rows 101 to 105 of the world are 2 to 10 of the image, columns 0.4 to 8.4 are 0.8 to 16.8
    assert window(viewer, Region.SHAPES, "YX", shapes) == {"Y": slice(2, 11), "X": slice(1, 17)}


def test_several_rectangles_have_one_box_and_a_selection_counts(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((20, 30)))
    boxes = [[[2, 2], [2, 5], [5, 5], [5, 2]], [[8, 8], [8, 40], [9, 40], [9, 8]]]
    shapes = viewer.add_shapes(boxes)
    assert window(viewer, Region.SHAPES, "YX", shapes) == {"Y": slice(2, 10), "X": slice(2, 30)}
    shapes.selected_data = {0}
    assert window(viewer, Region.SHAPES, "YX", shapes) == {"Y": slice(2, 6), "X": slice(2, 6)}


def test_a_rectangle_on_one_slice_stands_for_the_stack(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((4, 20, 30)))
    flat = viewer.add_shapes([[[2, 2], [2, 5], [5, 5], [5, 2]]])
    deep = viewer.add_shapes([[[1, 2, 2], [1, 2, 5], [1, 5, 5], [1, 5, 2]]])
    expected = {"Y": slice(2, 6), "X": slice(2, 6)}
    assert window(viewer, Region.SHAPES, "ZYX", flat) == expected
    assert window(viewer, Region.SHAPES, "ZYX", deep) == expected


def test_shapes_that_bound_nothing_are_refused(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((20, 30)), name="cells")
    with pytest.raises(InputError, match="no Shapes layer"):
        window(viewer, Region.SHAPES, "YX")
    with pytest.raises(InputError, match="has no shapes"):
        window(viewer, Region.SHAPES, "YX", viewer.add_shapes())
    away = viewer.add_shapes([[[50, 2], [50, 5], [60, 5], [60, 2]]])
    with pytest.raises(InputError, match="outside of layer 'cells' along Y"):
        window(viewer, Region.SHAPES, "YX", away)
    small = viewer.add_shapes([[[2.2, 2.2], [2.2, 2.4], [2.4, 2.4], [2.4, 2.2]]])
    with pytest.raises(InputError, match="the region is empty along Y"):
        window(viewer, Region.SHAPES, "YX", small)


def test_units_of_layers_may_differ(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((20, 30)), units="micrometer")
    box = np.array([[2, 2], [2, 5], [5, 5], [5, 2]]) * 1000
    shapes = viewer.add_shapes([box], units="nanometer")
    assert window(viewer, Region.SHAPES, "YX", shapes) == {"Y": slice(2, 6), "X": slice(2, 6)}
