"""Training a model of classes: what comes out, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.models.registry import find_model
from napari_medai.models.verify import verify_model
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.train import TrainParams, train_steps
from napari_medai.tasks.verify import full_check

QUICK = TrainParams(steps=3, batch=1, device="cpu")


def organs(seed: int, *, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Pair:
    """A bright ball (1) beside a dim box (2) in noise."""
    rng = np.random.default_rng(seed)
    shape = (24, 32, 32)
    z, y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint8)
    corner = rng.integers(3, 7, 3)
    labels[tuple(slice(c, c + 9) for c in corner)] = 2
    centre = np.array([14, 22, 22]) + rng.integers(-2, 3, 3)
    labels[(z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= 36] = 1
    image = np.choose(labels, (100.0, 900.0, 500.0)) + rng.normal(0, 30, shape)
    steps = dict(zip("ZYX", spacing, strict=True))
    units = dict.fromkeys("ZYX", "millimeter")
    return Pair(AxesArray(image.astype(np.float32), "ZYX", steps, units), labels, f"organs {seed}")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [organs(seed) for seed in range(4)]


def trained(pairs: list[Pair], name: str, **options: object) -> Model:
    given = {"classes": ("ball", "box"), **options}
    params = given.pop("params", QUICK)
    return finished(train_steps(pairs, params, name=name, **given))  # type: ignore[arg-type]


def test_it_learns_and_can_go_on(pairs: list[Pair]) -> None:
    params = TrainParams(steps=60, batch=1, device="cpu", learning_rate=0.01)
    model = trained(pairs, "organs", params=params)
    assert verify_model("organs") == []
    assert full_check("organs") == []
    assert model.config["spacing"] == [1.0, 1.0, 1.0]
    assert model.config["intensity"] == {"zscore": 5.0}
    assert "mirror" not in model.config
    assert [entry["name"] for entry in model.config["classes"]] == ["ball", "box"]
    assert set(model.config["scores"]["held out"]) == {"Dice ball", "Dice box"}
    assert "ball, box" in model.card
    state = torch.load(model.weights_path, weights_only=True)
    assert not [name for name in state if name.startswith("auxiliary")]
    new = organs(9)
    found = finished(segment_steps(new.image, model, SegmentParams(device="cpu")))
    for number in (1, 2):
        true, seen = new.labels == number, np.asarray(found.labels) == number
        assert 2 * (true & seen).sum() / (true.sum() + seen.sum()) > 0.8
    more = trained(pairs, "more", start=find_model("organs"), classes=())
    assert more.config["classes"] == model.config["classes"]
    assert more.config["recipe"]["from"] == "organs"
    for options in ({"classes": ("a", "b")}, {"classes": (), "window": (0.0, 1.0)}):
        with pytest.raises(InputError, match=r"keeps its own classes \(ball, box\)"):
            trained(pairs, "other", start=find_model("organs"), **options)


def test_the_same_seed_gives_the_same_weights(pairs: list[Pair]) -> None:
    first, second = (
        torch.load(trained(pairs, name).weights_path, weights_only=True) for name in ("a1", "a2")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_thick_slices_are_not_folded() -> None:
    thick = [organs(seed, spacing=(5.0, 1.0, 1.0)) for seed in range(2)]
    model = trained(thick, "thick-organs", window=(100.0, 900.0))
    assert model.spec.stride == (1, 8, 8)
    assert model.config["spacing"] == [5.0, 1.0, 1.0]
    assert model.config["intensity"] == {"window": [100.0, 900.0]}
    assert full_check("thick-organs") == []


def test_spacings_are_brought_to_their_median(pairs: list[Pair]) -> None:
    from napari_medai.tasks.train_classes import ClassCourse, class_spec

    mixed = [*pairs[:2], organs(7, spacing=(2.0, 1.0, 1.0))]
    course = ClassCourse(class_spec("mixed", mixed, "ZYX", 1, classes=("ball", "box")))
    assert [example.zoom for example in course.examples(mixed)] == [
        (1.0, 1.0, 1.0),
        (1.0, 1.0, 1.0),
        (2.0, 1.0, 1.0),
    ]
    assert course.objective(course.examples(mixed), []).crop == (24, 32, 32)


def test_pictures_may_lie_any_way() -> None:
    flat = [
        Pair(AxesArray(p.image.data[14], "YX"), p.labels[14], p.name)
        for p in (organs(seed) for seed in range(3))
    ]
    model = trained(flat, "flat")
    assert model.config["mirror"] == "YX"
    assert "spacing" not in model.config
    found = finished(segment_steps(flat[0].image, model, SegmentParams(device="cpu", mirror="on")))
    assert found.notes == ()
    assert set(np.unique(found.labels)) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (("ball",), r"organs 0: labels must be from 0 to 1 for 2 classes .*, got 2; name every"),
        (("ball", "ball"), "classes need different names"),
        (("ball", " "), "classes need different names"),
        (tuple(f"c{n}" for n in range(64)), "at most 63 classes apart, got 64"),
    ],
)
def test_classes_that_do_not_fit(
    pairs: list[Pair], classes: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        trained(pairs, "never", classes=classes)
    with pytest.raises(InputError):
        find_model("never")


def test_a_class_that_no_label_holds_is_refused(pairs: list[Pair]) -> None:
    with pytest.raises(InputError, match="no label holds the class tumour; leave it out"):
        trained(pairs, "never", classes=("ball", "box", "tumour"))


def test_one_name_is_one_class(pairs: list[Pair]) -> None:
    one = [Pair(p.image, (p.labels == 1).astype(np.uint8), p.name) for p in pairs]
    model = trained(one, "one-class", classes="ball", mirror="x")
    assert [entry["name"] for entry in model.config["classes"]] == ["ball"]
    assert model.config["mirror"] == "X"


@pytest.mark.parametrize("options", [{"window": (0.0, 1.0)}, {"mirror": "X"}])
def test_a_window_is_not_for_objects(pairs: list[Pair], options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="window and mirror are for models of classes"):
        trained(pairs, "never", classes=(), **options)


def test_a_model_of_other_dimensions_is_no_start(pairs: list[Pair], class_package: Path) -> None:
    flat = [Pair(AxesArray(p.image.data[14], "YX"), p.labels[14], p.name) for p in pairs]
    with pytest.raises(InputError, match="halves works on axes Z Y X, but the training images"):
        trained(flat, "never", classes=(), start=read_model(class_package))


def test_what_is_trained_on_says_where_it_began(pairs: list[Pair], class_package: Path) -> None:
    model = trained(pairs, "begun", classes=(), start=read_model(class_package))
    assert model.config["training_data"].startswith("Images of one's own, with the weights of ha")
    assert model.config["recipe"]["from"] == "halves"
    assert model.config["recipe"]["learning_rate"] == pytest.approx(0.9e-3)
    assert model.config["notice"] == "Not a medical device; research use only."
