from __future__ import annotations

import gzip
import os
import re
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from napari.layers import Image, Labels

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.images import read_image
from napari_medai.io.layer_data import layer_data, read_layers
from napari_medai.io.layer_grid import SOURCE
from napari_medai.io.volume_writers import (
    Volume,
    write_labels_volume,
    write_volume,
    write_volume_layer,
)
from napari_medai.io.volumes import VOLUME_SUFFIXES, read_volume, suffix_of

SHAPE = (7, 6, 5)
STEPS = (2.5, 0.7, 1.1)
ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
DATA = Path(os.environ.get("MEDAI_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def phantom() -> np.ndarray:
    """A letter F with a dot, in 3D: no flip or turn leaves it as it is."""
    data = np.zeros(SHAPE, np.int16)
    data[1:6, 1:5, 1] = 100
    data[1:6, 1, 1:4] = 200
    data[1:6, 3, 1:3] = 300
    data[0, 5, 4] = 400
    return data


def grid_of(order: tuple[int, ...], signs: tuple[int, ...], *, angle: float = 0.0) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * STEPS[axis]
    cos, sin = np.cos(angle), np.sin(angle)
    affine[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ affine[:3, :3]
    affine[:3, 3] = (-30, 12.5, 7)
    return Grid(affine)


def places(path: Path, value: int) -> np.ndarray:
    """Where another program sees the voxels of a value: (n, 3), LPS in mm, sorted."""
    if ".nii" in path.name:
        image: Any = nibabel.load(path)
        index = np.argwhere(np.asarray(image.dataobj) == value)
        found = (index @ image.affine[:3, :3].T + image.affine[:3, 3]) * [-1, -1, 1]
    else:
        itk = sitk.ReadImage(str(path))
        index = np.argwhere(sitk.GetArrayFromImage(itk) == value)[:, ::-1]
        found = np.array([itk.TransformIndexToPhysicalPoint([int(n) for n in i]) for i in index])
    return found[np.lexsort(found.round(2).T)]


def own_places(data: Any, grid: Grid, value: int) -> np.ndarray:
    index = np.argwhere(np.asarray(data) == value)
    found = (index @ grid.affine[:3, :3].T + grid.affine[:3, 3])[:, ::-1]
    return found[np.lexsort(found.round(2).T)]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_is_where_other_programs_see_it(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path
) -> None:
    grid, data = grid_of(order, signs), phantom()
    for suffix in (".nii", ".mha"):
        path = write_volume(tmp_path / f"a{suffix}", Volume(data, grid))
        (image,) = read_image(path)
        assert image.grid is not None
        matrix = image.grid.affine[:3, :3]
        assert np.abs(matrix - np.diag(np.abs(np.diag(matrix)))).max() < 1e-5
        for value in (100, 200, 300, 400):
            seen = places(path, value)
            assert seen == pytest.approx(own_places(data, grid, value), abs=1e-3)
            assert own_places(image.levels[0], image.grid, value) == pytest.approx(seen, abs=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_oblique_volume_comes_back(suffix: str, tmp_path: Path) -> None:
    grid, data = grid_of((1, 2, 0), (1, -1, 1), angle=0.3), phantom()
    path = write_volume(tmp_path / f"a{suffix}", Volume(data, grid))
    (image,) = read_image(path)
    assert image.stored is not None
    assert np.array_equal(image.stored.stored_again(np.asarray(image.levels[0])), data)
    assert image.stored.stored.affine == pytest.approx(grid.affine, abs=1e-4)
    assert places(path, 400) == pytest.approx(own_places(data, grid, 400), abs=1e-3)
    assert image.units == dict.fromkeys("ZYX", "millimeter")


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "?"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_values_keep_their_kind(suffix: str, dtype: str, tmp_path: Path) -> None:
    data = phantom().astype(dtype)
    path = write_volume(tmp_path / f"a{suffix}", Volume(data, grid_of((0, 1, 2), (1, 1, 1))))
    (image,) = read_image(path)
    assert image.levels[0].dtype == (np.uint8 if dtype == "?" else data.dtype)
    assert np.array_equal(image.levels[0], data)


def test_time_and_its_step_come_back(tmp_path: Path) -> None:
    data = np.stack([phantom(), phantom() + 1])
    grid = grid_of((0, 1, 2), (1, -1, 1))
    (image,) = read_image(write_volume(tmp_path / "a.nii.gz", Volume(data, grid, seconds=2.5)))
    assert image.axes == "TZYX"
    assert (image.spacing["T"], image.units["T"]) == (2.5, "second")
    assert np.array_equal(image.stored.stored_again(np.asarray(image.levels[0])), data)
    with pytest.raises(InputError, match="hold one volume"):
        write_volume(tmp_path / "a.mha", Volume(data, grid))
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_layers_are_saved_where_they_lie(suffix: str, angle: float, tmp_path: Path) -> None:
    source = write_volume(
        tmp_path / "scan.nii", Volume(phantom(), grid_of((2, 0, 1), (-1, 1, 1), angle=angle))
    )
    ((data, options, kind),) = read_layers(source)
    image = Image(data, **options)
    assert kind == "image"
    content, attributes, _ = image.as_layer_data_tuple()
    (path,) = write_volume_layer(str(tmp_path / f"out{suffix}"), content, attributes)
    for value in (100, 400):
        assert places(Path(path), value) == pytest.approx(places(source, value), abs=1e-3)
    place = {name: options[name] for name in ("scale", "translate", "affine") if name in options}
    labels = Labels((np.asarray(data) == 400).astype(np.uint8), units=image.units, **place)
    content, attributes, _ = labels.as_layer_data_tuple()
    (path,) = write_labels_volume(str(tmp_path / f"found{suffix}"), content, attributes)
    assert places(Path(path), 1) == pytest.approx(places(source, 400), abs=1e-3)


def test_a_layer_that_counts_pixels_says_so(tmp_path: Path) -> None:
    content, attributes, _ = Image(phantom()).as_layer_data_tuple()
    with pytest.warns(UserWarning, match="counts pixels"):
        write_volume_layer(str(tmp_path / "a.nii"), content, attributes)


@pytest.mark.parametrize("name", ["ct_seg", "labels", "patient1_mask", "liver-segmentation"])
def test_labels_are_known_by_their_name(name: str, tmp_path: Path) -> None:
    data = (phantom() > 0).astype(np.uint8)
    path = write_volume(tmp_path / f"{name}.nrrd", Volume(data, grid_of((0, 1, 2), (1, 1, 1))))
    (image,) = read_image(path)
    assert image.labels
    assert layer_data(image)[2] == "labels"


def test_labels_are_known_by_their_intent(tmp_path: Path) -> None:
    data, grid = (phantom() > 0).astype(np.uint8), grid_of((0, 1, 2), (1, 1, 1))
    assert read_image(write_volume(tmp_path / "a.nii", Volume(data, grid, labels=True)))[0].labels
    assert not read_image(write_volume(tmp_path / "b.nii", Volume(data, grid)))[0].labels


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_labels_have_the_names_of_the_files_table(suffix: str, tmp_path: Path) -> None:
    data = (phantom() // 100).astype(np.uint8)
    rows = "".join(
        f'<Label Key="{key}" Red="1.0" Alpha="1"><![CDATA[{name}]]></Label>\n'
        for key, name in ((0, "nothing"), (2, "spleen"), (4, "liver"), (9, "not there"))
    )
    table = f"<?xml?><CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>"
    image = nibabel.Nifti1Image(data.transpose(), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, table.encode()))
    nibabel.save(image, tmp_path / f"seg{suffix}")
    (found,) = read_image(tmp_path / f"seg{suffix}")
    assert found.features == {"index": [2, 4], "class": ["spleen", "liver"]}
    (layer,) = (Labels(*layer_data(found)[:1], features=layer_data(found)[1]["features"]),)
    assert layer.features["class"].tolist() == ["spleen", "liver"]


def test_a_masked_word_is_no_mask(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "unmasked.nii", Volume(phantom(), grid_of((0, 1, 2), (1, 1, 1))))
    assert not read_image(path)[0].labels


def test_what_a_header_tells_of_the_patient_stays_there(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(phantom().transpose(), np.eye(4), dtype=np.int16)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = f"Planted {field}"[:14]
    image.header.extensions.append(
        nibabel.nifti1.Nifti1Extension("comment", b"Planted in extension")
    )
    nibabel.save(image, tmp_path / "a.nii")
    itk = sitk.GetImageFromArray(phantom())
    itk.SetMetaData("PatientName", "Planted^Name")
    sitk.WriteImage(itk, str(tmp_path / "a.nrrd"))
    for path in tmp_path.iterdir():
        assert b"Planted" in path.read_bytes()
        assert "Planted" not in repr(read_layers(path))


def _broken(path: Path, **fields: Any) -> Path:
    image = nibabel.Nifti1Image(phantom().transpose(), np.diag([2.0, 3, 4, 1]), dtype=np.int16)
    image.header.set_qform(np.diag([2.0, 3, 4, 1]), code=1)
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


def test_a_bad_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    (image,) = read_image(_broken(tmp_path / "a.nii", srow_x=[np.nan] * 4))
    assert image.grid is not None
    assert image.grid.spacing == pytest.approx((4, 3, 2))
    assert "qform is used instead" in image.notes[0]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"srow_x": [0] * 4, "qform_code": 0, "pixdim": [1, 0, -3, 4, 0, 0, 0, 0]}, "positive"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "claims 30000 x 30000 x 30000"),
        ({"dim": [3, 0, 6, 7, 1, 1, 1, 1]}, "one or more"),
        ({"datatype": 32, "bitpix": 64}, "claims|real numbers"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint):
        read_image(_broken(tmp_path / "a.nii", **fields))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_is_refused(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 1000, (9, 30, 31)).astype(np.int16)
    path = write_volume(tmp_path / f"a{suffix}", Volume(data, grid_of((0, 1, 2), (1, 1, 1))))
    content = path.read_bytes()
    for part in (len(content) // 2, 100, 0):
        path.write_bytes(content[:part])
        with pytest.raises(InputError, match=str(path)):
            read_image(path)


def test_compressed_values_may_be_painted_and_come_in_several_parts(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "seg.nii.gz", Volume(phantom(), grid_of((0, 1, 2), (1, 1, 1))))
    plain = gzip.decompress(path.read_bytes())
    for content in (
        gzip.compress(plain),
        gzip.compress(plain[:500]) + gzip.compress(plain[500:]),
        gzip.compress(plain + b"more"),
    ):
        path.write_bytes(content)
        (image,) = read_image(path)
        assert np.array_equal(image.levels[0], phantom())
        image.levels[0][0, 0, 0] = 7
    damaged = bytearray(gzip.compress(plain))
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=str(path)):
        read_image(path)


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    plain = _broken(tmp_path / "a.nii", dim=[3, 1290, 1290, 1290, 1, 1, 1, 1])
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(InputError, match="claims 1290 x 1290 x 1290"):
        read_image(path)


def test_nothing_is_overwritten_silently(tmp_path: Path) -> None:
    volume = Volume(phantom(), grid_of((0, 1, 2), (1, 1, 1)))
    path = write_volume(tmp_path / "a.nii", volume)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_volume(path, Volume(phantom() + 1, volume.grid))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "data", "complaint"),
    [
        ("a.png", phantom(), "no format for volumes"),
        ("a.nii", phantom()[0], "has the axes Z Y X"),
        ("a.nii", phantom().astype(complex), "real numbers"),
    ],
)
def test_what_is_no_volume_is_not_written(
    path: str, data: np.ndarray, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        write_volume(tmp_path / path, Volume(data, grid_of((0, 1, 2), (1, 1, 1))))
    assert not list(tmp_path.iterdir())


REAL = sorted(path for kind in ("volumes", "dicom") for path in DATA.glob(f"fixtures_{kind}/**/*"))
VOLUMES = [path for path in REAL if suffix_of(path) in VOLUME_SUFFIXES]


@pytest.mark.skipif(not VOLUMES, reason="the shared volumes are not here")
@pytest.mark.filterwarnings("ignore")
def test_real_volumes_have_the_values_and_places_that_others_read() -> None:
    opened, refused = 0, {}
    for path in VOLUMES:
        known = by_others(path)
        try:
            (image,) = read_image(path)
        except InputError as error:
            assert known is None, path
            refused[path] = str(error)
            continue
        opened += 1
        assert known is not None, path
        values, grid = known
        assert image.stored is not None
        stored = image.stored.stored_again(np.asarray(image.levels[0]))
        assert image.stored.stored.affine == pytest.approx(grid.affine, abs=1e-3), path
        if not image.rgb:
            assert np.allclose(stored, values.reshape(stored.shape), equal_nan=True), path
    print(f"\nread {opened}, refused {len(refused)}:", *refused.values(), sep="\n  ")
    assert opened >= 40
    assert all(str(path) in text for path, text in refused.items())


def test_labels_of_a_layer_are_stored_as_its_file_is(tmp_path: Path) -> None:
    """As viewers want it that compare grids voxel by voxel."""
    affine = np.array([[0, 0, 2.0, 5], [-1, 0, 0, 7], [0, 3, 0, -9], [0, 0, 0, 1]])
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "scan.nii.gz")
    (image,) = read_volume(tmp_path / "scan.nii.gz")
    _, attributes, _ = layer_data(image)
    place = {key: attributes[key] for key in ("scale", "units", "axis_labels", "translate")}
    found = Labels(np.asarray(image.levels[0]) % 7, **place)
    found.metadata[SOURCE] = str(tmp_path / "scan.nii.gz")
    data, attributes, _ = found.as_layer_data_tuple()
    write_labels_volume(str(tmp_path / "found.nii.gz"), data, attributes)
    written = nibabel.load(tmp_path / "found.nii.gz")
    np.testing.assert_allclose(written.affine, affine, atol=1e-6)
    assert np.array_equal(np.asarray(written.dataobj), values % 7)
    (tmp_path / "scan.nii.gz").unlink()
    write_labels_volume(str(tmp_path / "again.nii.gz"), data, attributes)
    (first,), (second,) = (read_volume(tmp_path / f"{n}.nii.gz") for n in ("found", "again"))
    assert np.array_equal(first.levels[0], second.levels[0])
    np.testing.assert_allclose(first.grid.affine, second.grid.affine, atol=1e-6)


def by_others(path: Path) -> tuple[np.ndarray, Grid] | None:
    """Values with the axes reversed, and the place, by SimpleITK or nibabel, if these can."""
    if suffix_of(path) in (".nrrd", ".mha", ".mhd"):
        itk = sitk.ReadImage(str(path))
        grid = Grid.from_lps(itk.GetOrigin(), itk.GetSpacing(), itk.GetDirection())
        return sitk.GetArrayFromImage(itk), grid
    try:
        found: Any = nibabel.load(path)
        values = np.asanyarray(found.dataobj)
    except Exception:
        return None
    if not isinstance(found, nibabel.spatialimages.SpatialImage):
        return None
    first = suffix_of(path) == ".mnc" and values.ndim == 4
    return values.transpose((0, 3, 2, 1) if first else None), Grid.from_ras(found.affine)


@pytest.mark.parametrize("name", ["tiny.mnc", "minc1_4d.mnc"])
def test_minc_lies_where_nibabel_says(name: str, data: Path) -> None:
    path = data / "volumes" / name
    (image,) = read_image(path)
    values, grid = by_others(path) or pytest.fail("nibabel reads it")
    assert image.axes == ("TZYX" if values.ndim == 4 else "ZYX")
    assert image.stored is not None
    np.testing.assert_allclose(image.stored.stored_again(image.levels[0]), values)
    assert image.stored.stored.affine == pytest.approx(grid.affine)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nibabel's file
def test_a_par_is_read_with_its_rec(data: Path, tmp_path: Path) -> None:
    header = data / "volumes" / "phantom_EPI_asc_CLEAR_2_1.PAR"
    path = tmp_path / header.name
    path.write_bytes(header.read_bytes())
    values = np.random.default_rng(0).integers(0, 4000, (3, 9, 64, 64)).astype("<u2")
    path.with_suffix(".REC").write_bytes(values.tobytes())
    (image,) = read_image(path)
    theirs, grid = by_others(path) or pytest.fail("nibabel reads it")
    assert image.axes == "TZYX"
    assert image.image.shape == (3, 9, 64, 64)
    assert image.stored is not None
    np.testing.assert_allclose(image.stored.stored_again(image.levels[0]), theirs)
    assert image.stored.stored.affine == pytest.approx(grid.affine, abs=1e-6)
    path.with_suffix(".REC").write_bytes(values.tobytes()[:1000])
    with pytest.raises(InputError, match=r"has 1000 bytes"):
        read_image(path)


def test_a_header_without_its_values_names_them(tmp_path: Path) -> None:
    for name, other in (("a.par", "a.REC"), ("a+orig.HEAD", "a+orig.BRIK")):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(InputError, match=f"in {re.escape(other)}, which is missing"):
            read_image(tmp_path / name)
    (tmp_path / "a.mnc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match=r"MINC 2|cannot be read"):
        read_image(tmp_path / "a.mnc")
