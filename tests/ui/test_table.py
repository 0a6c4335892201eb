from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_medai.core.errors import MedaiError
from napari_medai.ui.headings import Heading
from napari_medai.ui.table import FeatureTable, decimals_of

HEADINGS = [
    Heading("index", "Label", "The number"),
    Heading("class", "Class", "What it is"),
    Heading("volume_ml", "Volume (ml)", "How much"),
]


@pytest.fixture
def table(qtbot: Any) -> FeatureTable:
    table = FeatureTable()
    qtbot.addWidget(table)
    columns = {
        "index": [9, 2, 30],
        "class": np.array(["b", "a", "c"], dtype=object),
        "volume_ml": [23.456, np.nan, 0.5],
        "centroid-z": [1.0, 2.0, 3.0],
    }
    table.show_columns(columns, HEADINGS)
    return table


def shown(table: FeatureTable, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> Any:
    model = table.model()
    size = model.rowCount(), model.columnCount()
    return [[model.index(r, c).data(role) for c in range(size[1])] for r in range(size[0])]


def test_rows_are_sorted_by_number_and_rounded(table: FeatureTable) -> None:
    assert shown(table) == [["2", "a", "–"], ["9", "b", "23.5"], ["30", "c", "0.5"]]
    tips = shown(table, Qt.ItemDataRole.ToolTipRole)
    assert [row[2] for row in tips] == ["nan", "23.456", "0.5"]


def test_titles_have_units_and_help(table: FeatureTable) -> None:
    def title(role: Qt.ItemDataRole) -> Any:
        return table.model().headerData(2, Qt.Orientation.Horizontal, role)

    assert title(Qt.ItemDataRole.DisplayRole) == "Volume\n(ml)"
    assert title(Qt.ItemDataRole.ToolTipRole) == "How much"
    assert title(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    sides = shown(table, Qt.ItemDataRole.TextAlignmentRole)[0]
    right = [bool(side & Qt.AlignmentFlag.AlignRight) for side in sides]
    assert right == [True, False, True]


@pytest.mark.parametrize(
    ("column", "order", "labels"),
    [
        (0, Qt.SortOrder.DescendingOrder, [30, 9, 2]),
        (1, Qt.SortOrder.DescendingOrder, [30, 9, 2]),
        (2, Qt.SortOrder.AscendingOrder, [30, 9, 2]),
        (2, Qt.SortOrder.DescendingOrder, [9, 30, 2]),
    ],
)
def test_sorting_puts_what_is_missing_last(
    table: FeatureTable, column: int, order: Qt.SortOrder, labels: list[int]
) -> None:
    table.selectRow(0)
    table.sortByColumn(column, order)
    assert [int(row[0]) for row in shown(table)] == labels
    chosen = table.selectionModel().selectedRows()[0].row()
    assert labels[chosen] == 2  # the chosen object stays chosen


def test_a_click_tells_the_row_of_the_columns(table: FeatureTable, qtbot: Any) -> None:
    table.show()
    rows: list[int] = []
    table.went.connect(rows.append)
    for place in (0, 2):
        at = table.visualRect(table.model().index(place, 1)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert rows == [1, 2]


def test_arrow_keys_go_on(table: FeatureTable, qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(FeatureTable, "hasFocus", lambda self: True)  # no window manager here
    table.setCurrentIndex(table.model().index(0, 0))
    rows: list[int] = []
    table.went.connect(rows.append)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert rows == [0]


def test_text_is_what_is_shown_in_full_precision(table: FeatureTable) -> None:
    table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert table.text() == "Label\tClass\tVolume (ml)\n30\tc\t0.5\n9\tb\t23.456\n2\ta\tnan\n"


def _dialog(monkeypatch: pytest.MonkeyPatch, told: Path | str, *, replace: bool = False) -> None:
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (str(told), ""))
    monkeypatch.setattr(QMessageBox, "question", lambda *args: yes if replace else no)


def test_saving_writes_all_columns(
    table: FeatureTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _dialog(monkeypatch, tmp_path / "a.csv")
    assert table.save("a") == tmp_path / "a.csv"
    lines = (tmp_path / "a.csv").read_text("utf-8").splitlines()
    assert lines[:2] == ["index,class,volume_ml,centroid-z", "9,b,23.456,1.0"]


def test_saving_replaces_only_what_the_user_agreed_to(
    table: FeatureTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("mine")
    _dialog(monkeypatch, tmp_path / "a")  # Qt has asked about this name only
    assert table.save("a") is None
    assert (tmp_path / "a.csv").read_text() == "mine"
    _dialog(monkeypatch, tmp_path / "a", replace=True)
    assert table.save("a") == tmp_path / "a.csv"
    assert (tmp_path / "a.csv").read_text("utf-8").startswith("index")
    _dialog(monkeypatch, "")
    assert table.save("a") is None


def test_a_folder_that_is_missing_is_told(
    table: FeatureTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    _dialog(monkeypatch, tmp_path / "file" / "a.csv")
    with pytest.raises(MedaiError, match=r"a\.csv|file"):
        table.save("a")


def test_nothing_to_show(qtbot: Any) -> None:
    table = FeatureTable()
    qtbot.addWidget(table)
    assert table.text() == "\n"
    table.show_columns({"index": [], "volume_ml": []}, HEADINGS)
    assert shown(table) == []
    assert table.text() == "Label\tVolume (ml)\n"


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([23.456, 0.5], 1),
        ([2.5, 3.1], 2),
        ([1234.5, 999.1], 0),
        ([0.00123], 5),
        ([1e-12], 6),
        ([-40.0, 3071.0], 0),
        ([0.0, np.nan], 0),
        ([], 0),
    ],
)
def test_decimals_tell_values_apart(values: list[float], decimals: int) -> None:
    assert decimals_of(np.array(values, dtype=float)) == decimals


def test_widths_stay_where_numbers_look_alike(table: FeatureTable) -> None:
    columns = {"index": [1, 2, 3], "class": ["a", "b", "c"], "volume_ml": [23.4, 0.6, 0.5]}
    table.show_columns(columns, HEADINGS)
    table.setColumnWidth(1, 333)
    table.show_columns({**columns, "index": [4, 5, 6]}, HEADINGS, fit=False)
    assert table.columnWidth(1) == 333
    many = {name: list(values) * 4 for name, values in columns.items()}
    table.show_columns(many, HEADINGS, fit=False)
    assert table.columnWidth(1) < 333
    table.setColumnWidth(1, 333)
    table.show_columns(many, HEADINGS)
    assert table.columnWidth(1) < 333
