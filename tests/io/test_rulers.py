from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.ruler import ruler_of


@pytest.mark.parametrize(
    ("units", "unit", "steps"),
    [
        (("millimeter",) * 3, "mm", (3, 2, 1)),
        (("cm",) * 3, "mm", (30, 20, 10)),
        (("micrometer",) * 3, "um", (3, 2, 1)),
        (("nm",) * 3, "um", (0.003, 0.002, 0.001)),
        (("mm", "um", "um"), "mm", (3, 0.002, 0.001)),
        (("mm", "pixel", "mm"), "", (3, 2, 1)),
        ((), "", (3, 2, 1)),
    ],
)
def test_the_unit_is_one_that_people_read(
    units: tuple[str, ...], unit: str, steps: tuple[float, ...]
) -> None:
    spacing = {"T": 60.0, "X": 1.0, "Y": 2.0, "Z": 3.0}
    known = dict(zip("ZYX", units, strict=False)) | {"T": "second"}
    ruler = ruler_of(AxesArray(np.zeros((1, 1, 1, 1)), "TXYZ", spacing, known))
    assert ruler.unit == unit
    assert ruler.steps == pytest.approx(steps)


def test_axes_may_lean() -> None:
    image = AxesArray(np.zeros((1, 1)), "YX", {"Y": 2.0, "X": 4.0}, dict.fromkeys("YX", "mm"))
    ruler = ruler_of(image, direction=np.array([[0.8, 0], [0.6, 1]]))
    np.testing.assert_allclose(ruler.edges, [[1.6, 0], [1.2, 4]])
