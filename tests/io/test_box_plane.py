from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import (
    class_name,
    corners_of_edges,
    index_along,
    place,
    read_text,
    sureness,
)


def test_edges_become_corners() -> None:
    assert corners_of_edges([[0, 1, 4, 6]]).tolist() == [[[0.5, -0.5], [5.5, 3.5]]]
    assert corners_of_edges([]).shape == (0, 2, 2)


@pytest.mark.parametrize("given", ["x", "", None, [], "nan", math.inf, "-1e9", 10**400])
def test_what_is_no_place_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="is not a number of pixels"):
        place(given)
    assert place(" -2.5 ") == -2.5


@pytest.mark.parametrize("given", [-1, "0.5", "two", None])
def test_what_is_no_index_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"whole number|not a number"):
        index_along("Z", given)
    assert index_along("Z", "3.0") == 3


@pytest.mark.parametrize("given", [None, "", " ", "nan", math.nan])
def test_no_score_is_not_a_number(given: Any) -> None:
    assert math.isnan(sureness(given))
    assert sureness("0.25") == 0.25


def test_a_class_has_a_short_name() -> None:
    assert class_name(7) == "7"
    with pytest.raises(InputError, match=r"'kkkkkkkkkkkkkkkkkkkk'\.\.\. has 300 letters"):
        class_name("k" * 300)


def test_text_is_read_with_the_ends_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r")
    assert read_text(path, largest=10) == "a\r\nb\r"
    with pytest.raises(InputError, match="files of its kind are read up to"):
        read_text(path, largest=4)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="save it as UTF-8"):
        read_text(path, largest=10)
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path, largest=1 << 20)
