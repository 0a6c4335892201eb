"""How large objects are: given, estimated, hinted at by the pixel size, or assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.scale import Scale
from napari_medai.core.steps import Step, finished
from napari_medai.tasks.assembly import Layout
from napari_medai.tasks.finders import ObjectFinder
from napari_medai.tasks.magnification import Magnification, magnification_of
from napari_medai.tasks.segment import SegmentParams, segment_steps

Make = Callable[..., Any]
KNOWN = 12.0


def seen(image: AxesArray, model: Any, net: Any, *, diameter: float = 0.0) -> Magnification:
    layout = Layout(image, model.axes[1:])
    return finished(magnification_of(layout, model, ObjectFinder(net), diameter=diameter))


@pytest.mark.parametrize("given", [12.0, 6.0, 30.0])
def test_a_given_diameter_is_taken_without_a_look(model: Make, knowing: Make, given: float) -> None:
    net = knowing()
    found = seen(AxesArray(np.zeros((50, 50)), "YX"), model(), net, diameter=given)
    assert found.diameter == given
    assert found.source == "given"
    assert found.scales == (Scale.nearest(KNOWN / given),) * 2
    assert net.tiles == []


def test_looking_is_no_share_of_the_work(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    image = AxesArray(draw(discs((96, 96))), "YX")
    shown: list[Step] = []
    finished(
        magnification_of(Layout(image, "YX"), model(), ObjectFinder(knowing()), diameter=0),
        shown.append,
    )
    assert shown
    assert set(map(repr, shown)) == {repr(Step(0, 0, "finding the magnification"))}


@pytest.mark.parametrize(("given", "zoom"), [(12, 1), (8, 1), (19, 1), (7, 12 / 7), (24, 0.5)])
def test_sizes_the_model_knows_are_not_zoomed(
    model: Make, knowing: Make, given: float, zoom: float
) -> None:
    image = AxesArray(np.zeros((50, 50)), "YX")
    found = seen(image, model(zoom_range=1.6), knowing(), diameter=given)
    assert found.diameter == given
    assert found.scales == (Scale.nearest(zoom),) * 2
    # what the decoder and the smallest size are measured with
    assert found.diameters == pytest.approx((KNOWN / float(found.scales[0]),) * 2)
    assert found.typical_size == pytest.approx(np.pi / 4 * given**2)


@pytest.mark.parametrize("size", [4.0, 7.0, 12.0, 20.0, 40.0, 60.0])
def test_objects_of_any_size_are_measured(
    model: Make, knowing: Make, discs: Make, draw: Make, size: float
) -> None:
    """By a net that sees only objects of about the known size."""
    edge = int(8 * size)
    labels = discs((edge, edge), scale=size / 12)
    net = knowing(diameter=size, sees=1.7)
    found = seen(AxesArray(draw(labels), "YX"), model(zoom_range=1.3), net)
    assert found.source == "estimated"
    assert found.diameter == pytest.approx(size, rel=0.15)
    if 1 / 1.2 < size / KNOWN < 1.2:
        assert found.scales == (Scale(), Scale())
    else:
        assert float(found.scales[0]) == pytest.approx(KNOWN / size, rel=0.2)


def test_an_estimate_finds_all_objects(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    labels = discs((200, 200), scale=2.5)
    knowing(diameter=30.0, sees=1.7)
    image = AxesArray(draw(labels), "YX")
    found = finished(segment_steps(image, model(), SegmentParams()))
    same_objects(found.labels, labels)
    assert found.record["found"]["diameter_from"] == "estimated"
    assert found.record["found"]["diameter"] == pytest.approx(30, rel=0.15)


def test_the_pixel_size_says_where_to_look_first(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    """One look is enough there; and where nothing is found, it decides."""
    spacing, units = {"Y": 0.1, "X": 0.1}, {"Y": "micrometer", "X": "micrometer"}
    known = model(pixel_size=0.5)
    image = AxesArray(draw(discs((300, 300), scale=5)), "YX", spacing, units)
    net = knowing(diameter=60.0, sees=1.7)
    assert seen(image, known, net).diameter == pytest.approx(60, rel=0.15)
    assert len(net.tiles) == 1
    empty = AxesArray(np.zeros((300, 300)), "YX", spacing, units)
    found = seen(empty, known, knowing())
    assert found.source == "pixel size"
    assert found.diameter == pytest.approx(60)


@pytest.mark.parametrize(
    ("units", "step", "zoom"),
    [("nanometer", 250.0, 0.5), ("millimeter", 0.001, 2.0), ("micrometer", 0.5, 1.0)],
)
def test_units_of_the_pixel_size(
    model: Make, knowing: Make, units: str, step: float, zoom: float
) -> None:
    image = AxesArray(np.zeros((64, 64)), "YX", {"X": step}, {"X": units})
    found = seen(image, model(pixel_size=0.5), knowing())
    assert float(found.scales[0]) == pytest.approx(zoom)


@pytest.mark.parametrize(
    ("spacing", "units"),
    [
        ({}, {}),
        ({"X": 0.1}, {}),  # pixels
        ({"X": 0.1}, {"X": "second"}),
        ({"X": 1e-6}, {"X": "nanometer"}),  # beyond all optics: not believed
        ({"X": 50.0}, {"X": "meter"}),
    ],
)
def test_without_a_believable_pixel_size_the_known_one_is_assumed(
    model: Make, knowing: Make, spacing: dict[str, float], units: dict[str, str]
) -> None:
    image = AxesArray(np.zeros((64, 64)), "YX", spacing, units)
    found = seen(image, model(pixel_size=0.5), knowing())
    assert (found.source, found.diameter) == ("assumed", KNOWN)
    assert found.scales == (Scale(), Scale())


def test_only_windows_of_a_large_image_are_looked_at(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    labels = np.tile(discs((240, 240)), (8, 8))
    image = np.tile(draw(discs((240, 240))), (8, 8))
    net = knowing()
    found = seen(AxesArray(image, "YX"), model(), net)
    assert found.diameter == pytest.approx(12, rel=0.1)
    assert sum(int(np.prod(tile)) for tile in net.tiles) < 0.2 * labels.size


def test_a_stack_is_looked_at_in_its_middle(
    model: Make, knowing: Make, discs: Make, draw_planes: Make
) -> None:
    labels = np.stack([np.zeros((200, 200), np.int32)] * 2 + [discs((200, 200))] * 3)
    net = knowing()
    found = seen(AxesArray(draw_planes(labels), "ZYX"), model(), net)
    assert found.diameter == pytest.approx(12, rel=0.1)
    assert len(net.tiles) == 1


def test_thick_slices_are_zoomed_along_z(model: Make, knowing: Make) -> None:
    """So that a ball is a ball for the net."""
    image = AxesArray(np.zeros((20, 60, 60)), "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5})
    found = seen(image, model(axes="CZYX"), knowing(ndim=3), diameter=24)
    assert [float(scale) for scale in found.scales] == [2.0, 0.5, 0.5]
    assert found.diameters == (6.0, 24.0, 24.0)
    assert found.typical_size == pytest.approx(np.pi / 6 * 6 * 24 * 24)
