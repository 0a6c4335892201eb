from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.io import imread

from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_estimate import NoiseEstimate, estimated_noise, is_static

SHARED = Path(os.environ.get("MEDAI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
Scene = Callable[[str], np.ndarray]
Photo = Callable[..., np.ndarray]

CAMERAS: dict[str, dict[str, Any]] = {
    "16 bit": {"gain": 2.2, "offset": 100, "dtype": "uint16"},
    "16 bit, dark cut off": {"gain": 2.2, "offset": 0, "dtype": "uint16"},
    "8 bit": {"gain": 0.6, "offset": 10, "dtype": "uint8"},
    "float": {"gain": 0.004, "offset": 0.1, "dtype": "float32"},
    "large numbers": {"gain": 40, "offset": -3000, "dtype": "float64"},
}


def _near(
    found: NoiseEstimate,
    *,
    gain: float = 2,
    read: float = 2,
    offset: float = 100,
    whole: bool = False,
    dark: float = 6,
) -> None:
    """Within 15 % of the gain and 20 % of the scatter there is at the level that was found.

    ``dark`` is how many photons the darkest place may have.
    """
    noise = found.noise
    assert noise is not None
    assert not found.clean
    assert not found.correlated
    assert noise.gain == pytest.approx(gain, rel=0.15)
    light = max(noise.offset - offset, 0)
    # the darkest place may have some light, and whole numbers are rounded
    scatter = np.sqrt((read * gain) ** 2 + gain * light + whole / 12)
    assert noise.read_noise == pytest.approx(scatter, rel=0.2)
    assert abs(noise.offset - offset) < dark * gain


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("name", ["actin-20x", "mito-20x", "membrane", "drawn"])
def test_a_camera_is_told_from_one_picture_of_30_photons(
    name: str, camera: str, scene: Scene, photo: Photo
) -> None:
    known = CAMERAS[camera]
    for seed in range(3):
        found = estimated_noise(photo(scene(name), seed=seed, peak=30, read=2, **known))
        whole = np.dtype(known["dtype"]).kind != "f"
        _near(found, gain=known["gain"], read=2, offset=known["offset"], whole=whole)


@pytest.mark.parametrize("peak", [300, 3000])
@pytest.mark.parametrize("name", ["actin-20x", "mito-20x", "membrane", "drawn"])
def test_so_it_is_with_more_light_where_texture_outweighs_noise(
    name: str, peak: float, scene: Scene, photo: Photo
) -> None:
    for seed in range(2):
        found = estimated_noise(photo(scene(name), seed=seed, peak=peak, gain=2, read=2))
        _near(found, dark=5 + 0.005 * peak)


def test_so_it_is_with_all_real_images(photo: Photo) -> None:
    folder = SHARED / "denoise_gigadb_pairs" / "clean"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository; set MEDAI_TEST_DATA")
    for path in sorted(folder.glob("*.png")):
        image = gaussian_filter(imread(path)[:1024, :1024].astype(np.float64), 1)
        low, high = np.percentile(image, (0.5, 99.9))
        light = np.clip((image - low) / (high - low), 0, None)
        _near(estimated_noise(photo(light, peak=30, gain=2, read=2, dtype="uint16")), whole=True)


def test_the_signal_to_noise_ratio_is_that_of_the_picture(photo: Photo) -> None:
    light = np.zeros((256, 256))
    light[64:192, 64:192] = 1
    found = estimated_noise(photo(light, peak=100, gain=1, read=5))
    assert found.snr == pytest.approx(100 / np.sqrt(25 + 100 / 4), rel=0.1)


def test_hot_dead_saturated_and_missing_pixels_do_not_count(scene: Scene, photo: Photo) -> None:
    image = photo(scene("drawn"), gain=2, read=2)
    rng = np.random.default_rng(1)
    bad = rng.random(image.shape) < 0.01
    image[bad] = rng.choice([0, 3000, np.nan, np.inf], bad.sum())
    found = estimated_noise(image)
    _near(found)
    assert found.unusable == pytest.approx(bad.mean(), rel=0.05)


@pytest.mark.parametrize("limit", [None, 140])
def test_saturated_places_do_not_count(limit: float | None, scene: Scene, photo: Photo) -> None:
    image = np.minimum(photo(scene("drawn"), gain=2, read=2), 140)
    found = estimated_noise(image, saturated=limit)
    _near(found)
    assert found.unusable == pytest.approx((image >= 140).mean(), abs=1e-4)


def test_what_surrounds_a_masked_image_does_not_count(scene: Scene, photo: Photo) -> None:
    light = scene("actin-20x")
    image = photo(light, peak=300, gain=2, read=2)
    image[:, :100] = 0
    found = estimated_noise(image)
    assert found.noise is not None
    assert found.noise.variance(np.array([300.0])) == pytest.approx(16 + 400, rel=0.15)


@pytest.mark.parametrize("mean", [0.5, 3, 20])
def test_where_photons_are_counted_the_variance_is_the_mean(mean: float, scene: Scene) -> None:
    counts = np.random.default_rng(2).poisson(mean * scene("drawn") + 0.1).astype(np.uint8)
    noise = estimated_noise(counts).noise
    assert noise is not None
    assert noise.variance(np.array([mean / 2]))[0] == pytest.approx(mean / 2, rel=0.1)


@pytest.mark.parametrize("edge", [16, 17, 32, 48])
def test_small_images_tell_how_much_noise_there_is(edge: int, scene: Scene, photo: Photo) -> None:
    light = scene("actin-20x")[100 : 100 + edge, 100 : 100 + edge]
    noise = estimated_noise(photo(light, peak=100, gain=2, read=2)).noise
    assert noise is not None
    true = 16 + 4 * 100 * light.mean()
    assert noise.variance(100 + 200 * light).mean() == pytest.approx(true, rel=0.35)


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64), 7),
        np.zeros((32, 40), np.float32),
        np.full((20, 20), -3e38, np.float32),
        np.ones((3, 16, 16), bool),
        np.rint(np.linspace(0, 200, 64)[:, None] * np.ones((1, 64))).astype(np.uint8),
        np.pad(np.array([[60_000]], np.uint16), 31),
    ],
    ids=["whole", "zero", "large", "bool", "ramp", "one hot pixel"],
)
def test_where_there_is_none_it_says_so(image: np.ndarray) -> None:
    found = estimated_noise(image)
    assert found.noise is None
    assert found.clean
    assert not found.correlated
    assert found.sentence == "No noise was found."


