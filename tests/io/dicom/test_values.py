from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from napari_medai.io.dicom.reader import read_dicom


@pytest.mark.parametrize(
    ("bits", "signed", "slope", "intercept", "dtype"),
    [
        (12, 0, 1, -1024, "int16"),
        (16, 0, 1, -1024, "int32"),
        (16, 1, 1, 0, "int16"),
        (16, 0, 1, 0, "uint16"),
        (12, 0, 2, -3, "int16"),
        (16, 0, 0.5, -10, "float32"),
    ],
)
def test_values_are_whole_where_they_can_be(
    bits: int,
    signed: int,
    slope: float,
    intercept: float,
    dtype: str,
    series: Callable[..., Path],
    make: Any,
) -> None:
    data = make.phantom() % 4096
    folder = series(
        data,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=signed,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
    )
    (image,) = read_dicom(folder)
    assert image.levels[0].dtype == dtype
    np.testing.assert_array_equal(
        np.asarray(image.levels[0]), data.astype(float) * slope + intercept
    )
    assert image.metadata["values"] == "HU"


def test_slices_have_slopes_of_their_own(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom()
    slopes = [0.5, 1.0, 2.0, 0.25]
    (image,) = read_dicom(series(data, RescaleSlope=slopes, RescaleIntercept=0))
    np.testing.assert_allclose(
        np.asarray(image.levels[0]), data * np.array(slopes)[:, None, None], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("function", "limits"),
    [
        (None, (-160.5 + 0.5, 239.0)),
        ("LINEAR", (-160.0, 239.0)),
        ("LINEAR_EXACT", (-160.0, 240.0)),
        ("SIGMOID", (-160.0, 240.0)),
    ],
)
def test_contrast_is_the_first_window(
    function: str | None,
    limits: tuple[float, float],
    series: Callable[..., Path],
    make: Any,
) -> None:
    folder = series(
        make.phantom(), WindowCenter="40\\300", WindowWidth="400\\1500", VOILUTFunction=function
    )
    (image,) = read_dicom(folder)
    assert image.contrast == pytest.approx(limits)
    assert image.metadata["windows"] == [(40.0, 400.0), (300.0, 1500.0)]


def test_contrast_without_a_window(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom()
    (ct,) = read_dicom(series(data))
    assert ct.contrast == (-160, 240)
    (wrong,) = read_dicom(series(data, folder="wrong", WindowCenter=40, WindowWidth=0))
    assert wrong.contrast == (-160, 240)
    (mr,) = read_dicom(series(data, folder="mr", modality="MR"))
    assert mr.contrast == pytest.approx(np.percentile(data[2], (1, 99.5)))


def test_white_is_bright_in_monochrome1(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom() % 4096
    folder = series(
        data,
        modality="CR",
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        HighBit=11,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=1000,
        WindowWidth=401,
        VOILUTFunction="LINEAR",
    )
    (image,) = read_dicom(folder)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), (4095 - data.astype(int)) * 2 - 100)
    assert image.metadata["inverted"] is True
    # what was shown white, up to 799.5, is now from the mirrored value on
    total = 4095 * 2 - 200
    assert image.contrast == pytest.approx((total - 1199.5, total - 799.5))


def test_a_modality_lut_is_applied(make: Any, tmp_path: Path) -> None:
    pixels = np.array([[0, 10, 11], [12, 13, 4000]], np.uint16)
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 10, 16], "US"
    table.LUTData = [7, 500, 30, 60000]
    dataset = make.header("CR", ModalityLUTSequence=[table])
    for tag in ("LUTDescriptor", "LUTData"):
        table[tag].VR = "US"
    (image,) = read_dicom(make.save(tmp_path / "lut.dcm", dataset, pixels))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), [[7, 7, 500], [30, 60000, 60000]])


