from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medai.core.errors import InputError
from napari_medai.io.image_index import ImageIndex


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    Image.new("RGB", (7, 5)).save(tmp_path / "a.b.png")
    tifffile.imwrite(
        tmp_path / "m.ome.tif", np.zeros((2, 5, 6), np.uint8), metadata={"axes": "TYX"}
    )
    np.save(tmp_path / "v.npy", np.zeros((3, 4, 5)))
    return ImageIndex.of(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.b.png", "a.b.png"),
        ("a.b", "a.b.png"),
        ("x/y/a.b.jpg", "a.b.png"),
        ("x\\y\\m.ome.tif", "m.ome.tif"),
        ("m", "m.ome.tif"),
        ("m.tif", "m.ome.tif"),
        ("a", None),
        ("", None),
        ("..", None),
        ("/", None),
    ],
)
def test_images_are_found_by_name_or_stem(name: str, found: str | None, index: ImageIndex) -> None:
    path = index.find(name)
    assert (None if path is None else path.name) == found


def test_sizes_are_by_axis(index: ImageIndex) -> None:
    sizes = {path.name: index.sizes(path) for path in index.paths}
    assert sizes == {
        "a.b.png": {"Y": 5, "X": 7},
        "m.ome.tif": {"T": 2, "Y": 5, "X": 6},
        "v.npy": {"Z": 3, "Y": 4, "X": 5},
    }


def test_a_stem_of_two_images_is_refused(index: ImageIndex) -> None:
    more = ImageIndex([*index.paths, Path("m.png")])
    assert more.find("m.png") == Path("m.png")
    with pytest.raises(InputError, match=r"m\.ome\.tif, m\.png could all be the image 'm'"):
        more.find("m")
