"""What painters know beside their weights is written and read, and broken packages are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.paint_maps import CHANNELS
from napari_medai.models.model import Model
from napari_medai.tasks.painter_models import Knowledge, painter_spec


def with_config(model: Model, **config: Any) -> Model:
    return replace(model, spec=replace(model.spec, config={**model.config, **config}))


@pytest.mark.parametrize("ndim", [2, 3])
def test_knowledge_is_written_and_read(
    painting: ModuleType, painters: dict[int, Model], ndim: int
) -> None:
    known, wanted = Knowledge.of(painters[ndim]), painting.knowledge(ndim)
    assert known.as_config() == wanted.as_config()
    assert known.layouts == wanted.layouts
    assert known.dtype == np.uint8
    for one, other in zip(known.looks, wanted.looks, strict=True):
        assert one.traits == pytest.approx(other.traits, rel=1e-5)
        assert one.window == pytest.approx(other.window)
    for scale, same in zip(known.scales, wanted.scales, strict=True):
        assert scale.mean == pytest.approx(same.mean, rel=1e-5)
        assert scale.sd == pytest.approx(same.sd, rel=1e-5)


def test_knowledge_is_thinned_evenly_and_stays_together(painting: ModuleType) -> None:
    few = painting.knowledge()
    look, layout = few.looks[0], few.layouts.images[0]
    many = replace(
        few,
        looks=tuple(replace(look, diameter=n) for n in range(1, 151)),
        layouts=replace(few.layouts, images=tuple(replace(layout, count=n) for n in range(1, 151))),
    )
    thin = many.thinned(10)
    kept = [look.diameter for look in thin.looks]
    assert (len(kept), kept[0], kept[-1]) == (10, 1, 150)
    assert set(np.diff(kept)) <= {16, 17}
    assert [layout.count for layout in thin.layouts.images] == kept
    assert few.thinned(10) is few
    assert len(many.thinned().looks) == 128


def _without(*keys: Any) -> Callable[[Any], None]:
    def change(told: Any) -> None:
        for key in keys[:-1]:
            told = told[key]
        del told[keys[-1]]

    return change


def _with(value: Any, *keys: Any) -> Callable[[Any], None]:
    def change(told: Any) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("looks"), "cannot be read .*'looks'"),
        (_without("scales", 0), "cannot be read"),
        (_without("looks", 1), "has 2 looks for 3 layouts"),
        (_without("looks", 0, "glow"), "cannot be read .*'glow'"),
        (_with(None, "looks", 0), "cannot be read"),
        (_with([0, 0], "looks", 0, "window"), "a window that rises"),
        (_with([0, 1], "looks", 0, "texture"), "7 quantiles of each trait"),
        (_with([1.0], "scales", 0, "mean"), "a scale has a finite mean"),
        (_with({"mean": [0], "sd": [1]}, "scales", 0), "scales of 1 and 2 traits, not of 5 and 2"),
        (_with("object", "dtype"), "images of object, not of numbers"),
        (_with("float99", "dtype"), "cannot be read .*float99"),
        (_with(3, "dtype"), "cannot be read"),
        (_with([], "layouts", "images"), "cannot be read .*statistics"),
        (_without("layouts", "images", 0, "touching"), "cannot be read .*touching"),
        (_with("many", "layouts", "images", 0, "touching"), "cannot be read"),
        (_with([1, 2], "layouts", "images", 2, "diameters"), "numbers in layout 2 that no layout"),
        (_with([0] * 7, "layouts", "images", 2, "diameters"), "numbers in layout 2"),
        (_with(1e9, "layouts", "images", 0, "density"), "numbers in layout 0"),
        (_with(float("nan"), "layouts", "images", 1, "middle"), "numbers in layout 1"),
    ],
)
def test_a_broken_package_is_said_in_one_sentence(
    painters: dict[int, Model], change: Callable[[Any], None], message: str
) -> None:
    told = json.loads(painters[2].config["learned"])
    change(told)
    broken = with_config(painters[2], learned=json.dumps(told))
    with pytest.raises(
        InputError, match=f"^.*dots-2d .*{message}.*; install the model again$"
    ) as e:
        Knowledge.of(broken)
    assert str(e.value).count("install") == 1


@pytest.mark.parametrize("text", ["", "nothing", "[]", "[" * 100_000, "null", '{"looks": {}}'])
def test_a_text_that_says_nothing_is_refused(painters: dict[int, Model], text: str) -> None:
    with pytest.raises(InputError, match="what dots-2d says of its images cannot be read"):
        Knowledge.of(with_config(painters[2], learned=text))


def test_layouts_of_planes_are_none_of_volumes(painters: dict[int, Model]) -> None:
    mixed = with_config(painters[3], learned=painters[2].config["learned"])
    with pytest.raises(InputError, match="has layouts of 2 axes for images of 3; install"):
        Knowledge.of(mixed)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_description_fits_its_net(painting: ModuleType, ndim: int) -> None:
    spec = painter_spec(
        "dots", ndim, description="Dots.", config=painting.knowledge(ndim).as_config(), version="2"
    )
    assert spec.architecture.kwargs["channels_in"] == len(CHANNELS) == len(spec.channels_in)
    assert (spec.version, spec.config["decoder"], spec.task) == ("2", "painting", "synthesize")
    assert len(spec.axes) == ndim + 1
    assert all(n % s == 0 for n, s in zip(spec.halo, spec.stride, strict=True))