@pytest.mark.parametrize("name", ["YBR_FULL", "RGB"])
def test_colours_are_rgb(name: str, make: Any, tmp_path: Path) -> None:
    red = [76, 85, 255] if name == "YBR_FULL" else [254, 0, 0]
    pixels = np.broadcast_to(np.array(red, np.uint8), (4, 6, 3)).copy()
    dataset = make.header(
        "US",
        SamplesPerPixel=3,
        PhotometricInterpretation=name,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    (image,) = read_dicom(make.save(tmp_path / "c.dcm", dataset, pixels))
    assert (image.axes, image.rgb) == ("YXC", True)
    np.testing.assert_allclose(np.asarray(image.levels[0])[2, 3], [254, 0, 0], atol=1)


def test_a_palette_is_applied(make: Any, tmp_path: Path) -> None:
    dataset = make.header(
        "US", PhotometricInterpretation="PALETTE COLOR", BitsAllocated=8, BitsStored=8, HighBit=7
    )
    for name, values in (("Red", [0, 9]), ("Green", [7, 0]), ("Blue", [3, 200])):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [2, 0, 8])
        setattr(dataset, f"{name}PaletteColorLookupTableData", bytes(values))
    pixels = np.array([[0, 1], [1, 1]], np.uint8)
    (image,) = read_dicom(make.save(tmp_path / "p.dcm", dataset, pixels))
    assert image.rgb
    np.testing.assert_array_equal(np.asarray(image.levels[0])[0], [[0, 7, 3], [9, 0, 200]])


def pet(**tags: Any) -> dict[str, Any]:
    item = Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = 370e6, 6586.2
    item.RadiopharmaceuticalStartTime = "090000"
    return {
        "modality": "PT",
        "RescaleSlope": 2.0,
        "RescaleIntercept": 0,
        "Units": "BQML",
        "CorrectedImage": "ATTN\\DECY",
        "DecayCorrection": "START",
        "SeriesDate": "20200101",
        "SeriesTime": "100000.5",
        "PatientWeight": 75,
        "RadiopharmaceuticalInformationSequence": item and _sequence(item),
        **tags,
    }


def _sequence(item: Dataset) -> Any:
    from pydicom.sequence import Sequence

    return tuple(Sequence([item]))


def test_uptake_of_a_pet(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom()
    (image,) = read_dicom(series(data, **pet()))
    dose = 370e6 * 2 ** (-3600 / 6586.2)
    np.testing.assert_allclose(np.asarray(image.levels[0]), data * 2.0 * 75000 / dose, rtol=1e-6)
    assert image.metadata["values"] == "SUV"
    assert image.contrast == (0, 10)


@pytest.mark.parametrize(
    ("tags", "unit"),
    [
        ({"PatientWeight": None}, "Bq/ml"),
        ({"CorrectedImage": "ATTN"}, "Bq/ml"),
        ({"DecayCorrection": "NONE"}, "Bq/ml"),
        ({"Units": "CNTS"}, None),
    ],
)
def test_uptake_that_cannot_be_known(
    tags: dict[str, Any], unit: str | None, series: Callable[..., Path], make: Any
) -> None:
    data = make.phantom()
    (image,) = read_dicom(series(data, **pet(**tags)))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data * 2)
    assert image.metadata.get("values") == unit
    assert "uptake (SUV) could not be computed" in image.notes[0]


def test_dose_is_in_gray(make: Any, tmp_path: Path) -> None:
    dataset = make.header(
        "RTDOSE",
        NumberOfFrames=4,
        DoseGridScaling=0.25,
        DoseUnits="GY",
        ImagePositionPatient=[1, 2, 3],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[2, 3],
        GridFrameOffsetVector=[0, 5, 10, 15],
    )
    data = make.phantom()
    (image,) = read_dicom(make.save(tmp_path / "dose.dcm", dataset, data))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data * 0.25)
    assert image.metadata["values"] == "Gy"
    assert image.spacing == {"Z": 5, "Y": 2, "X": 3}
    assert image.grid is not None
    assert image.grid.origin.tolist() == [3, 2, 1]
