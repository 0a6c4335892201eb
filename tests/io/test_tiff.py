"""TIFF there and back, and what other programs write."""

from __future__ import annotations

import errno
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError, RunError
from napari_medai.io import tiff
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.tiff import read_tiff

DATA = Path(__file__).parent.parent / "data"
RNG = np.random.default_rng(0)
SPACING = {"T": 30.0, "Z": 2.0, "Y": 0.325, "X": 0.25}
UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}


def noise(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return RNG.integers(0, 200, shape).astype(dtype)


def placed(array: Any, axes: str) -> AxesArray:
    return AxesArray(array, axes, SPACING, UNITS).with_data(array)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (7, 9), "f4"),
        ("YX", (300, 270), "u2"),
        ("CYX", (3, 20, 30), "u1"),
        ("ZYX", (4, 257, 300), "i2"),
        ("CZYX", (2, 3, 20, 30), "f8"),
        ("TCZYX", (2, 3, 4, 20, 30), "u2"),
        ("YXC", (270, 260, 3), "u1"),
        ("ZYXC", (2, 20, 30, 3), "u2"),
    ],
)
def test_there_and_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    axes: str,
    shape: tuple[int, ...],
    dtype: str,
    lazy: bool,
) -> None:
    image = placed(noise(*shape, dtype=dtype), axes)
    names = [f"dye {n}" for n in range(shape[axes.index("C")])] if "CZ" in axes else []
    if lazy:
        monkeypatch.setattr(tiff, "LAZY_BYTES", 0)
    (back,) = read_tiff(write_tiff(tmp_path / "a.ome.tif", image, names=names))
    assert back.axes == axes
    assert back.rgb == axes.endswith("C")
    assert back.name == "a"
    assert back.names == tuple(names)
    assert back.spacing == image.spacing
    assert back.units == image.units
    assert back.image.data.dtype == dtype
    assert isinstance(back.levels[0], np.ndarray) != lazy
    np.testing.assert_array_equal(np.asarray(back.image.data), image.data)
    assert not back.labels


def test_channels_behind_that_are_no_colours_come_first(tmp_path: Path) -> None:
    image = placed(noise(20, 30, 2), "YXC")
    (back,) = read_tiff(write_tiff(tmp_path / "a.tif", image, names=("a", "b")))
    assert (back.axes, back.rgb, back.names) == ("CYX", False, ("a", "b"))
    np.testing.assert_array_equal(back.levels[0], np.moveaxis(image.data, -1, 0))


def test_an_unnamed_series_is_written_as_time(tmp_path: Path) -> None:
    (back,) = read_tiff(write_tiff(tmp_path / "a.tif", AxesArray(noise(2, 20, 30), "QYX")))
    assert back.axes == "TYX"
    with pytest.raises(InputError, match="room for the axes"):
        write_tiff(tmp_path / "b.tif", AxesArray(noise(2, 2, 2, 2, 9, 9), "QUTZYX"))


def test_pixels_without_unit_keep_their_spacing(tmp_path: Path) -> None:
    image = AxesArray(noise(20, 30), "YX", {"Y": 2.0, "X": 3.0})
    (back,) = read_tiff(write_tiff(tmp_path / "a.tif", image))
    assert (back.spacing, back.units) == ({"Y": 2.0, "X": 3.0}, {})


@pytest.mark.parametrize(
    ("dtype", "top", "stored"),
    [("i4", 70_000, "u4"), ("i8", 300, "u2"), ("?", 1, "u1"), ("u1", 9, "u2")],
)
def test_labels_are_stored_lossless(tmp_path: Path, dtype: str, top: int, stored: str) -> None:
    labels = np.zeros((300, 260), dtype=dtype)
    labels[3:9, 4:8] = top
    (back,) = read_tiff(write_tiff(tmp_path / "a.tif", placed(labels, "YX"), labels=True))
    assert back.labels
    assert back.levels[0].dtype == stored
    np.testing.assert_array_equal(back.levels[0], labels)


