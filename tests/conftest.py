"""What all tests share: nothing of the user's is read or written, and no threads spin."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
def box_models() -> ModuleType:
    """The module ``box_models``: pictures of discs and rings, and the model that finds them."""
    spec = importlib.util.spec_from_file_location(
        "box_models", Path(__file__).with_name("box_models.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def box_model(box_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small model that finds the discs and rings of ``box_models.drawn``."""
    return box_models.trained_box_model(tmp_path_factory.mktemp("models") / "rings")
