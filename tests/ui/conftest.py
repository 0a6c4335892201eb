"""A small stand-in for models and the segment task, and a widget on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from scipy import ndimage

from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import Step, Steps
from napari_medai.ui import device, engine
from napari_medai.ui.segment import SegmentWidget

VOTES: dict[str, Any] = {"applies": "centre votes"}


@dataclass(frozen=True)
class FakeModel:
    name: str
    version: str = "1.0"
    axes: str = "CYX"
    channels: int = 1
    config: dict[str, Any] = field(default_factory=dict)
    decoder: str = "centre votes"
    card: str = "# Nuclei\n\nFinds nuclei."
    summary: str = "Finds nuclei."


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeParams:
    threshold: Annotated[float, {"min": 0.05, "max": 0.95, "step": 0.01, "help": "Cut"} | VOTES] = (
        0.5
    )
    min_size: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.01} | VOTES] = 0.1
    min_score: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.01} | VOTES] = 0.0
    diameter: Annotated[float, {"min": 0, "max": 1000, "zero": "auto", "unit": "px"} | VOTES] = 0.0
    mirror: Annotated[str, {"choices": ("auto", "on", "off"), "applies": "classes"}] = "auto"
    device: str = "auto"
    tile: int = 0


@dataclass(frozen=True)
class FakeSegmentation:
    labels: Any
    axes: str
    features: dict[str, Any]
    record: dict[str, Any]
    scores: Any
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    colours: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.features["index"])

    @property
    def told(self) -> str:
        return f"{self.count} objects"


def found(image: AxesArray, scores: np.ndarray, params: FakeParams) -> FakeSegmentation:
    """Connected pixels above the threshold, of which those of 1 + 10 * min_size pixels stay."""
    labels, count = ndimage.label(scores > params.threshold)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = np.flatnonzero(sizes >= 1 + 10 * params.min_size)
    kept = kept[kept > 0]
    table = np.zeros(count + 1, np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    axes = image.axes.replace("C", "")
    features = {"index": np.arange(1, len(kept) + 1), "area": sizes[kept]}
    record = {
        "task": "segment",
        "model": "nuclei",
        "parameters": {"threshold": params.threshold, "min_size": params.min_size},
    }
    return FakeSegmentation(table[labels].astype(np.int32), axes, features, record, scores)


@dataclass
class FakeEngine:
    """What the doors lead to in tests; ``gate`` holds a run back until it is set."""

    models: list[FakeModel]
    gate: threading.Event = field(default_factory=threading.Event)
    steps: int = 3
    error: Exception | None = None
    closed: bool = False
    runs: list[tuple[AxesArray, FakeModel, FakeParams]] = field(default_factory=list)
    decoded: list[FakeParams] = field(default_factory=list)
    image: AxesArray | None = None
    scores: bool = True

    def segment_steps(
        self, image: AxesArray, model: FakeModel, params: FakeParams
    ) -> Steps[FakeSegmentation]:
        self.runs.append((image, model, params))
        self.image = image
        try:
            for done in range(self.steps):
                yield Step(done, self.steps, "looking")
                assert self.gate.wait(10)
                if self.error is not None:
                    raise self.error
            mean = np.asarray(image.data)
            if "C" in image.axes:
                mean = mean.mean(axis=image.axes.index("C"))
            result = found(image, mean, params)
            return result if self.scores else replace(result, scores=None)
        finally:
            self.closed = True

    def redecoded(self, segmentation: FakeSegmentation, params: FakeParams) -> FakeSegmentation:
        self.decoded.append(params)
        assert self.image is not None
        return found(self.image, segmentation.scores, params)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeEngine]:
    models = [FakeModel("nuclei"), FakeModel("cells")]
    stand_in = FakeEngine(models)
    stand_in.gate.set()
    monkeypatch.setenv("MEDAI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(engine, "segmentation_models", lambda: stand_in.models)
    monkeypatch.setattr(engine, "params_class", lambda: FakeParams)
    monkeypatch.setattr(engine, "segment_steps", stand_in.segment_steps)
    monkeypatch.setattr(engine, "redecoded", stand_in.redecoded)
    monkeypatch.setattr(device, "found_devices", lambda: {"cpu": "2 threads"})
    yield stand_in
    stand_in.gate.set()


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """The messages shown to the user."""
    from napari.utils.notifications import notification_manager

    shown: list[str] = []

    def take(notification: Any) -> None:
        shown.append(notification.message)

    notification_manager.notification_ready.connect(take)
    yield shown
    notification_manager.notification_ready.disconnect(take)


@pytest.fixture
def make_widget(
    qtbot: Any, fake: FakeEngine, viewer: ViewerModel, errors: list[str]
) -> Callable[[], SegmentWidget]:
    def make() -> SegmentWidget:
        widget = SegmentWidget(viewer)
        qtbot.addWidget(widget)
        return widget

    return make


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Event]]:
    """Holds back the steps of this name in `engine`, while what it gives is cleared."""
    gates = []

    def hold(name: str) -> threading.Event:
        held = threading.Event()
        held.set()
        original = getattr(engine, name)

        def slow(*args: Any, **more: Any) -> Steps[Any]:
            yield Step(0, 0, "waiting")
            assert held.wait(20)
            return (yield from original(*args, **more))

        monkeypatch.setattr(engine, name, slow)
        gates.append(held)
        return held

    yield hold
    for held in gates:
        held.set()
