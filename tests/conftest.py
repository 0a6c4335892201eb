"""What all tests share: nothing of the user's is read or written, and no threads spin."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari_medai.core.boxes import Boxes

# Before napari, torch or platformdirs are imported: they look only once.
_home = tempfile.TemporaryDirectory(prefix="napari-medai-tests-", ignore_cleanup_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_home.name) / "napari" / "settings.yaml")
for _kind in ("CACHE", "CONFIG", "DATA", "STATE"):
    os.environ[f"XDG_{_kind}_HOME"] = str(Path(_home.name) / _kind.lower())
os.environ["MEDAI_MODELS"] = str(Path(_home.name) / "models")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

_NO_SCREEN = sys.platform == "linux" and not (
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if _NO_SCREEN:
    # Plain widgets work so; a canvas does not.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what opens the real viewer when there is nothing to open it on."""
    if not _NO_SCREEN:
        return
    skip = pytest.mark.skip(reason="no screen with OpenGL; use make test")
    for item in items:
        wants_viewer = "make_napari_viewer" in getattr(item, "fixturenames", ())
        if wants_viewer or item.get_closest_marker("screen"):
            item.add_marker(skip)


def pytest_unconfigure() -> None:
    _home.cleanup()


@pytest.fixture(scope="module")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package, alone in its folder, of random weights that find something in any image."""
    import torch

    from napari_medai.models.package import write_model
    from napari_medai.nn.unet import UNet
    from napari_medai.tasks.train_objects import instance_spec

    folder = tmp_path_factory.mktemp("models")
    net = {"ndim": 2, "channels_in": 3, "channels_out": 4, "widths": [4, 8], "shuffle": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet(**net)
    with torch.no_grad():
        unet.head.weight.mul_(20)
        unet.head.bias[:4] = 2
    weights = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save(unet.state_dict(), weights)
    spec = instance_spec("tiny", net, description="For tests.", config={"diameter": 24.0})
    return write_model(folder / "tiny", spec, weights=weights).path


@pytest.fixture(scope="module")
def class_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 3D package of two classes at 1 mm, of random weights that find both in any volume."""
    import torch

    from napari_medai.nn.unet import UNet
    from napari_medai.tasks.train_classes import ZSCORE, classes_spec
    from napari_medai.tasks.trained import write_trained

    kwargs = {"ndim": 3, "channels_in": 1, "channels_out": 3, "widths": [4, 8], "shuffle": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        unet = UNet(**kwargs).eval()
    with torch.no_grad():
        unet.head.weight.mul_(20)
    spec = classes_spec(
        "halves",
        kwargs,
        classes=("front", "back"),
        description="For tests.",
        config={
            "spacing": [1.0, 1.0, 1.0],
            "intensity": ZSCORE,
            "mirror": "X",
            "notice": "Not a medical device; research use only.",
        },
    )
    return write_trained(tmp_path_factory.mktemp("models") / "halves", spec, unet).path


@pytest.fixture
def data() -> Path:
    """The folder of real test images."""
    return Path(__file__).parent / "data"


def draw_blobs(*, seed: int = 0, shape: tuple[int, int] = (96, 112)) -> tuple[np.ndarray, Boxes]:
    """A picture of bright and dim discs, uint8, and their boxes."""
    rng = np.random.default_rng(seed)
    image = rng.normal(30, 6, shape)
    y, x = np.indices(shape)
    corners, kinds = [], []
    for top in range(4, shape[0] - 24, 28):
        for left in range(4, shape[1] - 24, 28):
            radius = rng.uniform(7, 9)
            middle = np.array([top, left]) + radius + rng.uniform(0, 3, 2)
            kind = ("bright", "dim")[int(rng.integers(2))]
            inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= radius**2
            image[inside] += 190 if kind == "bright" else 80
            corners.append([middle - radius - 0.5, middle + radius + 0.5])
            kinds.append(kind)
    from napari_medai.core.boxes import Boxes

    return image.clip(0, 255).astype(np.uint8), Boxes.of(corners, kinds)


@pytest.fixture(scope="session")
def box_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package, alone in its folder, that was taught to find bright and dim discs."""
    import torch

    from napari_medai.core.intensity import intensity_of
    from napari_medai.core.steps import finished
    from napari_medai.nn.box_crops import BoxExample
    from napari_medai.nn.box_net import BoxNet
    from napari_medai.nn.boxes import BoxObjective
    from napari_medai.nn.crops import Geometry
    from napari_medai.nn.training import Run, Schedule
    from napari_medai.tasks.box_models import box_spec, package_boxes

    kwargs = {"ndim": 2, "channels_in": 1, "kinds": 2, "widths": [8, 16, 24], "shuffle": 2}
    kwargs |= {"finest": 1, "coarsest": 1}
    config = {"diameter": 17.0, "zoom": 1.0, "zoom_range": 1.2}
    classes = ("bright", "dim")
    spec = box_spec("discs", kwargs, classes=classes, description="For tests.", config=config)
    examples = []
    for seed in range(10):
        image, boxes = draw_blobs(seed=100 + seed)
        intensity = intensity_of(spec.config["intensity"])
        examples.append(BoxExample.of(image[None], boxes, classes=classes, intensity=intensity))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BoxNet(**kwargs)
    objective = BoxObjective(
        examples[:8],
        examples[8:],
        levels=net.levels,
        classes=classes,
        channels=1,
        crop=(64, 64),
        geometry=Geometry(zoom=1.15, stretch=1.05, turn=False, quarter=True),
        mosaics=0.0,
    )
    schedule = Schedule(
        steps=240, minutes=1, batch=4, learning_rate=6e-3, validate_every=240, seed=0
    )
    run = Run(net, objective, schedule, device=torch.device("cpu"))
    finished(run.steps())
    folder = tmp_path_factory.mktemp("box-models") / "discs"
    recipe = {"steps": 150}
    return package_boxes(folder, spec, run.trained, objective, recipe=recipe, script=False).path


@pytest.fixture(scope="session")
def blobs() -> Callable[..., tuple[np.ndarray, Boxes]]:
    return draw_blobs


@pytest.fixture(scope="session")
def box_models() -> ModuleType:
    """The module ``box_models``: pictures of discs and rings, and the model that finds them."""
    return _module("box_models")


@pytest.fixture(scope="session")
def denoising() -> ModuleType:
    """The module ``denoise_models``: noisy pictures, and small models that take noise out."""
    return _module("denoise_models")


@pytest.fixture(scope="session")
def painting() -> ModuleType:
    """The module ``painter_models``: pictures of disks, and small models that paint objects."""
    return _module("painter_models")


@pytest.fixture(scope="session")
def painters(painting: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """A model that paints planes, and one that paints volumes."""
    folder = tmp_path_factory.mktemp("painters")
    return {ndim: painting.painter(folder, name=f"dots-{ndim}d", ndim=ndim) for ndim in (2, 3)}


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that learn to take noise out are small, and so are their crops."""
    from napari_medai.tasks import self_supervised, train_denoise

    nets = {
        2: {"ndim": 2, "widths": [12, 16]},
        3: {"ndim": 3, "widths": [6, 8], "pool": [1, 2, 2]},
    }
    for module in (self_supervised, train_denoise):
        monkeypatch.setattr(module, "NETS", nets)
        monkeypatch.setattr(module, "CROP", {2: (32, 32), 3: (4, 32, 32)})


@pytest.fixture(scope="session")
def box_model(box_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small model that finds the discs and rings of ``box_models.drawn``."""
    return box_models.trained_box_model(tmp_path_factory.mktemp("models") / "rings")
