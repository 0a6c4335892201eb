"""Measuring labels from a script and from the shell."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels, Points

import napari_medai as medai
from napari_medai.cli import main
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.volume_writers import Volume, write_volume

GRID = Grid.from_lps((-20.0, 31.5, -7.0), (0.5, 0.5, 2.0), np.diag([1.0, -1, -1]))


def drawn() -> np.ndarray:
    labels = np.zeros((6, 10, 12), np.uint8)
    labels[2:5, 1:3, 4:9] = 3
    return labels


def values() -> np.ndarray:
    return np.arange(6 * 10 * 12, dtype=np.int16).reshape(6, 10, 12)


def test_a_layer_gives_a_table() -> None:
    layer = Labels(
        drawn(), scale=(2, 0.5, 0.5), units="mm", features={"index": [3], "class": ["a"]}
    )
    image = Image(values(), scale=(2, 0.5, 0.5), units="mm")
    table = medai.measure(layer, image)
    assert isinstance(table, pd.DataFrame)
    assert table["index"].tolist() == [3]
    assert table["class"].tolist() == ["a"]
    assert table["volume_ml"][0] == pytest.approx(0.015)
    assert table["mean_intensity"][0] == pytest.approx(values()[drawn() == 3].mean())
    assert list(layer.features) == ["index", "class"]
    pd.testing.assert_frame_equal(medai.measure(layer, values()), table)
    layer.features = table  # fits as it is


def test_an_array_takes_scale_and_units() -> None:
    table = medai.measure(drawn(), scale=(2, 0.5, 0.5), units="um")
    assert table["volume_um3"][0] == pytest.approx(15)
    assert "mean_intensity" not in table
    colours = np.stack([drawn()[2]] * 3, -1) * 2
    flat = medai.measure(drawn()[2], colours, scale=0.5, units="cm")
    assert flat["area_mm2"][0] == pytest.approx(250)
    assert flat["max_intensity"][0] == 6
    frames = medai.measure(drawn(), axes="tyx")
    assert frames["t"].tolist() == [2, 3, 4]


def test_what_cannot_be_measured() -> None:
    with pytest.raises(InputError, match="Points layer; choose a labels layer"):
        medai.measure(Points(np.zeros((1, 2)), name="dots"))
    with pytest.raises(InputError, match="whole numbers"):
        medai.measure(np.ones((3, 3)))
    with pytest.raises(InputError, match="choose the image"):
        medai.measure(drawn(), AxesArray(values()[:5], "ZYX"))
    with pytest.warns(UserWarning, match="lies elsewhere"):
        medai.measure(Labels(drawn()), Image(values(), translate=(9, 9, 9)))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_volume(tmp_path / "a_labels.nii.gz", Volume(drawn(), GRID, labels=True))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_shell_writes_a_table(labels: Path, tmp_path: Path, capsys: Any) -> None:
    scan = write_volume(tmp_path / "scan.nrrd", Volume(values(), GRID))
    out = tmp_path / "out.csv"
    assert main(["measure", str(labels), "--image", str(scan), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    (row,) = rows(out)
    assert row["index"] == "3"
    assert float(row["volume_ml"]) == pytest.approx(0.015)
    assert float(row["longest_diameter_mm"]) == pytest.approx(np.hypot(5, 1) / 2)
    assert float(row["mean_intensity"]) == pytest.approx(values()[drawn() == 3].mean())
    assert main(["measure", str(labels), "--out", str(out)]) == 2
    assert "overwriting" in capsys.readouterr().err
    assert main(["measure", str(labels), "--out", str(out), "--overwrite"]) == 0
    assert "mean_intensity" not in rows(out)[0]


def test_labels_of_some_slices_are_measured_on_the_whole_scan(labels: Path, tmp_path: Path) -> None:
    whole = np.zeros((9, 11, 12), np.int16)
    whole[2:8, 1:] = values()  # before the first voxel along the stored axes
    scan = write_volume(tmp_path / "scan.nii.gz", Volume(whole, GRID.cropped((-2, -1, 0))))
    out = tmp_path / "out.csv"
    assert main(["measure", str(labels), "--image", str(scan), "--out", str(out)]) == 0
    assert float(rows(out)[0]["mean_intensity"]) == pytest.approx(values()[drawn() == 3].mean())


def test_a_scan_elsewhere_is_refused(labels: Path, tmp_path: Path, capsys: Any) -> None:
    scan = write_volume(tmp_path / "scan.nii.gz", Volume(values(), GRID.cropped((1, 0, 0))))
    out = tmp_path / "out.csv"
    assert main(["measure", str(labels), "--image", str(scan), "--out", str(out)]) == 2
    assert "do not lie on voxels of the image" in capsys.readouterr().err
    assert not out.exists()


def test_scale_and_units_may_be_told(tmp_path: Path) -> None:
    path = tmp_path / "a_labels.npy"
    np.save(path, drawn())
    out = tmp_path / "out.csv"
    told = ["--scale", "2,0.5,0.5", "--units", "um"]
    assert main(["measure", str(path), *told, "--out", str(out)]) == 0
    assert float(rows(out)[0]["volume_um3"]) == pytest.approx(15)