@pytest.mark.parametrize("dtype", ["float64", "uint16", "uint8"])
def test_a_clean_image_is_called_clean(dtype: str, scene: Scene) -> None:
    light = scene("drawn")
    image = light * 250 if dtype == "uint8" else light * 6000
    found = estimated_noise(np.rint(image).astype(dtype) if dtype != "float64" else image)
    assert found.clean
    assert not found.correlated


def test_an_image_all_saturated_but_for_a_few_pixels_cannot_be_used() -> None:
    image = np.full((64, 64), 255, np.uint8)
    image[::4, ::4] = np.random.default_rng(0).integers(0, 200, (16, 16))
    found = estimated_noise(image)
    assert found.noise is None
    assert found.blocks == 0
    assert found.sentence == "No part of the image could be used."


def test_smoothed_noise_and_lines_are_called_correlated(scene: Scene, photo: Photo) -> None:
    image = photo(scene("drawn"), gain=2, read=4)
    rng = np.random.default_rng(3)
    along = estimated_noise(gaussian_filter(image, (0, 0.7)))
    assert along.correlated
    assert along.rows > 0.3
    assert abs(along.columns) < 0.1
    rows = estimated_noise(image + rng.normal(0, 6, (256, 1)).astype(np.float32))
    assert rows.correlated
    assert rows.rows > 0.2
    assert abs(rows.columns) < 0.1
    columns = estimated_noise(image + rng.normal(0, 6, (1, 256)).astype(np.float32))
    assert columns.correlated
    assert columns.columns > 0.2
    assert abs(columns.rows) < 0.1
    assert "correlated" in columns.sentence


class _Microscope:
    """A stack of which each part is taken when it is asked for; it counts the pixels."""

    dtype = np.dtype("float32")

    def __init__(self, light: np.ndarray, photo: Photo) -> None:
        self.light, self.shape, self.photo, self.taken = light, light.shape, photo, 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.light[key]
        self.taken += part.size
        return self.photo(part, seed=self.taken)


