"""napari finds the plugin, and everything it names is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManager, PluginManifest
from npe2.manifest.contributions import MenuCommand
from npe2.manifest.utils import import_python_name

import napari_medai


@pytest.fixture
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-medai")


def test_manifest_is_valid_and_its_commands_import(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id
    assert manifest.display_name == "Medai"


@pytest.mark.skipif(sys.platform == "win32", reason="git makes no links there")
def test_manifest_at_the_top_is_the_one_in_the_package() -> None:
    top = Path(__file__).parents[1] / "napari.yaml"
    inside = Path(napari_medai.__file__).parent / "napari.yaml"
    assert top.resolve() == inside.resolve()


def test_every_command_is_used(manifest: PluginManifest) -> None:
    given = manifest.contributions
    used = {
        entry.command
        for kind in (given.widgets, given.readers, given.writers, given.sample_data)
        for entry in kind or ()
    }
    entries = [item for items in given.menus.values() for item in items]
    used |= {item.command for item in entries if isinstance(item, MenuCommand)}
    assert used == {command.id for command in given.commands}


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("a.dcm", True),
        ("a.IMA", True),
        ("DICOMDIR", True),
        ("a.OME.TIF", True),
        ("readme", False),
        ("notes.txt", False),
        ("Makefile", False),
        ("LICENSE", False),
    ],
)
def test_readers_are_asked_for_images_alone(
    manifest: PluginManifest, name: str, ours: bool, tmp_path: Path
) -> None:
    plugins = PluginManager()
    plugins.register(manifest)
    (tmp_path / name).touch()
    assert any(plugins.iter_compatible_readers([str(tmp_path / name)])) == ours


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr"])
@pytest.mark.parametrize(
    "kinds", [["image"], ["labels"], ["image", "labels"], ["labels", "image", "image", "labels"]]
)
def test_layers_are_saved_as_ome_zarr(
    manifest: PluginManifest, name: str, kinds: list[str]
) -> None:
    plugins = PluginManager()
    plugins.register(manifest)
    writer, path = plugins.get_writer(name, kinds)
    assert writer is not None
    assert (writer.display_name, path) == ("OME-Zarr", name)


def _action(menu: Any, text: str) -> Any:
    for action in menu.actions():
        if action.menu() is not None and (found := _action(action.menu(), text)):
            return found
        if action.text() == text:
            return action
    return None


def _titles(menu: Any) -> Iterator[tuple[str, ...]]:
    for action in menu.actions():
        if action.menu() is None:
            yield (action.text(),)
        else:
            yield from ((action.text(), *rest) for rest in _titles(action.menu()))


@pytest.mark.screen
def test_menus_show_the_plugin(make_napari_viewer: Callable[..., Any]) -> None:
    window = make_napari_viewer().window
    plugins = set(_titles(window.plugins_menu))
    assert {
        ("Medai", f"{name} (Medai)")
        for name in ("Segment", "Detect", "Denoise", "Synthesize", "Measure", "Models")
    } <= plugins
    layers = set(_titles(window.layers_menu))
    assert {
        ("Segment", "Segment (Medai)"),
        ("Annotate", "Detect (Medai)"),
        ("Filter", "Denoise (Medai)"),
        ("Measure", "Measure (Medai)"),
    } <= layers
    assert ("New Layer", "Synthesize (Medai)") in set(_titles(window.file_menu))
    samples = {titles[-1] for titles in _titles(window.file_menu) if "Medai" in titles}
    assert samples == {
        "Blood smear",
        "Mitochondria (noisy)",
        "CT (abdomen) with its organs",
        "Nuclei (fluorescence)",
        "Nuclei (histology)",
        "Synthetic nuclei",
        "Synthetic vessels (3D)",
    }


@pytest.mark.screen
@pytest.mark.parametrize(
    ("name", "menu"), [("Segment (Medai)", "layers_menu"), ("Synthesize (Medai)", "file_menu")]
)
def test_both_menus_show_and_hide_the_same_dock(
    make_napari_viewer: Callable[..., Any], qtbot: Any, name: str, menu: str
) -> None:
    window = make_napari_viewer(show=True).window
    _action(getattr(window, menu), name).trigger()
    widget = window.dock_widgets[name]
    qtbot.waitUntil(widget.isVisible)
    _action(window.plugins_menu, name).trigger()
    qtbot.waitUntil(lambda: not widget.isVisible())
    assert list(window.dock_widgets) == [name]


@pytest.mark.screen
def test_sample_data_open_as_images(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    for key in ("nuclei-fluorescence", "nuclei-histology", "blood-smear"):
        (layer,) = viewer.open_sample("napari-medai", key)
        assert layer.data.std() > 0
    assert [layer.rgb for layer in viewer.layers] == [False, True, True]


@pytest.mark.screen
def test_the_sample_ct_opens_with_its_labels(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    layers = viewer.open_sample("napari-medai", "ct-abdomen")
    assert [layer._type_string for layer in layers] == ["image", "labels"]
    assert layers[0].extent.world == pytest.approx(layers[1].extent.world)


@pytest.mark.screen
def test_the_sample_vessels_are_shown_in_space(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer(ndisplay=3)
    layers = viewer.open_sample("napari-medai", "synthetic-vessels")
    assert [layer._type_string for layer in layers] == ["image", "labels", "vectors"]
    image, labels, lines = layers
    assert image.data.shape == labels.data.shape == (96, 96, 96)
    assert viewer.dims.ndim == 3
    assert len(lines.data) == 400
    assert layers[0].metadata["medai"]["model"] == {"name": "vessels"}
