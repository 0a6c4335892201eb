"""``napari-medai demo``: a real image, segmented with a shipped model, and napari on the result."""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from napari_medai.commands.batch import told_speed
from napari_medai.commands.label_outputs import written_labels_steps
from napari_medai.commands.outputs import LABELS, Outputs
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import finished
from napari_medai.core.units import unit_symbol
from napari_medai.io.atomic import check_writable
from napari_medai.io.images import read_image
from napari_medai.models.registry import find_model
from napari_medai.tasks.segment import SegmentParams
from napari_medai.tasks.segmentation import Segmentation
from napari_medai.tasks.suitable import loaded_net

SAMPLE = Path(__file__).parents[1] / "io" / "samples" / "nuclei_fluorescence.png"
MARK = {"demo": True}
"""In the record of what the demo wrote, which it may write over."""
BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("medai-demo"), metavar="DIR")
    parser.add_argument("--model", default="nuclei", metavar="NAME", help="default nuclei")
    parser.add_argument("--no-viewer", action="store_true", help="do not open napari")


def run(parsed: argparse.Namespace) -> int:
    model = find_model(parsed.model, "segment")
    outputs = Outputs(SAMPLE, check_writable(parsed.out.expanduser()), LABELS)
    if outputs.present and not outputs.hold(MARK, overlay=True):
        raise InputError(
            f"{outputs.present[0]} exists already, but not as an earlier demo left it; "
            "remove it, or choose another folder with --out"
        )
    loaded_net(model, device="auto")
    began = time.perf_counter()
    image = read_image(SAMPLE)[0]
    steps = written_labels_steps(
        image, model, SegmentParams(), outputs, notes=MARK, overlay=True, overwrite=True
    )
    with ProgressLine() as line:
        result = finished(steps, line)
    print(f"{SAMPLE.name}, model {model.name} {model.version}")
    print(f"  {told_speed(result, image.image, time.perf_counter() - began)}")
    print(f"  {_median_area(result, image.units.get('X'))}")
    for path in outputs.present[1:]:
        print(f"  {path}")
    if parsed.no_viewer:
        return 0
    why = viewer_missing()
    if why:
        print(f"napari was not opened: {why}", file=sys.stderr)
    else:
        _open(result)
    return 0


def viewer_missing() -> str:
    """Why napari cannot be opened here, and what to do; empty if it can."""
    if not any(find_spec(binding) for binding in BINDINGS):
        return 'there is no Qt; pip install "napari-medai[all]"'
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    blind = os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal")
    if blind or (sys.platform.startswith("linux") and not screen):
        return "there is no screen; on a computer that has one, run napari-medai demo again"
    return ""


def _median_area(result: Segmentation, unit: str | None) -> str:
    if not result.count:
        return "nothing was found"
    symbol = unit_symbol(unit) or "px"
    return f"median area {np.median(result.features['area']):.0f} {symbol}²"


def _open(result: Segmentation) -> None:
    import napari
    from napari.layers import Layer

    from napari_medai.io.samples import nuclei_fluorescence
    from napari_medai.ui.layers import labels_layer

    viewer = napari.Viewer(title="napari-medai demo")
    image = Layer.create(*nuclei_fluorescence()[0])
    viewer.add_layer(image)
    viewer.add_layer(labels_layer(result, image))
    viewer.window.add_plugin_dock_widget("napari-medai", "Segment")
    napari.run()
