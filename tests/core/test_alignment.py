from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_medai.core.alignment import cut_to
from napari_medai.core.axes import AxesArray

VALUES = np.arange(5 * 6 * 7).reshape(5, 6, 7)
IMAGE = AxesArray(VALUES, "ZYX")
LABELS = AxesArray(np.zeros((2, 6, 3), int), "ZYX")


def moved(*by: float, scale: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    return lambda at: scale * at + by


def test_the_part_under_the_labels() -> None:
    part = cut_to(IMAGE, LABELS, moved(3, 0.2, 2.9))
    assert part is not None
    np.testing.assert_array_equal(part.data, VALUES[3:5, :, 3:6])


def test_channels_stay() -> None:
    colours = AxesArray(np.stack([VALUES, -VALUES], -1), "ZYXC")
    part = cut_to(colours, LABELS, moved(0, 0, 0))
    assert part is not None
    np.testing.assert_array_equal(part.data[..., 1], -VALUES[:2, :, :3])


@pytest.mark.parametrize(
    "to_image",
    [
        moved(4, 0, 0),
        moved(-1, 0, 0),
        moved(0, 1, 0),
        moved(0, 0, 5),
        moved(0, 0, 0, scale=0.5),
        moved(np.nan, 0, 0),
        lambda at: at[::-1],
    ],
)
def test_elsewhere_there_is_none(to_image: Callable[[np.ndarray], np.ndarray]) -> None:
    assert cut_to(IMAGE, LABELS, to_image) is None


def test_other_axes_are_no_part() -> None:
    assert cut_to(IMAGE, AxesArray(np.zeros((6, 3), int), "YX"), moved(0, 0)) is None
