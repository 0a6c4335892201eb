from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.tasks.denoise_models import denoise_spec
from napari_medai.tasks.embed import Embedding, EmbedParams, embed_steps, principal
from napari_medai.tasks.trained import write_trained


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A net with fresh weights: random features still tell textures apart."""
    from napari_medai.nn.runner import seeded_net

    spec = denoise_spec("fresh", {"widths": [8, 12, 16], "shuffle": 2}, space="YX", description="x")
    net = seeded_net(*spec.architecture, seed=0)
    folder: Path = tmp_path_factory.mktemp("models") / "fresh"
    return write_trained(folder, spec, net, script=False)


def embedded(
    model: Model, image: np.ndarray, labels: np.ndarray | None, **params: int
) -> Embedding:
    steps = embed_steps(AxesArray(image, "YX"), labels, model, EmbedParams(**params))
    return finished(steps)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """24 discs, half of them smooth and half striped, turned and more or less bright; which."""
    rng = np.random.default_rng(0)
    image, labels = np.zeros((256, 384), np.float32), np.zeros((256, 384), np.uint16)
    rows, columns = np.mgrid[:64, :64] - 31.5
    disc = rows**2 + columns**2 < 24**2
    striped = rng.permutation(np.arange(24) % 2 == 0)
    for at in range(24):
        top, left = at // 6 * 64, at % 6 * 64
        window = np.s_[top : top + 64, left : left + 64]
        angle, bright = rng.uniform(0, np.pi), rng.uniform(300, 900)
        wave = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 1.2)
        image[window] += disc * bright * (1 + 0.7 * wave * striped[at])
        labels[window][disc] = 3 * at + 1
    return image + rng.normal(0, 5, image.shape).astype(np.float32), labels, striped


def test_what_looks_alike_lies_near_whatever_its_turn_and_brightness(model: Model) -> None:
    image, labels, striped = scene()
    found = embedded(model, image, labels)
    assert found.index.tolist() == [3 * at + 1 for at in range(24)]
    assert found.centres[7] == pytest.approx([64 + 31.5, 64 + 31.5], abs=0.01)
    along = found.features["map_x"]
    low, high = sorted((along[striped], along[~striped]), key=np.mean)
    assert low.max() < high.min(), "the first component tells the two kinds apart"
    assert set(found.features) == {"index", "map_x", "map_y", *(f"latent_{i}" for i in range(1, 9))}
    assert found.record["found"]["count"] == 24


def test_the_same_labels_give_the_same_numbers(model: Model) -> None:
    image, labels, _ = scene()
    first, again = (embedded(model, image, labels).latents for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_without_labels_patches_side_by_side_are_embedded(model: Model) -> None:
    image, _, striped = scene()
    found = embedded(model, image, None, patch=64, latents=3)
    assert found.latents.shape == (24, 3)
    assert found.centres[:2].tolist() == [[31.5, 31.5], [31.5, 95.5]]
    along = found.features["map_x"]
    assert abs(np.corrcoef(along, striped)[0, 1]) > 0.9


def test_components_hold_falling_parts_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(200, 2)) * [5, 2]
    vectors = (hidden @ rng.normal(size=(2, 10)) + rng.normal(0, 0.01, (200, 10))).astype(
        np.float32
    )
    latents, explained = principal(vectors, 4)
    assert explained[:2].sum() == pytest.approx(1, abs=1e-3)
    assert (np.diff(explained) <= 0).all()
    assert latents[:, 0].std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(np.corrcoef(latents[:, :2].T)[0, 1], 0, atol=1e-4)
    fewer, parts = principal(vectors[:3], 6)
    assert fewer.shape == (3, 6)
    assert not parts[3:].any()


def test_what_is_all_alike_lies_in_one_place(model: Model) -> None:
    found = embedded(model, np.full((128, 128), 7, np.uint8), None, patch=32, latents=3)
    assert found.latents.shape == (16, 3)
    assert not found.latents.any()
    assert not found.explained.any()


def test_a_model_for_volumes_is_refused(model: Model, tmp_path: Path) -> None:
    from napari_medai.nn.runner import seeded_net

    kwargs = {"ndim": 3, "widths": [4, 6], "pool": [1, 2, 2]}
    spec = denoise_spec("volumes", kwargs, space="ZYX", description="x")
    net = seeded_net(*spec.architecture, seed=0)
    volumes = write_trained(tmp_path / "volumes", spec, net, script=False)
    with pytest.raises(InputError, match="volumes sees Z Y X at once; choose a model for planes"):
        embedded(volumes, scene()[0], None)


def test_what_cannot_be_embedded_is_refused(model: Model) -> None:
    image, labels, _ = scene()
    with pytest.raises(InputError, match=r"at least 3 objects .* got 2"):
        embedded(model, image, np.where(labels < 6, labels, 0))
    with pytest.raises(InputError, match="labels on the same grid"):
        embedded(model, image, labels[:100])
    with pytest.raises(InputError, match="whole numbers from 0, got float64"):
        embedded(model, image, labels / 2)
    stack = AxesArray(image[None].repeat(3, 0), "TYX")
    with pytest.raises(InputError, match="choose a position of T"):
        finished(embed_steps(stack, None, model, EmbedParams()))
    with pytest.raises(InputError, match="patch must be"):
        EmbedParams(patch=4)