def test_lazy_labels_are_written_band_by_band(tmp_path: Path) -> None:
    class Counted:
        shape = (700, 300)
        dtype = np.dtype("i4")
        rows = 0

        def __getitem__(self, key: Any) -> np.ndarray:
            result = np.broadcast_to(np.arange(700, dtype="i4")[:, None], self.shape)[key]
            self.rows = max(self.rows, result.shape[0])
            return result

    lazy = Counted()
    (back,) = read_tiff(write_tiff(tmp_path / "a.tif", AxesArray(lazy, "YX"), labels=True))
    assert lazy.rows == 256
    assert back.levels[0].dtype == np.uint32
    np.testing.assert_array_equal(back.levels[0], lazy[:])


def test_what_ome_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for array, axes, labels, words in (
        (np.full((4, 4), 2**40), "YX", False, "cannot hold"),
        (np.full((4, 4), 2**40), "YX", True, "do not fit"),
        (np.full((4, 4), -1), "YX", True, "do not fit"),
        (np.zeros((4, 4)), "YX", True, "whole numbers"),
        (np.zeros((0, 4)), "YX", False, "cannot be written"),
        (np.zeros((4, 4)), "ZX", False, "cannot be written"),
    ):
        with pytest.raises(InputError, match=words):
            write_tiff(path, AxesArray(array, axes), labels=labels)
    with pytest.raises(InputError, match="as many names"):
        write_tiff(path, AxesArray(np.zeros((2, 4, 4)), "CYX"), names=("one",))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    image = AxesArray(noise(20, 30), "YX")
    path = write_tiff(tmp_path / "a.tif", image)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_tiff(path, image)
    assert path.read_bytes() == before
    write_tiff(path, image.with_data(image.data + 1), overwrite=True)
    np.testing.assert_array_equal(read_tiff(path)[0].levels[0], image.data + 1)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile.FileHandle, "write", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_tiff(tmp_path / "a.tif", AxesArray(noise(300, 300), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_a_pyramid_becomes_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = noise(512, 256, 3, dtype=np.uint8)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        options: dict[str, Any] = {"tile": (128, 128), "compression": "zlib", "photometric": "rgb"}
        writer.write(fine, subifds=1, metadata={"axes": "YXS", "PhysicalSizeX": 0.5}, **options)
        writer.write(fine[::2, ::2], subfiletype=1, **options)
    for limit in (tiff.LAZY_BYTES, 0):
        monkeypatch.setattr(tiff, "LAZY_BYTES", limit)
        (back,) = read_tiff(path)
        assert back.rgb
        assert back.spacing == {"X": 0.5}
        assert [level.shape for level in back.levels] == [(512, 256, 3), (256, 128, 3)]
        np.testing.assert_array_equal(np.asarray(back.levels[1]), fine[::2, ::2])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_large_files_are_read_as_they_are_sliced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None
) -> None:
    image = noise(5, 300, 400)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, compression=compression, photometric="minisblack")
    monkeypatch.setattr(tiff, "LAZY_BYTES", image.nbytes - 1)
    (back,) = read_tiff(path)
    plane = back.image.at(Q=3).cropped(Y=slice(10, 20)).moved_to("XY")
    assert type(plane.data) is not np.ndarray
    again = pickle.loads(pickle.dumps(plane.data))
    for data in (plane.data, again):
        np.testing.assert_array_equal(np.asarray(data), image[3, 10:20].T)


def test_imagej(tmp_path: Path) -> None:
    image = noise(2, 3, 20, 30)
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZCYX", "spacing": 1.5, "unit": "\\u00B5m", "finterval": 2.0}
    tifffile.imwrite(path, image, imagej=True, resolution=(4, 2), metadata=metadata)
    (back,) = read_tiff(path)
    assert back.axes == "ZCYX"
    assert back.spacing == {"Z": 1.5, "Y": 0.5, "X": 0.25}
    assert set(back.units.values()) == {"micrometer"}
    assert back.levels[0].dtype.isnative
    np.testing.assert_array_equal(back.levels[0], image)


@pytest.mark.parametrize(
    ("per_unit", "unit", "spacing"),
    [
        (20_000, "CENTIMETER", 0.5),
        (50_800, "INCH", 0.5),
        (300, "INCH", None),
        (28.346, "CENTIMETER", None),
        (5, "NONE", None),
    ],
)
def test_resolution_tags(tmp_path: Path, per_unit: float, unit: str, spacing: float | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(20, 30), resolution=(per_unit, per_unit), resolutionunit=unit)
    (back,) = read_tiff(path)
    assert back.spacing == ({} if spacing is None else pytest.approx({"Y": spacing, "X": spacing}))
    assert back.units == ({} if spacing is None else {"Y": "micrometer", "X": "micrometer"})


