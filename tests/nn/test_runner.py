"""A model ready to score: the same in tiles as in one piece, at any zoom; weights are only data."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_medai.core.errors import InputError, OutOfMemoryError
from napari_medai.core.intensity import Percentiles
from napari_medai.core.predict import predict
from napari_medai.core.scale import Scale
from napari_medai.core.steps import finished
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.decode import decode
from napari_medai.nn.export import exported
from napari_medai.nn.runner import (
    ScoreNet,
    built_net,
    decoded_objects,
    load_weights,
    score_maps,
    score_net,
    seeded_net,
)
from napari_medai.nn.unet import UNet

CPU = torch.device("cpu")
HOME = "napari_medai.nn.unet"


def scorer(net: UNet, *zoom: float, batch: int = 1) -> ScoreNet:
    scales = tuple(Scale.nearest(z) for z in zoom) if zoom else (Scale(),) * net.ndim
    return ScoreNet(net, TorchBackend(net, CPU), scales, batch)


def noise(shape: Sequence[int], *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(tuple(shape), np.float32)


def run(net: ScoreNet, image: np.ndarray, tile: int) -> torch.Tensor:
    def read(window: tuple[slice, ...]) -> np.ndarray:
        return image[(slice(None), *window)]

    return finished(predict(net, read, image.shape[1:], tile=tile))[0]


@pytest.mark.parametrize("zoom", [1.0, 1.5, 0.5, 1.125, 0.4])
@pytest.mark.parametrize("shape", [(150, 203), (97, 260)])
def test_tiled_equals_untiled(lively: Callable[..., UNet], zoom: float, shape: Any) -> None:
    net = scorer(lively(widths=[4, 8, 8], shuffle=2, channels_out=4), zoom, zoom)
    image = noise((1, *shape))
    whole = run(net, image, 4096)
    assert whole.shape == (4, *shape)
    for tile in (16, 60):
        torch.testing.assert_close(run(net, image, tile), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("zoom", [(1.0, 1.0, 1.0), (2.0, 0.5, 0.5)])
def test_tiled_equals_untiled_in_3d(lively: Callable[..., UNet], zoom: tuple[float, ...]) -> None:
    net = scorer(lively(ndim=3, widths=[3, 4], channels_out=2), *zoom, batch=3)
    image = noise((1, 21, 50, 67))
    torch.testing.assert_close(run(net, image, 12), run(net, image, 512), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (5, 7), (1, 40)])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 0.5])
def test_images_smaller_than_the_stride_are_scored(
    lively: Callable[..., UNet], shape: tuple[int, int], zoom: float
) -> None:
    net = scorer(lively(widths=[4, 8, 8], shuffle=2), zoom, zoom)
    scores = run(net, noise((1, *shape)), 64)
    assert scores.shape == (1, *shape)
    assert torch.isfinite(scores).all()


def test_zoomed_scores_lie_where_their_pixels_are() -> None:
    """A net that gives its input back gives the image back, at any zoom, not shifted."""

    class Identity(torch.nn.Module):
        ndim, stride, halo, channels_in, channels_out = 2, (4, 4), (4, 4), 1, 1

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images

    y, x = np.indices((61, 85), np.float32)
    image = (np.sin(y / 15) + np.cos(x / 20))[None]
    for zoom in (1, 1.5, 3, 0.5, 0.4):
        back = run(scorer(Identity(), zoom, zoom), image, 4096).numpy()
        assert np.abs(back - image)[:, 4:-4, 4:-4].max() < 0.02, zoom


def test_a_batch_is_scored_like_its_tiles(lively: Callable[..., UNet]) -> None:
    net = scorer(lively(widths=[4, 6]), 1.5, 1.5)
    tiles = [noise((1, 40, 28), seed=seed) for seed in range(3)]
    for scores, tile in zip(net(tiles), tiles, strict=True):
        torch.testing.assert_close(scores, net([tile])[0], rtol=1e-5, atol=1e-5)


def test_repeated_channels_need_no_copy(lively: Callable[..., UNet]) -> None:
    """Gray images come as one channel broadcast to three, read-only."""
    net = scorer(lively(widths=[4], channels_in=3))
    gray = np.broadcast_to(noise((1, 8, 8)), (3, 8, 8))
    torch.testing.assert_close(net([gray])[0], net([gray.copy()])[0])


def test_another_zoom_has_another_halo_and_grid(lively: Callable[..., UNet]) -> None:
    net = lively(widths=[4, 8], shuffle=2)  # stride 4
    assert scorer(net).multiple == (4, 4)
    assert scorer(net, 0.5, 2.0).multiple == (8, 2)
    half = scorer(net).at((Scale(1, 2), Scale(1, 2)))
    assert half.halo == tuple(2 * n + 2 for n in net.halo)
    assert half.net is net


def test_what_has_no_room_goes_to_the_cpu(lively: Callable[..., UNet]) -> None:
    """A device too small for one tile hands over; the scores are the same, and the user is told."""
    net = lively(widths=[4, 8])
    plain = scorer(net)
    image = noise((1, 60, 60))

    class Full:
        name, device = "full", torch.device("meta")

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            raise OutOfMemoryError("no room")

    class Small(ScoreNet):
        def empty(self, shape: tuple[int, ...]) -> torch.Tensor:
            return torch.zeros((1, *shape))

    small = Small(net, Full(), plain.scales, 4)
    scores, notes, _ = finished(
        predict(small, lambda w: image[(slice(None), *w)], (60, 60), tile=32)
    )
    torch.testing.assert_close(scores, run(plain, image, 512), rtol=1e-4, atol=1e-4)
    assert any("CPU" in note for note in notes)
    assert plain.fallback() is None


@pytest.fixture
def saved(tmp_path: Path, lively: Callable[..., UNet]) -> tuple[UNet, Path, str]:
    net = lively(widths=[4, 6], channels_out=4)
    path = tmp_path / "weights.pt"
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, path
    )
    return net, path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_is_loaded_once(saved: tuple[UNet, Path, str]) -> None:
    net, path, sha = saved
    kwargs = {"widths": [4, 6], "channels_out": 4}
    first = score_net(path, sha, HOME, "UNet", kwargs, device="cpu")
    assert score_net(path, sha, HOME, "UNet", dict(kwargs), device="cpu").net is first.net
    assert first.scales == (Scale(), Scale())
    image = noise((1, 24, 32))
    # weights were rounded to half precision on disk
    torch.testing.assert_close(first([image])[0], scorer(net)([image])[0], rtol=0.02, atol=0.02)


def test_half_precision_weights_become_whole(saved: tuple[UNet, Path, str]) -> None:
    net = built_net(HOME, "UNet", {"widths": [4, 6], "channels_out": 4})
    load_weights(net, saved[1])
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_weights_of_another_net_are_refused(saved: tuple[UNet, Path, str]) -> None:
    with pytest.raises(InputError, match=r"weights\.pt do not fit the model's architecture"):
        score_net(saved[1], "other", HOME, "UNet", {"widths": [4, 7], "channels_out": 4})


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="do not fit"):
        load_weights(UNet(), path)


def test_code_in_weights_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (trace,)

    path = tmp_path / "weights.pt"
    for write in (
        lambda: torch.save({"x": Evil()}, path),
        lambda: path.write_bytes(pickle.dumps(Evil())),
    ):
        write()
        with pytest.raises(InputError, match="do not fit"):
            load_weights(UNet(), path)
    assert not trace.exists()


@pytest.mark.parametrize("home", ["os", "napari_medai.io.atomic", "napari_medai.nnx"])
def test_only_our_own_nets_are_built(home: str) -> None:
    with pytest.raises(InputError, match="convert the model"):
        built_net(home, "system", {"command": "true"})


def test_fresh_weights_follow_the_seed_and_leave_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    first, second, other = (
        seeded_net(HOME, "UNet", {"widths": [4]}, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_score_maps_are_what_a_score_net_says(lively: Callable[..., UNet]) -> None:
    net = lively(widths=[4, 6])
    image = torch.from_numpy(noise((1, 30, 31)))
    wanted = scorer(net, 0.5, 0.5).scores(image[None])[0]
    torch.testing.assert_close(score_maps(net, image, Scale(1, 2)), wanted)


def test_decoded_objects_are_those_of_decode() -> None:
    maps = torch.randn(4, 40, 40, generator=torch.Generator().manual_seed(0))
    found = decode(maps, threshold=0.6, diameter=(8.0, 9.0), min_size=3)
    labels, centres, scores = decoded_objects(maps, threshold=0.6, diameter=(8.0, 9.0), min_size=3)
    assert isinstance(labels, np.ndarray)
    assert (labels == found.labels.numpy()).all()
    assert (centres == found.centres.numpy()).all()
    assert (scores == found.scores.numpy()).all()
    assert labels.max() == len(centres) == len(scores) > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
@pytest.mark.parametrize("ndim", [2, 3])
def test_an_exported_net_gives_its_test_output(
    tmp_path: Path, lively: Callable[..., UNet], ndim: int
) -> None:
    kwargs = {"ndim": ndim, "channels_in": 3, "channels_out": 2 + ndim, "widths": [4, 6]}
    files = exported(lively(**kwargs), tmp_path, intensity=Percentiles())
    raw = files.test_input.astype(np.float32)
    low, high = np.percentile(raw, [1.0, 99.8])
    ready = torch.from_numpy((raw - low) / (high - low)).float()
    net = built_net(HOME, "UNet", kwargs).eval()
    load_weights(net, files.weights)
    script = torch.jit.load(files.script)
    with torch.inference_mode():
        for reader in (net, script):
            np.testing.assert_allclose(reader(ready).numpy(), files.test_output, atol=1e-3)
    state = torch.load(files.weights, weights_only=True)
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}


@pytest.mark.parametrize("ndim", [2, 3])
def test_zooming_out_averages(ndim: int) -> None:
    from napari_medai.nn.runner import _resized

    noise = torch.randn((1, 1, *(64,) * ndim), generator=torch.Generator().manual_seed(0))
    small = _resized(noise, [8] * ndim, smooth=True)
    assert small.shape == (1, 1, *(8,) * ndim)
    assert float(small.std()) < 1.5 / 8 ** (ndim / 2)
    ramp = torch.arange(64.0).reshape(64, *(1,) * (ndim - 1)).expand((64,) * ndim)
    middle = _resized(ramp[None, None], [8] * ndim, smooth=True)[0, 0, 1:-1]
    wanted = 8 * torch.arange(1.0, 7.0) + 3.5
    torch.testing.assert_close(middle.flatten(1).mean(1), wanted)
