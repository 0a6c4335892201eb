"""The result that the sliders still move: its scores, and the layer that shows them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.steps import Steps
from napari_medai.core.words import digits
from napari_medai.ui import engine
from napari_medai.ui.layers import Place, labels_layer, placed_record
from napari_medai.ui.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels

    from napari_medai.models.model import Model
    from napari_medai.tasks.segment import SegmentParams
    from napari_medai.tasks.segmentation import Segmentation


class LiveResult:
    """A run's result and its Labels layer, until the user takes the layer over.

    It may be made in a thread, where a large layer takes a while; it is shown in the main one.
    """

    def __init__(self, result: Segmentation, params: SegmentParams, source: Source, *, model: str):
        self.result, self.params, self.model = result, params, model
        self.source_layer = source.layer
        self._place: Place = source.place
        self.layer: Labels = labels_layer(result, source.place)
        self._edited = self._writing = False
        for event in (self.layer.events.paint, self.layer.events.data):
            event.connect(self._notice)

    @property
    def problem(self) -> str:
        """Why the layer cannot follow the sliders; nothing if it can."""
        if self._edited:
            return "The last result was edited and is left alone. Run again for a new one."
        if self.result.scores is None and not self.result.classes:
            return "The scores were too large to keep. Run again."
        return ""

    @property
    def record(self) -> dict[str, Any]:
        """How the result that is shown was made."""
        return placed_record(self.result.record, self._place)

    def show(self, result: Segmentation) -> None:
        """Show other objects from the same scores in the same layer."""
        import pandas as pd

        with self._own_write():
            self._write(self._place.laid(result.labels, result.axes))
            self.layer.features = pd.DataFrame(dict(result.features))
            self.result = result
            self.layer.metadata = {**self.layer.metadata, "medai": self.record}

    def release(self) -> None:
        """Let the layer go; the scores go with this object."""
        for event in (self.layer.events.paint, self.layer.events.data):
            event.disconnect(self._notice)

    def _write(self, labels: Any) -> None:
        shown = self.layer.data
        alike = isinstance(shown, np.ndarray) and isinstance(labels, np.ndarray)
        if alike and (shown.shape, shown.dtype) == (labels.shape, labels.dtype):
            # Several times faster than new data, for which napari measures the layer again.
            shown[...] = labels
            self.layer.refresh(extent=False)
        else:
            self.layer.data = labels

    @contextmanager
    def _own_write(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _notice(self, event: Any = None) -> None:
        if not self._writing and not self._edited:
            self._edited = True
            self.result = replace(self.result, scores=None)  # up to a gigabyte


def live_steps(source: Source, model: Model, params: SegmentParams) -> Steps[LiveResult]:
    """Segment a source; called in a thread."""
    result = yield from engine.segment_steps(source.image, model, params)
    return LiveResult(result, params, source, model=model.name)


def decoded_again(
    live: LiveResult, result: Segmentation, params: SegmentParams
) -> tuple[LiveResult, Segmentation, float]:
    """A result's scores decoded with other parameters, and the seconds it took; in a thread."""
    started = time.perf_counter()
    other = engine.redecoded(result, params)
    return live, other, time.perf_counter() - started


def counted(live: LiveResult) -> str:
    """What was found: ``1 302 nuclei``, or how much of each class."""
    result = live.result
    if result.classes or live.model != "nuclei":
        return result.told
    return f"{digits(result.count)} " + ("nucleus" if result.count == 1 else "nuclei")
