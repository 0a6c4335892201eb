"""Noise taken out: units kept, every axis in its place, tiles equal to the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.tasks import image_store
from napari_medai.tasks.denoise import DenoiseParams, denoise_steps
from napari_medai.tasks.denoising import Restoration

KNOWN: dict[str, Any] = {"gain": 1.0, "read_noise": 3.0, "device": "cpu"}
"""Noise of which no value of `lit` is cut off."""


@pytest.fixture(scope="module")
def models(denoising: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("denoisers")
    found = {what: denoising.denoiser(folder / what, what=what) for what in denoising.KINDS}
    found["volumes"] = denoising.denoiser(folder / "volumes", ndim=3, space="ZYX", what="random")
    found["movies"] = denoising.denoiser(folder / "movies", ndim=3, space="TYX", what="random")
    return found


def lit(*shape: int, seed: int = 0) -> np.ndarray:
    """Values far from the dark, with the noise of `KNOWN`; uint16."""
    rng = np.random.default_rng(seed)
    ramp = np.broadcast_to(np.linspace(60, 200, shape[-1]), shape)
    return np.rint(rng.poisson(ramp) + rng.normal(0, 3, shape)).astype(np.uint16)


def restored(values: Any, axes: str, model: Model | None, **params: Any) -> Restoration:
    out = params.pop("out", None)
    how = DenoiseParams(**{"device": "cpu", **params})
    return finished(denoise_steps(AxesArray(values, axes), model, how, out=out))


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (40, 52)),
        ("XY", (40, 52)),
        ("CYX", (2, 36, 40)),
        ("YXC", (36, 40, 3)),
        ("TZYX", (2, 3, 36, 40)),
        ("ZYCX", (2, 36, 2, 40)),
        ("QXTY", (2, 36, 2, 40)),
    ],
)
def test_a_net_that_changes_nothing_gives_the_image_back(
    axes: str, shape: tuple[int, ...], models: dict[str, Model]
) -> None:
    # an asymmetric image: a brighter corner in each position along every axis
    values = lit(*shape)
    corner = tuple(slice(0, max(1, n // 4)) for n in shape)
    values[corner] += 40
    same = restored(values, axes, models["identity"], **KNOWN, dtype="same")
    assert same.image.dtype == values.dtype
    assert np.array_equal(same.image, values)
    found = restored(values, axes, models["identity"], **KNOWN)
    assert found.image.dtype == np.float32
    assert found.axes == axes
    assert np.abs(found.image - values).max() < 1e-2
    assert found.record["task"] == "denoise"
    assert found.record["found"]["noise"][0] == {"gain": 1.0, "offset": 0.0, "read_noise": 3.0}


def test_values_that_are_not_finite_stay_so(models: dict[str, Model]) -> None:
    values = lit(48, 48).astype(np.float32)
    values[5:9, 7:12] = np.nan
    values[30, 31:33] = (np.inf, -np.inf)
    known = np.isfinite(values)
    for what in ("identity", "random"):
        found = restored(values, "YX", models[what], **KNOWN).image
        assert np.array_equal(found[~known], values[~known], equal_nan=True)
        assert np.isfinite(found[known]).all()
    found = restored(values, "YX", models["identity"], **KNOWN).image
    assert np.abs(found[known] - values[known]).max() < 1e-2


@pytest.mark.parametrize(
    ("name", "axes", "shape", "how"),
    [
        ("random", "YX", (170, 150), {"tile": 32}),
        ("random", "YX", (170, 150), {"block": 64}),
        ("random", "TYX", (2, 133, 90), {"block": 48, "tile": 24}),
        ("volumes", "ZYX", (9, 61, 83), {"block": 32, "tile": 16}),
        ("movies", "TYX", (9, 61, 83), {"block": 32, "tile": 16}),
    ],
)
def test_in_pieces_is_as_in_one(
    name: str, axes: str, shape: tuple[int, ...], how: dict[str, int], models: dict[str, Model]
) -> None:
    values = lit(*shape).astype(np.float32)
    values[..., 50, 60] = 5000  # hot
    values[..., 20:24, 30:40] = np.nan
    whole = restored(values, axes, models[name], **KNOWN, block=256, tile=256).image
    pieces = restored(values, axes, models[name], **KNOWN, **how).image
    spread = np.nanmax(whole) - np.nanmin(whole)
    assert np.nanmax(np.abs(whole - values)[..., :20, :]) > 1, "the net changes nothing"
    assert np.nanmax(np.abs(pieces - whole)) <= 1e-3 * spread


def test_results_go_to_a_disk_and_lazy_images_are_read_in_parts(
    models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = lit(3, 48, 52)
    whole = restored(values, "ZYX", models["random"], **KNOWN).image
    assert isinstance(whole, np.ndarray)
    out = tmp_path / "out.zarr"
    found = restored(values, "ZYX", models["random"], **KNOWN, out=out)
    assert isinstance(found.image, zarr.Array)
    assert np.array_equal(found.image[...], whole)
    assert zarr.open_array(str(out), mode="r").metadata.dimension_names == ("z", "y", "x")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        restored(values, "ZYX", None, **KNOWN, out=out, steps=1)
    stored = zarr.create_array(store=str(tmp_path / "in.zarr"), data=values, chunks=(1, 48, 52))
    for lazy in (stored, dask.array.from_array(values, chunks=(1, 48, 52))):
        assert np.array_equal(restored(lazy, "ZYX", models["random"], **KNOWN).image, whole)
    monkeypatch.setattr(image_store, "LARGEST_IN_MEMORY", {True: 1000, False: 1000})
    large = restored(values, "ZYX", models["random"], **KNOWN).image
    assert isinstance(large, zarr.Array)
    assert np.array_equal(large[...], whole)


def test_a_run_that_fails_leaves_nothing(
    models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.zarr"
    steps = denoise_steps(
        AxesArray(lit(4, 40, 40), "ZYX"), models["identity"], DenoiseParams(**KNOWN), out=out
    )
    for _ in range(6):
        next(steps)
    assert out.exists()
    steps.close()
    assert not out.exists()


def test_the_record_names_the_device_that_the_run_ended_on(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from napari_medai.core.errors import OutOfMemoryError
    from napari_medai.nn.runner import ScoreNet
    from napari_medai.tasks import denoise

    class Full:
        """A device without room for anything."""

        name, device = "full", torch.device("meta")

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            raise OutOfMemoryError("no room")

    def empty(net: ScoreNet, shape: tuple[int, ...]) -> torch.Tensor:
        if net.device.type == "meta":
            raise OutOfMemoryError("no room")
        return torch.empty((1, *shape))

    net = denoise.loaded_net(models["random"], device="cpu")
    monkeypatch.setattr(denoise, "loaded_net", lambda model, device: replace(net, backend=Full()))
    monkeypatch.setattr(ScoreNet, "empty", empty)
    found = restored(lit(48, 48), "YX", models["random"], **KNOWN)
    assert found.record["device"].startswith("cpu")
    assert "Device memory did not suffice: the run continued on the CPU." in found.notes


@pytest.mark.parametrize("model", ["random", None])
def test_a_constant_image_comes_back_with_a_note(
    model: str | None, models: dict[str, Model]
) -> None:
    for values in (np.full((40, 40), 7, np.uint8), np.full((40, 40), 7.5, np.float64)):
        found = restored(values, "YX", None if model is None else models[model], dtype="same")
        assert found.image.dtype == values.dtype
        assert np.array_equal(found.image, values)
        assert "No noise was found: it is left as it is." in found.notes
        assert found.told == "no noise to remove"
        assert found.learned is None


def test_small_images(denoising: ModuleType, models: dict[str, Model]) -> None:
    values = denoising.noisy(denoising.scene(32, 32))
    assert restored(values, "YX", models["random"]).image.shape == (32, 32)
    with pytest.raises(InputError, match="at least 16 x 16 pixels"):
        restored(values[:8, :8], "YX", models["random"])
    with pytest.raises(InputError, match="the image is empty"):
        restored(values[:0], "YX", models["random"])
    with pytest.raises(InputError, match="planes along Z Y X are needed"):
        restored(values, "YX", models["volumes"])


def test_strength_says_how_much_is_taken_away(models: dict[str, Model]) -> None:
    values = lit(48, 48)
    full = restored(values, "YX", models["random"], **KNOWN).image
    none = restored(values, "YX", models["random"], **KNOWN, strength=0).image
    assert np.array_equal(none, values)
    half = restored(values, "YX", models["random"], **KNOWN, strength=0.5).image
    assert np.abs(half - (full + values) / 2).max() < 0.01
    more = restored(values, "YX", models["constant"], **KNOWN, strength=3).image
    assert not np.allclose(more, restored(values, "YX", models["constant"], **KNOWN).image)


def test_brightness_stays_whatever_the_net_believes(
    denoising: ModuleType, models: dict[str, Model]
) -> None:
    values = denoising.noisy(denoising.scene(128, 128), peak=200)
    for what in ("constant", "random"):
        found = restored(values, "YX", models[what]).image
        assert np.abs(found - values).max() > 1
        # above the dark level, which the camera adds
        assert (found - 100).mean() == pytest.approx((values - 100.0).mean(), rel=0.01)
        for part in (np.s_[:64, :64], np.s_[64:, 64:]):
            assert found[part].mean() == pytest.approx(values[part].mean(), rel=0.01)


def test_the_edges_of_an_image_weigh_as_much_as_the_rest(models: dict[str, Model]) -> None:
    values = lit(96, 80)
    found = restored(values, "YX", models["random"], **KNOWN).image
    assert np.abs(found - values)[:2].mean() > 1, "the net changes nothing"
    assert found.mean(dtype=np.float64) == pytest.approx(values.mean(), rel=1e-5)


def test_hot_and_dead_pixels_are_replaced(models: dict[str, Model]) -> None:
    values = lit(48, 48)
    values[20, 20], values[30, 40] = 60_000, 0
    found = restored(values, "YX", models["identity"], **KNOWN).image
    for y, x in ((20, 20), (30, 40)):
        assert abs(found[y, x] - np.median(values[y - 2 : y + 3, x - 2 : x + 3])) < 40


def test_values_beyond_the_dtype_are_clipped_where_it_is_asked_for(
    models: dict[str, Model],
) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (48, 48), dtype=np.uint8)
    how = {"read_noise": 100.0}
    free = restored(values, "YX", models["random"], **how)
    beyond = (np.rint(free.image) < 0) | (np.rint(free.image) > 255)
    assert beyond.any()
    assert not free.notes
    kept = restored(values, "YX", models["random"], **how, dtype="same")
    assert kept.image.dtype == np.uint8
    assert np.array_equal(kept.image, np.rint(free.image).clip(0, 255))
    assert kept.notes == (
        f"{beyond.sum()} values lay beyond uint8 and were clipped; float32 keeps them.",
    )


def test_large_whole_numbers_are_not_rounded_and_do_not_turn_over(
    models: dict[str, Model],
) -> None:
    top = np.iinfo(np.int64).max
    still = np.full((32, 32), top - 1, np.int64)
    assert np.array_equal(restored(still, "YX", models["random"], dtype="same").image, still)
    values = (lit(64, 64).astype(np.int64) - 120) * 2**40 + 2**62
    values[20:40, 20:40] = top
    found = restored(values, "YX", models["identity"], dtype="same").image
    assert found.min() > 2**61, "the highest became the lowest"
    assert found[30, 30] > 0.99 * top


@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_noise_far_from_0_keeps_its_digits(kind: type, models: dict[str, Model]) -> None:
    values = (lit(64, 64) + 1e8).astype(kind)
    how = {"dark": 1e8, **KNOWN, "dtype": "same"}
    found = restored(values, "YX", models["identity"], **how).image
    assert np.abs(found - values).max() < 0.01
    low = restored(lit(64, 64).astype(kind), "YX", models["random"], **KNOWN, dtype="same").image
    assert np.abs(restored(values, "YX", models["random"], **how).image - 1e8 - low).max() < 0.01


def test_numbers_beyond_32_bits_are_refused_or_told(models: dict[str, Model]) -> None:
    rng = np.random.default_rng(0)
    for size in (1e300, 1e-300):
        with pytest.raises(InputError, match="beyond 32-bit numbers; multiply the image"):
            restored(rng.normal(1, 0.1, (32, 32)) * size, "YX", models["identity"])
    still = np.full((32, 32), 1e300)
    found = restored(still, "YX", models["identity"])
    assert "1024 values lay beyond float32 and became infinite" in " ".join(found.notes)
    assert np.array_equal(restored(still, "YX", models["identity"], dtype="same").image, still)


def test_channels_have_noise_of_their_own(denoising: ModuleType, models: dict[str, Model]) -> None:
    clean = denoising.scene(96, 96)
    first = denoising.noisy(clean, gain=2, read=3, dark=100)
    values = np.stack([first, denoising.noisy(clean, gain=8, read=10, dark=400), first * 0 + 5])
    found = restored(values, "CYX", models["identity"])
    told = found.record["found"]["noise"]
    assert told[0]["gain"] == pytest.approx(2, rel=0.3)
    assert told[1]["gain"] == pytest.approx(8, rel=0.3)
    assert told[2] is None
    assert np.array_equal(found.image[2], values[2])
    assert "No noise was found in channel 2: it is left as it is." in found.notes


def test_parameters_refuse_what_cannot_be() -> None:
    with pytest.raises(InputError, match="strength must be 0 to 3, got 4"):
        DenoiseParams(strength=4)
    with pytest.raises(InputError, match="scheme must be one of auto, split, masked, frames"):
        DenoiseParams(scheme="guess")
    assert DenoiseParams().noise is None
    assert DenoiseParams(read_noise=2).noise.read_noise == 2
    assert DenoiseParams(across="T").space == "TYX"


# A net that learns from the image itself


def error(found: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(((np.asarray(found, np.float64) - 100 - 80 * clean) ** 2).mean()))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("scheme", ["split", "masked"])
def test_learning_from_the_image_lowers_the_error(denoising: ModuleType, scheme: str) -> None:
    clean = denoising.scene(64, 64)
    values = denoising.noisy(clean)
    how = {"scheme": scheme, "steps": 60, "seed": 3}
    found = restored(values, "YX", None, **how)
    assert error(found.image, clean) < 0.6 * error(values, clean)
    assert found.record["found"]["scheme"] == scheme
    assert found.record["found"]["steps"] == 60
    assert found.record["model"] == {"name": "self"}
    assert found.record["parameters"]["seed"] == 3


@pytest.mark.usefixtures("quick")
def test_the_same_seed_and_steps_give_the_same_again(denoising: ModuleType) -> None:
    values = denoising.noisy(denoising.scene(40, 40))
    first, again, other = (
        restored(values, "YX", None, steps=4, seed=seed).image for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.usefixtures("quick")
def test_frames_of_a_scene_that_stands_still_are_learned_from(denoising: ModuleType) -> None:
    clean = denoising.scene(64, 64)
    still = np.stack([denoising.noisy(clean, seed=seed) for seed in range(4)])
    found = restored(still, "TYX", None, steps=3)
    assert found.record["found"]["scheme"] == "frames"
    assert "The scene stands still: its frames were learned from." in found.notes
    moving = denoising.noisy(denoising.scene(4, 64, 64))
    assert restored(moving, "TYX", None, steps=1).record["found"]["scheme"] == "split"
    assert restored(still, "ZYX", None, steps=1).record["found"]["scheme"] == "split"
    deep = restored(still, "TYX", None, steps=1, across="T")
    assert deep.record["found"]["scheme"] == "split"
    assert deep.image.shape == still.shape


@pytest.mark.usefixtures("quick")
def test_noise_along_lines_is_learned_with_pixels_hidden(denoising: ModuleType) -> None:
    values = denoising.noisy(denoising.scene(48, 48))
    for lines in ("rows", "columns"):
        found = restored(values, "YX", None, steps=2, lines=lines)
        assert found.record["found"]["scheme"] == "masked"


@pytest.mark.usefixtures("quick")
def test_schemes_that_the_image_does_not_allow(denoising: ModuleType) -> None:
    values = denoising.noisy(denoising.scene(40, 40))
    with pytest.raises(InputError, match="the image needs several along T"):
        restored(values, "YX", None, scheme="frames", steps=1)
    stack = np.stack([values, values])
    with pytest.raises(InputError, match="the image needs several along T"):
        restored(stack, "TYX", None, scheme="frames", across="T", steps=1)
    with pytest.raises(InputError, match="noise along rows is learned by hiding pixels"):
        restored(values, "YX", None, scheme="split", lines="rows", steps=1)
    with pytest.raises(InputError, match="planes along Z Y X are needed"):
        restored(values, "YX", None, across="Z", steps=1)


def test_an_image_smaller_than_what_the_net_needs() -> None:
    with pytest.raises(InputError, match="an image needs at least 4 x 4 pixels, got 3 x 40"):
        restored(lit(3, 40), "YX", None, **KNOWN, steps=1)


@pytest.mark.usefixtures("quick")
def test_frames_too_small_to_compare_are_learned_from_one_by_one() -> None:
    found = restored(lit(3, 12, 20), "TYX", None, **KNOWN, steps=2)
    assert found.record["found"]["scheme"] == "split"


def test_thin_images_whose_noise_is_given(models: dict[str, Model]) -> None:
    for shape in ((1, 40), (4, 40), (40, 2)):
        values = lit(*shape)
        found = restored(values, "YX", models["identity"], **KNOWN).image
        assert np.abs(found - values).max() < 1e-2


@pytest.mark.usefixtures("quick")
def test_a_preview_is_shown_while_it_learns(
    denoising: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medai.tasks import self_supervised

    monkeypatch.setattr(self_supervised, "SHOWN_EVERY", 0.0)
    values = denoising.noisy(denoising.scene(2, 40, 40))
    part = {"T": 1, "Y": slice(4, 36), "X": slice(8, 32)}
    how = DenoiseParams(device="cpu", steps=3, scheme="split")
    steps = denoise_steps(AxesArray(values, "TYX"), None, how, preview=part)
    shown = [step.values["preview"] for step in steps if "preview" in step.values]
    assert shown
    assert {image.shape for image in shown} == {(32, 24)}
    assert abs(shown[-1].mean() - values[1, 4:36, 8:32].mean()) < 2


@pytest.mark.usefixtures("quick")
def test_learning_keeps_its_neighbours_apart_from_volumes(denoising: ModuleType) -> None:
    values = denoising.noisy(denoising.scene(6, 40, 40))
    found = restored(values, "ZYX", None, across="Z", steps=2)
    assert found.learned.space == "ZYX"
    assert found.image.shape == values.shape


@pytest.mark.usefixtures("quick")
def test_volumes_are_learned_from_on_the_cpu_where_metal_cannot(
    denoising: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    values = denoising.noisy(denoising.scene(4, 40, 40))
    found = restored(values, "ZYX", None, across="Z", steps=1, device="auto")
    assert found.record["device"].startswith("cpu")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("across", ["plane", "T"])
def test_what_was_learned_is_kept_as_a_model(
    denoising: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, across: str
) -> None:
    from napari_medai.models.registry import find_model
    from napari_medai.tasks.denoise_models import keep
    from napari_medai.tasks.verify import full_check

    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    values = denoising.noisy(denoising.scene(5, 40, 40))
    found = restored(values, "TYX", None, steps=3, scheme="split", across=across)
    keep(found.learned, "mine")
    model = find_model("mine", "denoise")
    assert model.decoder == "light"
    assert model.config.get("seen") == ("TYX" if across == "T" else None)
    assert full_check("mine") == []
    again = restored(values, "TYX", model).image
    # weights are kept in half precision
    assert np.abs(again - found.image).max() < 0.01 * np.ptp(found.image)
    with pytest.raises(InputError, match="there is a model 'mine' already"):
        keep(found.learned, "mine")
    keep(found.learned, "mine", overwrite=True)
    with pytest.raises(InputError, match="'self' is the word for learning from the image itself"):
        keep(found.learned, "self")
