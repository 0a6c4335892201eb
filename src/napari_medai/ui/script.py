"""The Python that makes a result again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.ui.layers import model_name

if TYPE_CHECKING:
    from napari.layers import Layer

TEMPLATE = """\
import napari
import napari_medai as medai

viewer = napari.current_viewer() or napari.Viewer()
{opened}image = {image}
{result} = medai.{task}(
    image,
{arguments})
viewer.add_layer({result})
"""
SYNTHETIC = """\
import napari
import napari_medai as medai

viewer = napari.current_viewer() or napari.Viewer()
{given}layers = medai.synthesize(
{arguments})
for layer in layers:
    viewer.add_layer(layer)
"""
OPENED = """\
if {layer!r} not in viewer.layers:
    viewer.open({path!r})
"""
ARRAY = "...  # it was an array: put it here"
STYLE = "...  # the image whose look is followed: put it here"
SYNTHESIZE = "synthesize"
RESULTS = {"segment": "labels", "detect": "boxes", "denoise": "clean"}


def script(source: Layer | Mapping[str, Any], *, path: str | None = None) -> str:
    """Python code that makes a result again, from its layer or its record.

    ``path`` is the file that the source layer came from, opened where the layer is missing.

    Raises
    ------
    InputError
        If the layer was not made by napari-medai, or by several steps.
    """
    record = source if isinstance(source, Mapping) else source.metadata.get("medai")
    if not isinstance(record, Mapping):
        raise InputError(
            f"layer {getattr(source, 'name', '')!r} has no record of how it was made; "
            "choose a layer that napari-medai made"
        )
    if record.get("task") == SYNTHESIZE:
        given = "".join(f"{name} = {value}\n" for name, value in _given_to(record).items())
        return SYNTHETIC.format(given=given, arguments=_listed(_made_of(record)))
    origin = record.get("source")
    origin = origin if isinstance(origin, Mapping) else {}
    task = str(record.get("task", "segment"))
    if task not in RESULTS:
        raise InputError(
            f"what was made by {task!r} cannot be made again by one call; "
            f"there are scripts for {', '.join((*RESULTS, SYNTHESIZE))}"
        )
    layer = str(origin.get("layer", ""))
    return TEMPLATE.format(
        opened=OPENED.format(layer=layer, path=path) if path and layer else "",
        image=f"viewer.layers[{layer!r}]" if layer else ARRAY,
        result=RESULTS[task],
        task=task,
        arguments=_arguments(record, origin),
    )


def copy_script(record: Mapping[str, Any], *, path: str | None = None) -> None:
    """Put the Python that makes a result again on the clipboard, and say so."""
    from napari.utils.notifications import show_info
    from qtpy.QtWidgets import QApplication

    text = script(record, path=path)
    if (clipboard := QApplication.clipboard()) is not None:
        clipboard.setText(text)
    show_info("The script is on the clipboard.")


def _arguments(record: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """One line a keyword argument."""
    model = record.get("model", "nuclei")
    lines = {"model": repr(str(model["name"] if isinstance(model, Mapping) else model))}
    if origin.get("axes"):
        lines["axes"] = repr(str(origin["axes"]))
    window = dict(origin.get("window") or {})
    first, stop = window.get(CHANNEL, (0, 0))
    if stop - first == 1:
        lines["channel"] = repr(first)
        del window[CHANNEL]
    if window:
        cuts = ", ".join(f"{a!r}: slice({start}, {end})" for a, (start, end) in window.items())
        lines["window"] = f"{{{cuts}}}"
    if record.get("points"):
        lines["points"] = "True"
    lines |= {name: repr(value) for name, value in parameters(record).items()}
    return _listed(lines)


def _given_to(record: Mapping[str, Any]) -> dict[str, str]:
    """What was painted: its labels, on which the result lies, and its style."""
    given = dict.fromkeys(record.get("given", ()), ARRAY)
    layer = (record.get("source") or {}).get("layer")
    if "labels" in given and layer:
        given["labels"] = f"viewer.layers[{str(layer)!r}]"
    if "style" in given:
        given["style"] = STYLE
    return given


def _made_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The keyword arguments that synthesize what a record tells of."""
    given = {**parameters(record)}
    given["shape"] = tuple(given["shape"])
    if not given.get("count", 1):
        del given["count"]  # as many as the model is used to
    image = {} if record.get("source") else record.get("image", {})  # layers have their own
    for word, by_axis in (("scale", image.get("spacing")), ("units", image.get("units"))):
        if by_axis:
            alike = len({*by_axis.values()}) == 1 and len(by_axis) == len(given["shape"])
            given[word] = next(iter(by_axis.values())) if alike else dict(by_axis)
    return {
        "model": repr(model_name(record)),
        **{name: name for name in _given_to(record)},
        **{name: repr(value) for name, value in given.items()},
    }


def _listed(lines: Mapping[str, str]) -> str:
    return "".join(f"    {name}={value},\n" for name, value in lines.items())


def parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of the task in a record.

    A net that learned from the image by time learns by as many steps, which gives nearly the same:
    how fast it learns at each follows the time that is left, or the steps.
    """
    values = record.get("parameters", {})
    if dataclasses.is_dataclass(values) and not isinstance(values, type):
        values = dataclasses.asdict(values)
    found, told = record.get("found"), dict(values)
    steps = found.get("steps") if isinstance(found, Mapping) else None
    if not steps or "steps" not in told or "seconds" not in told:
        return told
    return {name: value for name, value in (told | {"steps": steps}).items() if name != "seconds"}
