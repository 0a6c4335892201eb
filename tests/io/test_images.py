from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medai.core.errors import InputError
from napari_medai.io import images
from napari_medai.io.images import find_images, read_image

NUCLEI = Path(__file__).parent.parent / "data" / "nuclei"
GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)
RGB = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


@pytest.mark.parametrize(
    ("array", "expected", "axes"),
    [
        (GREY, GREY, "YX"),
        (RGB, RGB, "YXC"),
        (np.dstack([RGB, GREY]), RGB, "YXC"),
        (np.dstack([GREY, GREY]), GREY, "YX"),
        (GREY.astype(np.uint16) * 300, GREY.astype(np.uint16) * 300, "YX"),
        (GREY > 9, GREY > 9, "YX"),
    ],
)
def test_png(tmp_path: Path, array: np.ndarray, expected: np.ndarray, axes: str) -> None:
    Image.fromarray(array).save(tmp_path / "a.png")
    (back,) = read_image(tmp_path / "a.png")
    assert (back.axes, back.rgb, back.name) == (axes, axes == "YXC", "a")
    np.testing.assert_array_equal(back.levels[0], expected)


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None)
    picture = picture.convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "a.png")
    (back,) = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(back.levels[0], [[[10, 20, 30], [40, 50, 60]]])


def test_real_pairs() -> None:
    for path in find_images(NUCLEI / "images"):
        image = read_image(path)[0].image
        mask = read_image(NUCLEI / "masks" / path.name)[0].image
        assert (mask.axes, mask.data.dtype) == ("YX", np.uint16)
        assert image.shape[:2] == mask.shape


def test_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 5, 6)))
    assert read_image(path)[0].axes == "ZYX"
    monkeypatch.setattr(images, "LAZY_BYTES", 0)
    assert isinstance(read_image(path)[0].levels[0], np.memmap)
    for limit in (0, 2**28):
        monkeypatch.setattr(images, "LAZY_BYTES", limit)
        path.write_bytes(path.read_bytes()[:-8])
        with pytest.raises(InputError, match="cannot be read"):
            read_image(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("shape", "axes", "read"),
    [
        ((9, 8, 3), "YXC", (9, 8, 3)),
        ((9, 8, 4), "YXC", (9, 8, 3)),
        ((7, 9, 8, 3), "ZYXC", (7, 9, 8, 3)),
        ((9, 3, 3), "ZYX", (9, 3, 3)),
        ((9, 8, 2), "ZYX", (9, 8, 2)),
        ((3, 9, 8), "ZYX", (3, 9, 8)),
        ((8, 3), "YX", (8, 3)),
    ],
)
def test_colours_of_arrays_without_axes(tmp_path: Path, dtype, shape, axes: str, read) -> None:
    """As of arrays in scripts: by the shape alone, whatever holds them."""
    import zarr

    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    zarr.create_array(tmp_path / "a.zarr", data=array)
    for name in ("a.npy", "a.zarr"):
        (back,) = read_image(tmp_path / name)
        assert (back.axes, back.rgb) == (axes, axes.endswith("C"))
        np.testing.assert_array_equal(np.asarray(back.levels[0]), array[..., : read[-1]])


def test_zarr(tmp_path: Path) -> None:
    import zarr

    array = zarr.create_array(tmp_path / "a.zarr", shape=(5, 6), dtype="u1", chunks=(2, 3))
    array[:] = GREY
    (back,) = read_image(tmp_path / "a.zarr")
    assert (back.axes, back.name) == ("YX", "a")
    np.testing.assert_array_equal(np.asarray(back.image.at(Y=1).data), GREY[1])

    group = zarr.create_group(tmp_path / "b.ome.zarr")
    for name, step in (("0", 1), ("1", 2)):
        level = group.create_array(name, shape=(2, 5 // step, 6 // step), dtype="u1")
        level[:] = 7
    axes = [{"name": "c"}, {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "nanometer"}]
    datasets = [
        {"path": n, "coordinateTransformations": [{"type": "scale", "scale": [1, s, s]}]}
        for n, s in (("0", 0.5), ("1", 1.0))
    ]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": "DNA"}, {"label": "actin"}]},
    }
    (back,) = read_image(tmp_path / "b.ome.zarr")
    assert [level.shape for level in back.levels] == [(2, 5, 6), (2, 2, 3)]
    assert (back.axes, back.names, back.name) == ("CYX", ("DNA", "actin"), "b")
    assert back.spacing == {"Y": 0.5, "X": 0.5}
    assert back.units == {"Y": "micrometer", "X": "nanometer"}

    zarr.create_group(tmp_path / "empty.zarr")
    with pytest.raises(InputError, match="without an image"):
        read_image(tmp_path / "empty.zarr")


@pytest.mark.parametrize(
    ("name", "array", "labels"),
    [
        ("cells_masks.tif", GREY, True),
        ("Labels-3.tif", GREY.astype(np.int32), True),
        ("unmasked.tif", GREY, False),
        ("labels.tif", GREY.astype(np.float32), False),
        ("labels.tif", RGB, False),
    ],
)
def test_labels_are_known_by_name(
    tmp_path: Path, name: str, array: np.ndarray, labels: bool
) -> None:
    tifffile.imwrite(tmp_path / name, array)
    assert read_image(tmp_path / name)[0].labels == labels


def test_find_images(tmp_path: Path) -> None:
    for name in ("b10.png", "b2.png", "A.tif", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tif").mkdir()
    a, b2, b10 = (tmp_path / name for name in ("A.tif", "b2.png", "b10.png"))
    assert find_images(tmp_path) == [a, b2, b10]
    assert find_images([b10, tmp_path]) == [b10, a, b2]
    assert find_images(str(tmp_path / "b*.png")) == [b2, b10]


def test_find_images_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for paths, words in (
        (tmp_path, "holds no images"),
        (tmp_path / "missing.png", "does not exist"),
        (tmp_path / "*.png", "does not exist"),
        (tmp_path / "notes.txt", "format"),
        ([], "no images were given"),
    ):
        with pytest.raises(InputError, match=words):
            find_images(paths)


def test_read_image_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    whole = (NUCLEI / "images" / "histology.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    for name, words in (
        ("missing.png", "does not exist"),
        ("notes.txt", "format"),
        ("cut.png", "cannot be read"),
        ("empty.jpg", "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / name)
