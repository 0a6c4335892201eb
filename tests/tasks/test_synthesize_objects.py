"""Objects that are painted: the same again for a seed, in tiles as whole, and true to labels."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.looks import TRAITS
from napari_medai.core.paint_maps import CHANNELS, GIVEN
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.painter_canvas import Canvas, painted_values
from napari_medai.tasks.painter_models import Knowledge
from napari_medai.tasks.styles import Style, measured_style
from napari_medai.tasks.synthesize import painted_by, synthesize_steps
from napari_medai.tasks.synthesize_objects import checked_labels, objects_steps
from napari_medai.tasks.synthetic import Synthetic

PLACES: list[tuple[int, ...]] = [(64, 80), (32, 40, 48)]
Painters = dict[int, Model]


def made(painters: Painters, shape: tuple[int, ...], number: int = 1, **options: Any) -> Synthetic:
    own = {name: options.pop(name) for name in ("labels", "style") if name in options}
    params = ObjectParams(**options)
    return finished(objects_steps(shape, params, number, model=painters[len(shape)], **own))


def values(one: Synthetic) -> np.ndarray:
    return np.asarray(one.image.data)


def same(one: Synthetic, other: Synthetic) -> bool:
    return (
        values(one).tobytes() == values(other).tobytes()
        and one.labels.tobytes() == other.labels.tobytes()
        and all((one.features[name] == other.features[name]).all() for name in one.features)
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """The maps that the painter was given, whole, by name."""
    told: list[dict[str, np.ndarray]] = []
    read = Canvas.read

    def remembered(canvas: Any, window: Any) -> np.ndarray:
        maps = read(canvas, window)
        told.append(dict(zip(CHANNELS, maps, strict=True)))
        return maps

    monkeypatch.setattr(Canvas, "read", remembered)
    return told


@pytest.mark.parametrize("shape", PLACES)
def test_an_image_depends_on_its_seed_and_its_number_alone(
    painters: Painters, shape: tuple[int, ...]
) -> None:
    kind, params = painted_by(painters[len(shape)]), ObjectParams(seed=5, images=3)
    all_three = finished(synthesize_steps(kind, shape, params))
    assert len(all_three) == 3
    for number, one in enumerate(all_three, 1):
        assert same(one, made(painters, shape, number, seed=5))
    first, second, third = all_three
    assert not same(first, second)
    assert not same(second, third)
    assert not same(first, made(painters, shape, seed=6))


@pytest.mark.parametrize("shape", PLACES)
def test_image_labels_and_features_belong_together(
    painters: Painters, shape: tuple[int, ...]
) -> None:
    one = made(painters, shape, count=4)
    assert values(one).shape == one.labels.shape == shape
    assert (values(one).dtype, one.labels.dtype) == (np.uint8, np.int32)
    assert values(one).std() > 5
    assert one.features["index"].tolist() == [1, 2, 3, 4]
    size = "area" if len(shape) == 2 else "volume"
    assert one.features[size].tolist() == np.bincount(one.labels.ravel())[1:].tolist()
    assert (one.told, one.notes, one.tree) == ("4 objects", (), None)
    assert one.record["found"]["objects"] == 4
    assert one.record["model"]["name"] == painters[len(shape)].name
    assert one.record["parameters"]["shape"] == list(shape)


def test_sizes_are_in_the_units_of_the_pixels(painters: Painters) -> None:
    spacing, units = {"Y": 0.5, "X": 0.25}, dict.fromkeys("YX", "micrometer")
    steps = objects_steps((64, 80), ObjectParams(), model=painters[2], spacing=spacing, units=units)
    one, plain = finished(steps), made(painters, (64, 80))
    assert (one.image.spacing, one.image.units) == (spacing, units)
    assert one.features["area"] == pytest.approx(plain.features["area"] / 8)
    assert values(one).tobytes() == values(plain).tobytes()


@pytest.mark.parametrize(
    ("shape", "tiles"), [((200, 260), (64, 120, 33)), ((33, 80, 72), (16, 24))]
)
def test_tiled_equals_untiled_to_one_gray_level(
    painters: Painters, shape: tuple[int, ...], tiles: tuple[int, ...]
) -> None:
    whole = made(painters, shape, tile=1000, count=9)
    assert values(whole).std() > 5
    for tile in tiles:
        one = made(painters, shape, tile=tile, count=9)
        assert (one.labels == whole.labels).all()
        away = np.abs(values(one).astype(int) - values(whole))
        assert away.max() <= 1
        # rounding, not seams
        assert (away > 0).mean() < 0.01


def test_tiles_are_used(painters: Painters, seen: list[dict[str, np.ndarray]]) -> None:
    made(painters, (200, 260), tile=64, count=9)
    assert len(seen) > 1


@pytest.mark.parametrize("shape", PLACES)
def test_given_labels_come_back_with_their_own_numbers(
    painters: Painters, painting: ModuleType, shape: tuple[int, ...]
) -> None:
    plain = painting.disks(shape)
    labels = np.where(plain > 0, plain.astype(np.int64) * 1000 - 990, 0)
    before = labels.copy()
    one = made(painters, shape, labels=labels)
    assert (labels == before).all()
    assert (one.labels == labels).all()
    assert one.labels.dtype == np.int32
    assert one.features["index"].tolist() == np.unique(labels)[1:].tolist()
    assert one.features["index"][0] == 10
    # numbers have no say in how objects look
    assert values(one).tobytes() == values(made(painters, shape, labels=plain)).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "bool"])
def test_labels_may_be_of_any_whole_numbers(
    painters: Painters, painting: ModuleType, dtype: str
) -> None:
    labels = (painting.disks((64, 64)) > 0).astype(dtype)
    one = made(painters, (64, 64), labels=labels)
    assert (one.labels == labels).all()
    read_only = labels.copy()
    read_only.flags.writeable = False
    assert same(made(painters, (64, 64), labels=read_only), one)


def test_largest_numbers_are_kept(painters: Painters) -> None:
    labels = np.zeros((40, 40), np.uint32)
    labels[5:15, 5:15], labels[20:30, 20:30] = 7, 2**31 - 1
    one = made(painters, (40, 40), labels=labels)
    assert np.unique(one.labels).tolist() == [0, 7, 2**31 - 1]


def test_other_labels_are_painted_otherwise(painters: Painters, painting: ModuleType) -> None:
    small, large = (painting.disks((64, 64), radius=r) for r in (4, 7))
    one, other = (made(painters, (64, 64), labels=x, variation=0) for x in (small, large))
    inside = (large > 0) & (small == 0)
    away = np.abs(values(one).astype(int) - values(other))
    assert away[inside].mean() > 1


@pytest.mark.parametrize("radius", [4, 6])
def test_the_look_is_of_an_image_with_objects_of_that_size(
    painters: Painters, painting: ModuleType, radius: int
) -> None:
    known = Knowledge.of(painters[2])
    labels = painting.disks((80, 80), radius=radius)
    for seed in range(4):
        look = made(painters, (80, 80), labels=labels, seed=seed).record["found"]["look"]
        assert look["diameter"] == pytest.approx(2 * radius, rel=0.1)
    diameters = [one.diameter for one in known.looks]
    assert min(diameters) < look["diameter"] * 1.01
    assert max(diameters) > 1.4 * min(diameters)


def test_of_many_looks_the_nearest_are_chosen_by_chance(
    painters: Painters, painting: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Knowledge.of(painters[2])
    looks = tuple(replace(known.looks[0], diameter=float(d)) for d in range(1, 101))
    many = replace(
        known, looks=looks, layouts=replace(known.layouts, images=known.layouts.images[:1] * 100)
    )
    monkeypatch.setattr(Knowledge, "of", lambda model: many)
    labels = painting.disks((80, 80), radius=7)
    found = {
        made(painters, (80, 80), labels=labels, seed=s).record["found"]["look"]["diameter"]
        for s in range(12)
    }
    assert len(found) > 3
    assert all(9 <= diameter <= 21 for diameter in found)


def test_traits_are_those_of_the_look_and_variation_moves_them(
    painters: Painters, painting: ModuleType, seen: list[dict[str, np.ndarray]]
) -> None:
    labels, scale = painting.disks((64, 64)), Knowledge.of(painters[2]).scales[0]
    style = measured_style(AxesArray(painting.photograph(labels, bright=90.0), "YX"))
    wanted = scale.normal(style.look.traits)
    for variation in (0, 0, 2):
        made(painters, (64, 64), labels=labels, style=style, variation=variation)
    told = [[float(maps[name].max()) for name in TRAITS] for maps in seen]
    assert told[0] == told[1] == pytest.approx(wanted)
    assert np.abs(np.subtract(told[2], wanted)).max() > 0.3
    assert all((maps[name] == maps[name][0, 0]).all() for maps in seen for name in TRAITS)
    assert np.abs(told[2]).max() <= 3


def test_noise_has_a_seed_of_its_own(
    painters: Painters, painting: ModuleType, seen: list[dict[str, np.ndarray]]
) -> None:
    labels = painting.disks((64, 64))
    for seed in (1, 2):
        made(painters, (64, 64), labels=labels, variation=0, seed=seed)
    for name in GIVEN[:4]:
        assert (seen[0][name] == seen[1][name]).all()
    assert (seen[0]["white"] != seen[1]["white"]).mean() > 0.99


def test_the_window_and_the_dtype_are_those_of_the_style(
    painters: Painters, painting: ModuleType
) -> None:
    labels = painting.disks((64, 64))
    photograph = painting.photograph(labels)
    options: dict[str, Any] = {"labels": labels, "variation": 0}
    # the same look in other values, so the same maps
    images = {
        name: values(
            made(painters, (64, 64), style=measured_style(AxesArray(image, "YX")), **options)
        )
        for name, image in {
            "plain": photograph.astype(np.float32),
            "uint16": photograph.astype(np.uint16) * 100 + 500,
            "uint32": photograph.astype(np.uint32) * 2**20 + 2**31,
            "int64": photograph.astype(np.int64) * 2**50,
            "float64": photograph / 1e6 - 4,
        }.items()
    }
    assert [str(image.dtype) for image in images.values()] == [
        "float32", "uint16", "uint32", "int64", "float32",
    ]  # fmt: skip
    plain = images["plain"].astype(float)
    assert images["uint16"] == pytest.approx(np.clip(plain * 100 + 500, 0, 65535), abs=1)
    wanted = np.clip(plain * 2**20 + 2**31, 0, 2**32 - 1)
    assert images["uint32"] == pytest.approx(wanted, abs=2**20 / 100)
    assert images["int64"] == pytest.approx(plain * 2**50, abs=2**50 / 100)
    assert images["float64"] == pytest.approx(plain / 1e6 - 4, abs=1e-6)


def test_values_stay_within_the_dtype(painters: Painters, painting: ModuleType) -> None:
    known = Knowledge.of(painters[2])
    for name in ("uint8", "int64", "uint64", "int32"):
        limits = np.iinfo(name)
        look = replace(known.looks[0], window=(float(limits.min), float(limits.max)))
        painted = np.array([[-3, 0, 0.5, 1, 3]], np.float32)
        found = painted_values(painted, look, np.dtype(name))[0].tolist()
        assert found[0] == found[1] == limits.min
        assert found[3] == found[4] <= limits.max
        assert found[3] > 0.999 * limits.max
        assert found == sorted(found)


def test_density_and_size_are_followed(painters: Painters) -> None:
    one = made(painters, (160, 160), density=4.0)
    assert len(one.features["index"]) == round(4.0 * 160 * 160 / 10_000)
    small, large = (made(painters, (160, 160), size=s, count=6) for s in (8, 24))
    areas = [float(np.median(m.features["area"])) for m in (small, large)]
    assert areas[1] > 4 * areas[0]


def test_more_than_fit_are_placed_as_far_as_they_do_and_that_is_said(painters: Painters) -> None:
    one = made(painters, (48, 48), count=900)
    placed = len(one.features["index"])
    assert 3 < placed < 900
    assert int(one.labels.max()) == placed
    assert one.notes == (
        f"{placed} of 900 objects found room; enlarge the image, or ask for fewer or smaller ones",
    )


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"count": 3}, "count means nothing where labels are given and is left out"),
        ({"count": 3, "size": 9}, "count and size mean nothing where labels are given and are "),
        ({"count": 3, "density": 1, "size": 9}, "count, density and size mean nothing"),
    ],
)
def test_what_means_nothing_for_given_labels_is_said(
    painters: Painters, painting: ModuleType, options: dict[str, Any], note: str
) -> None:
    labels = painting.disks((64, 64))
    one = made(painters, (64, 64), labels=labels, **options)
    assert len(one.notes) == 1
    assert one.notes[0].startswith(note)
    assert (one.labels == labels).all()


def test_steps_tell_how_far_it_is_and_can_be_left(painters: Painters) -> None:
    steps = objects_steps((200, 260), ObjectParams(tile=64), model=painters[2])
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration:
            break
    shares = [step.done / step.total for step in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(told) > 5
    assert told[0].text == "placing objects"
    left = objects_steps((64, 64), ObjectParams(), model=painters[2])
    next(left)
    left.close()


def zeros(*spots: tuple[int, float], dtype: str = "int32") -> np.ndarray:
    labels = np.zeros((40, 40), dtype)
    for place, value in spots:
        labels[place : place + 9, place : place + 9] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (zeros((4, 1), dtype="float32"), "must be whole numbers, got float32; convert the layer"),
        (zeros((4, -2)), r"must be 0 \(background\) or more, got -2; number the objects from 1"),
        (zeros(), "the labels are empty; draw an object, or leave them out"),
        (zeros((4, 2**40), dtype="int64"), "must be 2147483647 or less, got 1099511627776; number"),
        (zeros((4, 2**63), dtype="uint64"), "must be 2147483647 or less, got 9223372036854775808;"),
        (np.zeros((0, 40), int), "the labels are empty"),
        (np.array([["a"]]), "must be whole numbers, got <U1"),
    ],
)
def test_labels_that_cannot_be_painted_are_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_labels(labels)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((31, 64), {}, r"2 or 3 whole numbers of 32 or more, got \(31, 64\); for example"),
        ((32, 64, 64), {}, r"dots-2d paints images of 2 axes \(Y X\), but the shape .* have 3"),
        ((20_000, 20_000), {}, "may have 134.217.728 pixels, but .* ask for a smaller one"),
        ((40, 44), {"labels": zeros((4, 1))}, r"labels have the shape \(40, 40\), but \(40, 44\)"),
        ((40, 40), {"count": 3, "density": 2.5}, "a count of 3 and a density of 2.5 were given"),
        ((40, 40), {"size": 60}, r"\(40, 40\) is too small for objects of 60 pixels; enlarge"),
    ],
)
def test_what_cannot_be_painted_is_refused(
    painters: Painters, shape: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    own = {name: options[name] for name in options if name == "labels"}
    params = ObjectParams(**{name: options[name] for name in options if name not in own})
    with pytest.raises(InputError, match=message) as caught:
        finished(objects_steps(shape, params, model=painters[2], **own))
    assert "\n" not in str(caught.value)


def test_a_style_of_another_dimension_is_refused(painters: Painters, painting: ModuleType) -> None:
    labels = painting.disks((24, 40, 40))
    style = measured_style(AxesArray(painting.photograph(labels), "ZYX"))
    with pytest.raises(
        InputError, match=r"images of 2 axes \(Y X\), but the style has 3 \(Z Y X\);"
    ):
        made(painters, (40, 40), style=style)
    # a look alone suits both
    assert made(painters, (40, 40), style=Style(style.look, style.dtype)).told


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"count": -1}, "count must be 0 to 1000000, got -1"),
        ({"count": 1.5}, "count must be a whole number, got 1.5"),
        ({"seed": -1}, "seed must be 0 to 2147483647, got -1"),
        ({"seed": 2**31}, "seed must be 0 to 2147483647, got 2147483648"),
        ({"images": 0}, "images must be 1 to 100000, got 0"),
        ({"variation": 4}, "variation must be 0 to 3, got 4"),
        ({"density": float("nan")}, "density must be a number, got nan"),
        ({"device": "tpu"}, "device must be one of auto, cuda, mps, cpu, got 'tpu'"),
    ],
)
def test_parameters_that_cannot_be_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        ObjectParams(**params)
    assert str(caught.value) == message


def test_too_many_images_are_refused(painters: Painters) -> None:
    with pytest.raises(InputError, match=r"5000 images of the shape \(512, 512\) are too many"):
        next(synthesize_steps(painted_by(painters[2]), (512, 512), ObjectParams(images=5000)))
