from __future__ import annotations

import ast

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_medai.core.errors import InputError
from napari_medai.ui.script import script

RECORD = {
    "task": "segment",
    "model": {"name": "nuclei", "version": "1"},
    "parameters": {"threshold": 0.4, "device": "auto"},
    "source": {"layer": "my 'cells'", "axes": "ZYX", "window": {"Y": [0, 64]}},
}


def test_a_script_names_everything_the_run_used() -> None:
    text = script(Labels(np.zeros((4, 5), np.int32), metadata={"medai": RECORD}))
    (call,) = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "medai.segment"
    ]
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    assert given == {
        "model": "'nuclei'",
        "axes": "'ZYX'",
        "window": "{'Y': slice(0, 64)}",
        "threshold": "0.4",
        "device": "'auto'",
    }
    assert "image = viewer.layers[\"my 'cells'\"]" in text


def test_a_channel_that_was_chosen_is_named() -> None:
    source = {"layer": "a", "axes": "CYX", "window": {"Y": [0, 64], "C": [2, 3]}}
    text = script({**RECORD, "source": source})
    assert "    channel=2,\n    window={'Y': slice(0, 64)},\n" in text
    several = script({**RECORD, "source": {**source, "window": {"C": [0, 2]}}})
    assert "    window={'C': slice(0, 2)},\n" in several
    assert "channel=" not in several


def test_a_script_opens_the_file_where_it_is_known() -> None:
    text = script(RECORD, path="C:\\scans\\a.tif")
    ast.parse(text)
    assert "viewer.open('C:\\\\scans\\\\a.tif')" in text
    assert "viewer.open" not in script(RECORD)


def test_a_layer_of_another_origin_has_no_script() -> None:
    with pytest.raises(InputError, match="no record"):
        script(Image(np.zeros((4, 5)), name="photo"))
