"""Images and masks in folders: matched by name, read, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medai.core.errors import InputError
from napari_medai.io.pairs import find_pairs, read_pair

SQUARES = np.zeros((12, 16), np.uint16)
SQUARES[1:4, 1:4] = 1
SQUARES[6:9, 8:12] = 2


def put(folder: Path, *names: str, values: np.ndarray = SQUARES) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(values).save(folder / name)
    return folder


@pytest.mark.parametrize("ending", ["", "_mask", "_masks", "-labels", "_label", "_cp_masks"])
def test_masks_are_found_by_name(tmp_path: Path, ending: str) -> None:
    images = put(tmp_path / "images", "b.png", "a1.png", "a10.png", "a2.png")
    names = [f"{stem}{ending}.png" for stem in ("a1", "a2", "a10", "b", "other")]
    masks = put(tmp_path / "masks", *names)
    pairs = find_pairs(images, masks)
    assert [image.stem for image, _ in pairs] == ["a1", "a2", "a10", "b"]
    assert all(mask.stem == image.stem + ending for image, mask in pairs)


def test_both_may_lie_in_one_folder(tmp_path: Path) -> None:
    folder = put(tmp_path, "x_img.png", "x_masks.png", "y.png", "y_masks.png")
    (folder / "x_seg.npy").write_bytes(b"a pickle of another program")
    assert [(a.name, b.name) for a, b in find_pairs(folder, folder)] == [
        ("x_img.png", "x_masks.png"),
        ("y.png", "y_masks.png"),
    ]


@pytest.mark.parametrize("modality", ["_0000", "_0001"])
def test_images_of_nnunet_end_with_their_modality(tmp_path: Path, modality: str) -> None:
    images = put(tmp_path / "imagesTr", f"a_001{modality}.png", f"a_002{modality}.png")
    masks = put(tmp_path / "labelsTr", "a_001.png", "a_002.png", "a_003.png")
    assert [(a.name, b.name) for a, b in find_pairs(images, masks)] == [
        (f"a_001{modality}.png", "a_001.png"),
        (f"a_002{modality}.png", "a_002.png"),
    ]


def test_masks_with_the_number_are_preferred(tmp_path: Path) -> None:
    images = put(tmp_path / "images", "a_0000.png", "a_0001.png")
    masks = put(tmp_path / "masks", "a_0000.png", "a_0001.png", "a.png")
    assert [(a.stem, b.stem) for a, b in find_pairs(images, masks)] == [
        ("a_0000", "a_0000"),
        ("a_0001", "a_0001"),
    ]


@pytest.mark.parametrize("other", ["a_0001", "b_0001"])
def test_several_modalities_are_refused(tmp_path: Path, other: str) -> None:
    images = put(tmp_path / "images", "a_0000.png", f"{other}.png")
    masks = put(tmp_path / "masks", "a.png", "b.png")
    words = rf"holds 2 modalities, .*\(a_0000.png, {other}.png\); .* one file with channels"
    with pytest.raises(InputError, match=words):
        find_pairs(images, masks)


def test_one_image_with_a_number_and_one_without(tmp_path: Path) -> None:
    images = put(tmp_path / "images", "a.png", "a_0000.png")
    masks = put(tmp_path / "masks", "a.png")
    with pytest.raises(InputError, match=r"a\.png, a_0000\.png all belong to 'a'"):
        find_pairs(images, masks)


def test_real_pairs(data: Path) -> None:
    pairs = find_pairs(data / "nuclei" / "images", data / "nuclei" / "masks")
    counts = {}
    for pair in pairs:
        image, labels, name = read_pair(*pair)
        assert image.shape[:2] == labels.shape
        counts[name] = int(labels.max())
    assert counts["fluorescence-256"] == 67
    assert counts["histology"] == 30


@pytest.mark.parametrize(
    ("images", "masks", "sentence"),
    [
        ([], ["a.png"], r"images holds no images"),
        (["a.png"], [], r"masks holds no images"),
        (
            ["a.png", "b.png", "c.png", "d.png", "e.png"],
            ["a.png"],
            r"4 of 5 images have no mask in .*masks \(b.png, c.png, d.png, ...\)",
        ),
        (["a.png"], ["a_mask.png", "a_labels.png"], "a_labels.png, a_mask.png all belong to 'a'"),
        (["a.png", "a.bmp"], ["a.png"], "a.bmp, a.png all belong to 'a'"),
    ],
)
def test_folders_that_do_not_fit(tmp_path: Path, images, masks, sentence) -> None:
    eight = SQUARES.astype(np.uint8)
    put(tmp_path / "images", *images, values=eight)
    put(tmp_path / "masks", *masks, values=eight)
    with pytest.raises(InputError, match=sentence):
        find_pairs(tmp_path / "images", tmp_path / "masks")


def test_a_missing_folder_and_one_without_masks(tmp_path: Path) -> None:
    put(tmp_path / "images", "a.png")
    with pytest.raises(InputError, match="nowhere is not a folder"):
        find_pairs(tmp_path / "images", tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no masks beside its images"):
        find_pairs(tmp_path / "images", tmp_path / "images")


def read(tmp_path: Path, mask: np.ndarray) -> np.ndarray:
    """The labels that come out of a mask, with an image of 12 x 16."""
    put(tmp_path, "a.png", values=SQUARES.astype(np.uint8))
    np.save(tmp_path / "a_mask.npy", mask)
    image, labels, name = read_pair(tmp_path / "a.png", tmp_path / "a_mask.npy")
    assert (image.axes, name) == ("YX", "a")
    return labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_numbers_stay_as_they_are(tmp_path: Path, dtype) -> None:
    labels = read(tmp_path, (7 * SQUARES).astype(dtype))
    assert labels.dtype == np.int32
    assert np.array_equal(labels, 7 * SQUARES)


@pytest.mark.parametrize("mask", [SQUARES > 0, (SQUARES > 0) * np.uint8(255)])
def test_of_a_binary_mask_each_part_is_an_object(tmp_path: Path, mask) -> None:
    assert np.array_equal(read(tmp_path, mask), SQUARES)


def test_a_gray_mask_saved_in_colour_is_read(tmp_path: Path) -> None:
    put(tmp_path, "a.png", values=SQUARES.astype(np.uint8))
    gray = np.repeat((3 * SQUARES).astype(np.uint8)[..., None], 3, axis=-1)
    put(tmp_path, "a_mask.png", values=gray)
    _, labels, _ = read_pair(tmp_path / "a.png", tmp_path / "a_mask.png")
    assert np.array_equal(labels, 3 * SQUARES)
    gray[0, 0, 1] = 9
    put(tmp_path, "a_mask.png", values=gray)
    with pytest.raises(InputError, match="has colours"):
        read_pair(tmp_path / "a.png", tmp_path / "a_mask.png")


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (SQUARES[:10], "the mask a_mask.npy is 10 x 16, but its image a.png is 12 x 16"),
        (SQUARES / 2, "must hold whole numbers from 0, got float64"),
        (SQUARES * np.nan, "must hold whole numbers from 0"),
        (-SQUARES.astype(np.int16), "must hold whole numbers from 0, got int16"),
    ],
)
def test_masks_that_do_not_fit(tmp_path: Path, mask, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, mask)


def test_a_mask_of_one_class_stays_one(tmp_path: Path) -> None:
    values = np.where(SQUARES > 0, 1, 0).astype(np.uint8)
    image = put(tmp_path / "images", "a.png") / "a.png"
    mask = put(tmp_path / "masks", "a.png", values=values) / "a.png"
    assert read_pair(image, mask)[1].max() == 2
    assert np.array_equal(read_pair(image, mask, classes=True)[1], values)


def test_masks_of_volumes_are_laid_onto_the_image(tmp_path: Path) -> None:
    import nibabel

    values = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 2, 3, 1])), tmp_path / "a.nii")
    turned = np.diag([-1.0, 2, 3, 1])
    turned[0, 3] = 3
    mask = nibabel.Nifti1Image((values[::-1] % 3).astype(np.uint8), turned)
    nibabel.save(mask, tmp_path / "a_mask.nii")
    image, labels, _ = read_pair(tmp_path / "a.nii", tmp_path / "a_mask.nii", classes=True)
    assert np.array_equal(labels, np.asarray(image.data) % 3)
    turned[0, 3] = 3.5
    nibabel.save(nibabel.Nifti1Image(mask.dataobj, turned), tmp_path / "a_mask.nii")
    with pytest.raises(InputError, match=r"the mask a_mask\.nii: the voxels of the two volumes"):
        read_pair(tmp_path / "a.nii", tmp_path / "a_mask.nii", classes=True)
