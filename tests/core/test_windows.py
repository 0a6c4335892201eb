from __future__ import annotations

import pytest

from napari_medai.core.windows import CT_WINDOWS, window_named


def test_a_window_runs_half_its_width_to_either_side() -> None:
    assert window_named("lung").limits == (-1350, 150)
    assert window_named("Brain").limits == (0, 80)


def test_names_are_unique() -> None:
    assert len({window.name.lower() for window in CT_WINDOWS}) == len(CT_WINDOWS)


def test_an_unknown_name_is_no_window() -> None:
    with pytest.raises(KeyError):
        window_named("nonsense")
