"""Learning that ends early, is kept after a cancel, and what was taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.axes import AxesArray
from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import finished
from napari_medai.tasks import self_supervised
from napari_medai.tasks.denoise import denoise_steps
from napari_medai.tasks.denoise_models import keep
from napari_medai.tasks.denoise_params import DenoiseParams
from napari_medai.tasks.denoising import Restoration
from napari_medai.tasks.learning import Learning
from napari_medai.tasks.self_check import self_check

NOISE = CameraNoise(gain=2.0, offset=100.0, read_noise=3.0)
LONG = DenoiseParams(gain=2.0, dark=100.0, read_noise=3.0, steps=5000, device="cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nets = {2: {"ndim": 2, "widths": [8, 12]}, 3: {"ndim": 3, "widths": [6, 8], "pool": [1, 2, 2]}}
    monkeypatch.setattr(self_supervised, "NETS", nets)
    monkeypatch.setattr(self_supervised, "CROP", {2: (32, 32), 3: (4, 32, 32)})
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "models"))


def light(shape: tuple[int, ...] = (64, 72), seed: int = 0) -> np.ndarray:
    """Smooth light, 0 to 60 photons, float64."""
    values = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 4)
    return 60 * (values - values.min()) / np.ptp(values)


def taken(clean: np.ndarray, seed: int = 1) -> np.ndarray:
    """As a camera of that noise takes it, uint16."""
    rng = np.random.default_rng(seed)
    values = 2 * rng.poisson(clean) + rng.normal(100, 3, clean.shape)
    return np.rint(values).astype(np.uint16)


@pytest.fixture
def image() -> AxesArray:
    return AxesArray(taken(light()), "YX")


def test_learning_ends_at_the_next_step_when_it_is_enough(image: AxesArray) -> None:
    learning = Learning()
    last = 0

    def look(step: Any) -> None:
        nonlocal last
        last = max(last, step.values.get("step", 0))
        learning.enough = last >= 4

    result = finished(denoise_steps(image, None, LONG, learning=learning), look)
    assert last == 4
    assert result.learned is not None
    assert result.learned.trained.steps == 4
    assert result.learned is learning.learned
    assert result.learned.trained.best["step"] == 4  # checked at the end, however early
    assert not np.array_equal(result.image, image.data)


def test_what_was_learned_before_a_cancel_can_be_kept(image: AxesArray) -> None:
    learning = Learning()
    steps = denoise_steps(image, None, LONG, learning=learning)
    while next(steps).values.get("step", 0) < 3:
        pass
    assert learning.learned is None
    steps.close()
    learned = learning.learned
    assert learned is not None
    assert learned.trained.steps == 3
    # the weights after three steps, not the fresh ones
    first = Learning()
    again = denoise_steps(image, None, LONG, learning=first)
    while next(again).values.get("step", 0) < 1:
        pass
    again.close()
    assert first.learned is not None
    ours, theirs = learned.trained.state, first.learned.trained.state
    assert any(not ours[name].equal(theirs[name]) for name in ours)
    model = keep(learned, "halfway")
    params = DenoiseParams(gain=2.0, dark=100.0, read_noise=3.0, device="cpu")
    restored = finished(denoise_steps(image, model, params)).image
    assert np.isfinite(restored).all()


def test_a_cancel_before_the_first_step_leaves_nothing_to_keep(image: AxesArray) -> None:
    learning = Learning()
    steps = denoise_steps(image, None, LONG, learning=learning)
    next(steps)
    steps.close()
    assert learning.learned is None


def test_the_residual_is_input_minus_output(image: AxesArray) -> None:
    restored = (image.data + 0.25).astype(np.float32)[::-1].copy()
    result = Restoration(restored, "YX", {0: NOISE}, {})
    found = result.residual(image)
    assert found.dtype == np.float32
    assert np.array_equal(found, image.data.astype(np.float32) - restored)
    lazy = AxesArray(da.from_array(image.data, 16), "YX")
    assert isinstance(result.residual(lazy), da.Array)
    assert np.array_equal(np.asarray(result.residual(lazy)), found)


def test_the_residual_of_large_whole_numbers_is_exact() -> None:
    noisy = np.full((4, 5), 2**30 + 1, np.int32)
    result = Restoration(np.full((4, 5), 2**30, np.int32), "YX", {0: NOISE}, {})
    assert (result.residual(AxesArray(noisy, "YX")) == 1).all()


def test_the_self_check_tells_noise_from_structure() -> None:
    clean = light((3, 128, 128))
    noisy = AxesArray(taken(clean), "TYX")
    true = (2 * clean + 100).astype(np.float32)
    good = Restoration(true, "TYX", {0: NOISE}, {})
    assert self_check(good, noisy) == (
        "What was taken away looks like noise (3 of 3 planes looked at)."
    )
    blurred = true.copy()
    blurred[1] = true[1].mean()
    bad = Restoration(blurred, "TYX", {0: NOISE}, {})
    assert self_check(bad, noisy).startswith("Structure is left")
    assert self_check(bad, noisy).endswith("(At t 1.)")


def test_the_self_check_leaves_out_what_is_not_finite() -> None:
    clean = light((2, 128, 128))
    values = taken(clean).astype(np.float32)
    true = (2 * clean + 100).astype(np.float32)
    values[0, 30, 40:44] = true[0, 30, 40:44] = np.inf
    values[1] = true[1] = np.nan
    noisy, good = AxesArray(values, "TYX"), Restoration(true, "TYX", {0: NOISE}, {})
    assert self_check(good, noisy) == (
        "What was taken away looks like noise (1 of 2 planes looked at)."
    )
    left = good.residual(noisy)
    assert np.isnan(left[0, 30, 40:44]).all()


def test_the_self_check_of_what_cannot_be_checked() -> None:
    small = AxesArray(taken(light((10, 20))), "YX")
    result = Restoration(small.data, "YX", {0: NOISE}, {})
    assert "too small" in self_check(result, small)
    clean = AxesArray(np.zeros((32, 32), np.uint8), "YX")
    assert self_check(Restoration(clean.data, "YX", {0: None}, {}), clean) == (
        "Nothing was taken away."
    )
