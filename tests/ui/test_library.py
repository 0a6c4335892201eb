from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_medai.ui import library


def _model(name: str, card: str) -> Any:
    return SimpleNamespace(name=name, config={}, version="1.0", card=card, summary=name)


@pytest.fixture
def opened(qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def open_with(*models: Any) -> library.ModelLibrary:
        monkeypatch.setattr(library, "list_models", lambda: list(models))
        monkeypatch.setattr(library, "user_models_dir", lambda: tmp_path)
        widget = library.ModelLibrary()
        qtbot.addWidget(widget)
        return widget

    return open_with


def test_it_shows_the_card_of_the_chosen_model(opened: Callable[..., Any], tmp_path: Path) -> None:
    widget = opened(_model("nuclei", "# Nuclei\n\nFluorescence."), _model("cells", ""))
    assert "Fluorescence." in widget.card.toPlainText()
    widget.picker.choose("cells")
    assert "no card" in widget.card.toPlainText()
    assert str(tmp_path) in widget.folder.text()


def test_a_package_that_cannot_be_used_is_named(qtbot: Any) -> None:
    folder = library.user_models_dir() / "torn"
    folder.mkdir(parents=True)
    (folder / "rdf.yaml").write_text("name: [", encoding="utf-8")
    try:
        widget = library.ModelLibrary()
        qtbot.addWidget(widget)
        assert widget.broken.text().startswith("torn: ")
    finally:
        (folder / "rdf.yaml").unlink()
        folder.rmdir()


def test_without_models_it_says_so(opened: Callable[..., Any]) -> None:
    assert "No model" in opened().card.toPlainText()
