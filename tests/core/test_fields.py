"""Limits stand in annotations alone; values are held to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params, fields_of, left_out, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    cut: Annotated[float, {"min": 0.1, "max": 0.9, "help": "Where to cut"}] = 0.5
    many: Annotated[int, {"min": 0, "max": 9, "label": "How many"}] = 3
    least: Annotated[float, {"min": 0.0}] = 0.0
    device: Annotated[str, {"choices": ("auto", "cpu")}] = "auto"
    name: str = "x"

    def __post_init__(self) -> None:
        settle(self)


def test_a_field_has_all_that_its_annotation_says() -> None:
    fields = fields_of(Params)
    assert list(fields) == ["cut", "many", "least", "device", "name"]
    assert (fields["cut"].kind, fields["cut"].default) == (float, 0.5)
    assert (fields["cut"].label, fields["cut"].help) == ("Cut", "Where to cut")
    assert (fields["cut"].range, fields["many"].range) == ("0.1 to 0.9", "0 to 9")
    assert fields["many"].label == "How many"
    assert fields["name"].range == ""


def test_values_become_those_of_their_kind() -> None:
    params = Params(cut="0.25", many=np.float64(4.0), least=2)
    assert (params.cut, params.many, params.least) == (0.25, 4, 2.0)
    assert [type(value) for value in (params.cut, params.many, params.least)] == [float, int, float]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cut": 0.95}, "cut must be 0.1 to 0.9, got 0.95"),
        ({"cut": float("nan")}, "cut must be a number, got nan"),
        ({"cut": None}, "cut must be a number, got None"),
        ({"many": 2.5}, "many must be a whole number, got 2.5"),
        ({"many": True}, "many must be a whole number, got True"),
        ({"many": -1}, "many must be 0 to 9, got -1"),
        ({"least": -1}, "least must be 0 or more, got -1"),
        ({"device": "gpu"}, "device must be one of auto, cpu, got 'gpu'"),
    ],
)
def test_a_wrong_value_is_said(wrong: dict[str, Any], sentence: str) -> None:
    for made in (lambda: Params(**wrong), lambda: checked_params(Params, wrong)):
        with pytest.raises(InputError) as caught:
            made()
        assert str(caught.value) == sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    cut: Annotated[float, {"applies": "votes"}] = 0.5
    many: Annotated[int, {"applies": "votes"}] = 3
    least: Annotated[int, {"applies": "votes"}] = 1
    mirror: Annotated[str, {"applies": "classes"}] = "auto"
    tile: int = 0


@pytest.mark.parametrize(
    ("decoder", "given", "sentence"),
    [
        ("classes", {}, ""),
        ("classes", {"mirror": "on", "tile": 64, "cut": 0.5}, ""),
        ("classes", {"cut": 0.6}, "cut means nothing to organs and is left out"),
        (
            "classes",
            {"cut": 0, "least": 2},
            "cut and least mean nothing to organs and are left out",
        ),
        (
            "classes",
            {"cut": 0, "least": 2, "many": 4},
            "cut, many and least mean nothing to organs and are left out",
        ),
        ("votes", {"cut": 0, "mirror": "off"}, "mirror means nothing to organs and is left out"),
    ],
)
def test_what_changes_nothing_is_told(decoder: str, given: dict[str, Any], sentence: str) -> None:
    assert left_out(Some(**given), decoder, model="organs") == sentence


def test_a_name_that_is_not_there_is_said_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no parameter 'cutt'; did you mean cut\?"):
        checked_params(Params, {"cutt": 0.3})
    with pytest.raises(InputError, match="'quality'; use cut, many, least, device, name"):
        checked_params(Params, {"quality": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    on: Annotated[bool, {"help": "Whether"}] = False

    def __post_init__(self) -> None:
        settle(self)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, True), (np.True_, True), ("yes", True), ("Off", False), ("false", False)],
)
def test_a_switch_may_be_given_in_words(given: Any, meant: bool) -> None:
    assert Switched(on=given).on is meant


@pytest.mark.parametrize("wrong", [1, "maybe", None, ""])
def test_what_is_no_switch_is_said(wrong: Any) -> None:
    with pytest.raises(InputError) as caught:
        Switched(on=wrong)
    assert str(caught.value) == f"on must be yes or no, got {wrong!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0


def test_large_whole_numbers_are_told_in_full() -> None:
    with pytest.raises(InputError) as caught:
        checked_params(Large, {"seed": 2**31})
    assert str(caught.value) == "seed must be 0 to 2147483647, got 2147483648"
