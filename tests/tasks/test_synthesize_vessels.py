"""Images of vessels: the same again for a seed, and true to their tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.core.vessel_masks import branch_labels, segment_labels, vessel_mask
from napari_medai.tasks.synthesize import GROWN, kind_of, kinds, synthesize_steps
from napari_medai.tasks.synthesize_vessels import vessels_steps
from napari_medai.tasks.synthetic import Synthetic, check_held, checked_shape, shape_wanted
from napari_medai.tasks.vessel_params import GROWTH, VesselParams

FEW: dict[str, Any] = {"segments": 25, "radius": 0.8}
PLACES = [(72, 80), (24, 36, 40)]


def made(shape: Any = (72, 80), number: int = 1, **params: Any) -> Synthetic:
    return finished(vessels_steps(shape, VesselParams(**FEW | params), number))


def same(one: Synthetic, other: Synthetic) -> bool:
    return (
        np.asarray(one.image.data).tobytes() == np.asarray(other.image.data).tobytes()
        and one.labels.tobytes() == other.labels.tobytes()
        and all((one.features[name] == other.features[name]).all() for name in one.features)
    )


@pytest.mark.parametrize("shape", PLACES)
def test_an_image_depends_on_its_seed_and_its_number_alone(shape: tuple[int, ...]) -> None:
    params = VesselParams(**FEW, seed=5, images=3)
    all_three = finished(synthesize_steps(GROWN, shape, params))
    assert len(all_three) == 3
    for number, one in enumerate(all_three, 1):
        assert same(one, made(shape, number, seed=5))
    first, second, third = all_three
    assert not same(first, second)
    assert not same(second, third)
    assert not same(first, made(shape, seed=6))


@pytest.mark.parametrize("shape", PLACES)
def test_labels_and_features_are_those_of_the_tree(shape: tuple[int, ...]) -> None:
    one = made(shape, tortuosity=0.4)
    tree = one.tree
    assert tree is not None
    assert tree.shape == shape == one.image.shape
    assert one.labels.dtype == np.int32
    assert (one.labels == segment_labels(tree)).all()
    assert ((one.labels > 0) == vessel_mask(tree)).all()
    assert one.features["index"].tolist() == list(range(1, 26))
    assert (one.features["radius"] == tree.radii).all()
    assert (one.features["length"] == tree.lengths).all()
    assert one.record["found"]["segments"] == 25 == len(tree.segments)
    assert one.record["found"]["fraction"] == pytest.approx((one.labels > 0).mean(), abs=1e-6)


def test_branches_may_have_the_numbers() -> None:
    one = made(numbering="branches", tortuosity=0.5)
    assert one.tree is not None
    assert (one.labels == branch_labels(one.tree)).all()
    branches = int(one.tree.branches.max()) + 1
    assert 1 < branches < 25
    assert one.features["index"].tolist() == list(range(1, branches + 1))
    assert one.told == f"25 segments, {branches} branches"


def test_all_vessels_may_have_one_number() -> None:
    one = made(numbering="tree")
    assert one.tree is not None
    assert one.labels.dtype == np.int32
    assert (one.labels == vessel_mask(one.tree)).all()
    assert one.features["index"].tolist() == [1]
    assert one.features["length"][0] == pytest.approx(one.tree.lengths.sum())


@pytest.mark.parametrize("shape", PLACES)
def test_vessels_are_brighter_than_what_is_around(shape: tuple[int, ...]) -> None:
    one = made(shape, photons=0, fading=0)
    values = np.asarray(one.image.data)
    assert values.dtype == np.float32
    assert values[one.labels > 0].mean() > 2 * values[one.labels == 0].mean()
    dark = made(shape, contrast=-50)
    values = np.asarray(dark.image.data)
    assert values[one.labels > 0].mean() < values[one.labels == 0].mean()


def test_the_look_leaves_the_truth_alone_and_growth_changes_it() -> None:
    plain = made(segments=90)
    shown = made(segments=90, blur=2, contrast=90, photons=50, texture=0)
    assert (shown.labels == plain.labels).all()
    assert not same(shown, plain)
    others = {
        "segments": 20,
        "radius": 0.9,
        "exponent": 2.5,
        "variation": 0.4,
        "tortuosity": 0.2,
        "crossing": True,
    }
    assert set(others) == set(GROWTH)
    for name, value in others.items():
        assert (made(**{"segments": 90, name: value}).labels != plain.labels).any(), name


def test_noise_is_that_of_the_light_asked_for() -> None:
    flat: dict[str, Any] = {"contrast": 0, "background": 80, "texture": 0, "tissue": 0, "blur": 0}
    values = np.asarray(made((200, 200), photons=20, read_noise=3, **flat).image.data)
    # 20 photo-electrons are a light of 80, so one of them is 4
    assert values.mean() == pytest.approx(100 + 80, rel=0.02)
    assert values.var() == pytest.approx(4 * 80 + 9, rel=0.05)
    assert np.unique(made(photons=0, **flat).image.data).tolist() == [80]
    assert np.unique(made(**flat | {"background": 0, "read_noise": 0}).image.data).tolist() == [0]


def test_lengths_are_in_the_units_of_the_pixels() -> None:
    spacing, units = dict.fromkeys("YX", 0.25), dict.fromkeys("YX", "micrometer")
    params = VesselParams(**FEW)
    one = finished(vessels_steps((72, 80), params, spacing=spacing, units=units))
    assert (one.image.spacing, one.image.units) == (spacing, units)
    plain = made()
    for name, times in (("radius", 0.25), ("length", 0.25), ("end-x", 1), ("parent", 1)):
        assert one.features[name] == pytest.approx(times * plain.features[name]), name
    assert (one.image.data == plain.image.data).all()


def test_what_finds_no_room_is_said() -> None:
    one = made((32, 32), segments=400)
    assert one.tree is not None
    placed = len(one.tree.segments)
    assert 1 <= placed < 400
    assert len(one.features["index"]) == placed
    assert one.notes == (
        f"{placed} of 400 segments found room; enlarge the shape, or ask for fewer or thinner ones",
    )
    assert made().notes == ()


def test_steps_tell_how_far_it_is_and_can_be_left() -> None:
    steps = synthesize_steps(GROWN, (72, 80), VesselParams(**FEW, images=2))
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration:
            break
    shares = [step.done / step.total for step in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    # one at each end that grew, at least
    assert len(told) > 26
    assert {step.text for step in told} == {"vessels 1 of 2", "vessels 2 of 2"}
    left = vessels_steps((72, 80), VesselParams(**FEW))
    next(left)
    left.close()


def test_the_record_says_all_that_the_image_depends_on() -> None:
    record = made(seed=9, images=4).record
    assert (record["task"], record["model"]) == ("synthesize", {"name": "vessels"})
    assert record["parameters"]["shape"] == [72, 80]
    values = {name: value for name, value in record["parameters"].items() if name != "shape"}
    assert VesselParams(**values) == VesselParams(**FEW, seed=9, images=4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"segments": 0}, "segments must be 1 to 5000, got 0"),
        ({"segments": 5001}, "segments must be 1 to 5000, got 5001"),
        ({"images": 0}, "images must be 1 to 100000, got 0"),
        ({"seed": -1}, "seed must be 0 to 2147483647, got -1"),
        ({"seed": 2**31}, "seed must be 0 to 2147483647, got 2147483648"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"radius": 0}, "radius must be 0.1 to 1000, got 0"),
        ({"crossing": 2}, "crossing must be yes or no, got 2"),
        ({"numbering": "all"}, "numbering must be one of segments, branches, tree, got 'all'"),
    ],
)
def test_parameters_that_cannot_be_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        VesselParams(**params)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "shape", [(15, 80), (64,), (20, 20, 20, 20), (64.5, 64), (), 64, "ab", None, (True, 64)]
)
def test_shapes_that_cannot_be_are_refused(shape: Any) -> None:
    with pytest.raises(InputError) as caught:
        checked_shape(shape, least=16)
    assert str(caught.value) == (
        f"shape must be 2 or 3 whole numbers of 16 or more, got {shape!r}; for example (512, 512) "
        "or (128, 128, 128)"
    )
    with pytest.raises(InputError, match="shape must be"):
        next(vessels_steps(shape, VesselParams()))


def test_images_too_large_or_too_many_are_refused() -> None:
    with pytest.raises(InputError, match=r"the shape \(20000, 20000\) makes 400.000.000; ask for"):
        next(synthesize_steps(GROWN, (20_000, 20_000), VesselParams()))
    many = VesselParams(images=5000)
    with pytest.raises(InputError, match=r"5000 images of the shape \(512, 512\) are too many"):
        next(synthesize_steps(GROWN, (512, 512), many))
    check_held((512, 512), 1024)


def test_a_shape_may_be_told_by_its_number_of_axes() -> None:
    assert shape_wanted() == shape_wanted(None, 2) == (512, 512)
    assert shape_wanted(None, 3) == (128, 128, 128)
    assert shape_wanted((40, 50), 2) == shape_wanted((40, 50)) == (40, 50)
    with pytest.raises(InputError, match=r"the shape \(40, 50\) has 2 axes, but ndim is 3; leave"):
        shape_wanted((40, 50), 3)
    for wrong in (1, 4, True, "3"):
        with pytest.raises(InputError, match=f"ndim must be 2 or 3, got {wrong!r}"):
            shape_wanted(None, wrong)


@pytest.mark.parametrize(
    ("spacing", "units", "told"),
    [
        ({"Y": 1.0, "X": 2.0}, {}, "they are 1, 2; give one"),
        ({"Y": 2.0}, {}, "they are 1, 2; give one"),
        ({}, {"Y": "micrometer", "X": "nanometer"}, "they are 1 micrometer, 1 nanometer; give one"),
    ],
)
def test_pixels_that_are_longer_along_an_axis_are_refused(
    spacing: dict[str, float], units: dict[str, str], told: str
) -> None:
    with pytest.raises(InputError, match=f"vessels are round in pixels.*{told}"):
        next(vessels_steps((40, 40), VesselParams(), spacing=spacing, units=units))


def test_a_vessel_too_wide_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not fit into \(40, 40\); ask for"):
        made((40, 40), radius=30)


@pytest.mark.parametrize("name", ["nerves", "", 3, None, ["vessels"]])
def test_a_name_of_nothing_is_answered_with_what_there_is(name: Any) -> None:
    with pytest.raises(InputError) as caught:
        kind_of(name)
    assert repr(name) in str(caught.value) or not name
    assert str(caught.value).endswith(", ".join(kinds()))
    assert "vessels" in kinds()


def test_vessels_are_not_painted() -> None:
    with pytest.raises(InputError, match="vessels are grown, not painted: leave out labels"):
        kind_of("vessels", labels=np.ones((40, 40), np.int32))