def test_of_a_large_image_only_windows_are_read(photo: Photo, scene: Scene) -> None:
    tiled = np.tile(scene("drawn"), (8, 12))
    stack = _Microscope(np.broadcast_to(tiled, (50, *tiled.shape)), photo)
    _near(estimated_noise(stack))
    assert 2**19 < stack.taken <= 2**21


def test_a_lazy_stack_gives_what_the_array_gives(photo: Photo, scene: Scene) -> None:
    stack = np.stack([photo(scene("drawn"), seed=seed) for seed in range(3)])
    assert estimated_noise(da.from_array(stack, chunks=(1, 100, 100))) == estimated_noise(stack)


def test_frames_tell_noise_from_texture_that_looks_like_it(photo: Photo) -> None:
    texture = np.random.default_rng(4).random((128, 128)) * np.linspace(0, 1, 128)
    stack = np.stack([photo(texture, seed=seed, peak=300, gain=2) for seed in range(4)])
    _near(estimated_noise(stack, frames=True))
    alone = estimated_noise(stack).noise
    assert alone is not None
    assert alone.variance(np.array([400.0])) > 3 * (16 + 600)


def _stack(light: list[np.ndarray], photo: Photo, **camera: float) -> np.ndarray:
    return np.stack([photo(frame, seed=seed, **camera) for seed, frame in enumerate(light)])


@pytest.mark.parametrize("peak", [30, 300])
def test_a_scene_that_stands_still_is_told_from_one_that_moves(
    peak: float, scene: Scene, photo: Photo
) -> None:
    light = scene("drawn")
    noise = CameraNoise(gain=2, offset=100, read_noise=4)
    still = _stack([light] * 4, photo, peak=peak)
    assert is_static(still, noise)
    assert is_static(still, CameraNoise(gain=1.5, offset=100, read_noise=3.4))
    shifted = [np.roll(light, 3 * step, axis=0) for step in range(4)]
    assert not is_static(_stack(shifted, photo, peak=peak), noise)
    moving = [light.copy() for _ in range(4)]
    for step, frame in enumerate(moving):
        frame[100 + 8 * step : 112 + 8 * step, 40:52] += 1
    assert not is_static(_stack(moving, photo, peak=peak), noise)


def test_pixels_that_flicker_do_not_move_and_little_known_noise_does(
    scene: Scene, photo: Photo
) -> None:
    still = _stack([scene("drawn")] * 4, photo)
    flicker = still.copy()
    flicker[1, ::40, ::40] += 500
    noise = CameraNoise(gain=2, offset=100, read_noise=4)
    assert is_static(flicker, noise)
    assert not is_static(still, CameraNoise(gain=0, offset=100, read_noise=2))
    assert is_static(np.ones((3, 32, 32)), noise)


def test_frames_of_a_volume_are_compared_in_time(scene: Scene, photo: Photo) -> None:
    volume = np.stack([scene("drawn") * level for level in (0.2, 1, 0.5)])
    stack = _stack([volume] * 3, photo)
    assert is_static(stack, CameraNoise(gain=2, offset=100, read_noise=4))
    _near(estimated_noise(stack, frames=True))


@pytest.mark.parametrize(
    ("image", "frames", "words"),
    [
        (np.zeros((15, 400)), False, "at least 16 x 16"),
        (np.zeros(400), False, "at least 16 x 16"),
        (np.zeros((0, 64, 64)), False, "at least 16 x 16"),
        (np.zeros((64, 64)), True, "more than one frame"),
        (np.zeros((1, 64, 64)), True, "only one"),
        (np.full((64, 64), np.nan), False, "no finite value"),
        (np.zeros((64, 64), complex), False, "real numbers"),
    ],
)
def test_what_cannot_be_estimated_is_refused(image: np.ndarray, frames: bool, words: str) -> None:
    with pytest.raises(InputError, match=words):
        estimated_noise(image, frames=frames)


def test_the_sentence_says_gain_offset_and_read_noise() -> None:
    noise = CameraNoise(gain=2.2, offset=100, read_noise=4.4)
    found = NoiseEstimate(noise=noise, snr=12, blocks=900, rows=0, columns=0, unusable=0)
    assert found.sentence == "Noise: gain 2.2, offset 100, read noise 4.4; signal to noise 12."
