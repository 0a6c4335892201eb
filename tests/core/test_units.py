from __future__ import annotations

import pytest

from napari_medai.core.units import in_micrometers, in_seconds


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("ms", 0.25), ("s", 250), ("sec", 250), ("minute", 15000), ("h", 900_000), ("d", 21_600_000)],
)
def test_times_in_seconds(unit: str, seconds: float) -> None:
    assert in_seconds(250, unit) == pytest.approx(seconds)
    assert in_micrometers(250, unit) is None


@pytest.mark.parametrize("unit", ["um", "pixel", "", None])
def test_what_is_no_time(unit: str | None) -> None:
    assert in_seconds(1, unit) is None
