from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.models.spec import ModelSpec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "My Model"}, "is not a model name"),
        ({"name": "../up"}, "is not a model name"),
        ({"name": ""}, "is not a model name"),
        ({"version": "new"}, "version must look like"),
        ({"description": ""}, "description must have"),
        ({"task": "dream"}, "task must be one of"),
        ({"axes": "YXC"}, "axes must be CYX or CZYX"),
        ({"stride": (4,)}, "stride must be 2"),
        ({"halo": (4, 4, 4)}, "halo must be 2"),
        ({"channels_in": ()}, "channels need"),
        ({"channels_out": ("a", "a")}, "channels need"),
        ({"cite": ({"text": "no link"},)}, "a citation needs"),
        ({"authors": ({"name": "a/b"},)}, "an author needs"),
        ({"config": {}}, "lack decoder, diameter"),
        ({"channels_out": ("a", "b", "c")}, "segments in 2D has 4 output channels"),
        ({"config": {"recipe": {"data": Path("x")}}}, "holds a .*Path"),
    ],
)
def test_a_spec_is_checked_when_it_is_made(
    spec: ModelSpec, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        replace(spec, **change)


def test_numbers_of_numpy_and_tuples_become_plain(spec: ModelSpec) -> None:
    config = {**spec.config, "diameter": np.float32(12), "classes": ("a", np.int64(3)), "task": "x"}
    changed = replace(spec, config=config)
    assert changed.config["diameter"] == 12.0
    assert type(changed.config["diameter"]) is float
    assert changed.config["classes"] == ["a", 3]
    assert "task" not in changed.config


def test_settings_that_are_none_are_left_out(spec: ModelSpec) -> None:
    changed = replace(spec, config={**spec.config, "pixel_size": None, "intensity": None})
    assert "pixel_size" not in changed.config
    assert changed.config["intensity"] == {"low": 1.0, "high": 99.8}