def test_several_images_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number, size in enumerate((20, 40)):
            metadata = {"axes": "YX", "Name": f"part {number}", "PhysicalSizeX": 1.0 + number}
            writer.write(noise(size, size), metadata=metadata)
    small, large = read_tiff(path)
    assert (small.name, large.name) == ("a part 0", "a part 1")
    assert (small.image.shape, large.image.shape) == ((20, 20), (40, 40))
    assert (small.spacing, large.spacing) == ({"X": 1.0}, {"X": 2.0})


def test_unnamed_axes_get_letters_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(2, 5, 20, 30), photometric="minisblack")
    (back,) = read_tiff(path)
    assert back.axes == "QIYX"


@pytest.mark.parametrize(("samples", "rgb"), [(4, True), (2, False)])
def test_transparency_is_dropped(tmp_path: Path, samples: int, rgb: bool) -> None:
    image = noise(20, 30, samples, dtype=np.uint8)
    path = tmp_path / "a.tif"
    photometric = "rgb" if rgb else "minisblack"
    options: dict[str, Any] = {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    tifffile.imwrite(path, image, photometric=photometric, **options)
    (back,) = read_tiff(path)
    assert back.rgb == rgb
    np.testing.assert_array_equal(back.levels[0], image[..., :-1])


def test_a_file_of_bio_formats() -> None:
    (back,) = read_tiff(DATA / "ome" / "multi-channel.ome.tif")
    assert (back.axes, back.image.shape, back.levels[0].dtype) == ("CYX", (3, 167, 439), np.int8)


def tiff_bytes(kind: str) -> bytes:
    image = noise(2, 3, 60, 80)
    options: dict[str, dict[str, Any]] = {
        "ome": {"ome": True},
        "ome-zlib": {"ome": True, "compression": "zlib", "tile": (32, 32)},
        "imagej": {"imagej": True},
        "shaped": {},
        "zlib": {"compression": "zlib"},
        "pages": {"metadata": None, "contiguous": False},
    }
    buffer = io.BytesIO()
    with tifffile.TiffWriter(
        buffer, ome=options[kind].pop("ome", False), imagej=options[kind].pop("imagej", False)
    ) as writer:
        for part in image.reshape(-1, 60, 80) if kind == "pages" else (image,):
            writer.write(part, photometric="minisblack", **options[kind])
    return buffer.getvalue()


@pytest.mark.parametrize("limit", [2**28, 0])
@pytest.mark.parametrize("kind", ["ome", "ome-zlib", "imagej", "shaped", "zlib", "pages"])
def test_a_file_cut_short_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: int
) -> None:
    monkeypatch.setattr(tiff, "LAZY_BYTES", limit)
    whole = tiff_bytes(kind)
    path = tmp_path / "a.tif"
    path.write_bytes(whole)
    expected = read_tiff(path)[0]
    for part in (0.0, 0.001, 0.05, 0.3, 0.6, 0.9, 0.99, 0.999, 0.9999):
        path.write_bytes(whole[: int(part * len(whole))])
        try:
            (back,) = read_tiff(path)
        except InputError:
            continue
        # all that is lost lies behind the pixels
        assert part > 0.98
        assert kind in ("imagej", "shaped")
        assert back.axes == expected.axes
        np.testing.assert_array_equal(np.asarray(back.levels[0]), np.asarray(expected.levels[0]))


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"II*\0", b"II*\0\x08\0\0\0"])
def test_what_is_no_tiff(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif"):
        read_tiff(path)
    with pytest.raises(InputError, match="cannot be opened"):
        read_tiff(tmp_path / "missing.tif")


def test_an_unknown_compression_is_found_when_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(20, 30))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(52479)
    for limit in (2**28, 0):
        monkeypatch.setattr(tiff, "LAZY_BYTES", limit)
        with pytest.raises(InputError, match="cannot be read"):
            read_tiff(path)
