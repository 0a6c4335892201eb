"""PyTorch and OpenVINO give the same; full memory is said, and nothing else is mistaken for it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

from napari_medai.core.errors import InputError, OutOfMemoryError
from napari_medai.nn import backends
from napari_medai.nn.backends import OpenVinoBackend, TorchBackend, backend_for
from napari_medai.nn.device import chosen_device, device_for, devices, mixed_precision
from napari_medai.nn.unet import UNet

# OpenVINO traces nets, which this PyTorch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed"
)


@needs_openvino
@pytest.mark.parametrize(
    ("kwargs", "sizes"),
    [
        (
            {"channels_in": 3, "channels_out": 4, "widths": [8, 12, 16], "shuffle": 2},
            [(64, 64), (8, 120), (96, 64), (64, 64)],
        ),
        (
            {"ndim": 3, "widths": [4, 6], "shuffle": [1, 2, 2], "channels_out": 5},
            [(8, 16, 16), (2, 32, 4)],
        ),
    ],
)
def test_openvino_gives_what_torch_gives(
    lively: Callable[..., UNet], kwargs: dict[str, Any], sizes: list[tuple[int, ...]]
) -> None:
    """Within 1e-3, for every size and batch, one after the other."""
    net = lively(**kwargs)
    fast, plain = OpenVinoBackend(net), TorchBackend(net, CPU)
    for batch, size in enumerate(sizes, start=1):
        images = torch.rand(batch, net.channels_in, *size)
        before = images.clone()
        torch.testing.assert_close(fast(images), plain(images), rtol=1e-3, atol=1e-3)
        assert torch.equal(images, before)


@needs_openvino
def test_answers_of_openvino_stay_what_they_were(lively: Callable[..., UNet]) -> None:
    """The next call does not write into them."""
    backend = OpenVinoBackend(lively(widths=[4, 6]))
    first = backend(torch.rand(1, 1, 16, 16))
    kept = first.clone()
    backend(torch.rand(1, 1, 16, 16))
    assert torch.equal(first, kept)


@needs_openvino
def test_threads_that_share_openvino_get_their_own_answers(lively: Callable[..., UNet]) -> None:
    net = lively(widths=[4, 6])
    fast, plain = OpenVinoBackend(net), TorchBackend(net, CPU)
    inputs = [torch.rand(1, 1, size, 32) for size in (32, 64)]
    expected = [plain(images) for images in inputs]
    together = threading.Barrier(len(inputs))

    def answers(images: torch.Tensor) -> list[torch.Tensor]:
        together.wait(timeout=10)
        return [fast(images) for _ in range(20)]

    with ThreadPoolExecutor(len(inputs)) as pool:
        for found, wanted in zip(pool.map(answers, inputs), expected, strict=True):
            for answer in found:
                torch.testing.assert_close(answer, wanted, rtol=1e-3, atol=1e-3)


@needs_openvino
def test_openvino_is_chosen_on_cpus(lively: Callable[..., UNet]) -> None:
    assert backend_for(lively(widths=[4]), CPU).name.startswith("openvino ")


def test_torch_takes_over_where_openvino_cannot(
    lively: Callable[..., UNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = lively(widths=[4])

    def unable(net: nn.Module) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(backends, "OpenVinoBackend", unable)
    backend = backend_for(net, CPU)
    assert backend.name == f"torch {torch.__version__}"
    assert backend(torch.rand(1, 1, 8, 8)).shape == (1, 1, 8, 8)
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    assert backend_for(net, CPU).name.startswith("torch ")


class Failing(nn.Module):
    """A net that fails with a given error."""

    ndim = 2

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("Allocation on device"),
    ],
)  # fmt: skip
def test_full_memory_is_said(error: RuntimeError) -> None:
    backend = TorchBackend(Failing(error), CPU)
    with pytest.raises(OutOfMemoryError, match=r"no room for 3 x 1 x 16 x 24 values"):
        backend(torch.zeros(3, 1, 16, 24))


def test_other_errors_are_not_mistaken_for_it() -> None:
    with pytest.raises(RuntimeError, match="shapes differ") as caught:
        TorchBackend(Failing(RuntimeError("shapes differ")), CPU)(torch.zeros(1, 1, 8, 8))
    assert not isinstance(caught.value, OutOfMemoryError)


@needs_openvino
def test_full_memory_under_openvino_is_said(lively: Callable[..., UNet]) -> None:
    backend = OpenVinoBackend(lively(widths=[4]))

    class Request:
        def infer(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("std::bad_alloc")

    backend.request = Request()
    with pytest.raises(OutOfMemoryError, match="no room"):
        backend(torch.zeros(1, 1, 8, 8))


def test_inference_mode_does_not_leak(lively: Callable[..., UNet]) -> None:
    TorchBackend(lively(widths=[4]), CPU)(torch.rand(1, 1, 8, 8))
    assert not torch.is_inference_mode_enabled()


def test_there_is_always_a_cpu_and_a_reason() -> None:
    found = devices()
    assert found[-1].name == "cpu"
    assert chosen_device() == found[0]
    assert chosen_device("cpu").torch == CPU
    assert all(device.reason for device in found)


def test_the_fastest_device_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [device.name for device in devices()] == ["mps", "cpu"]
    assert chosen_device("auto").name == "mps"
    assert device_for(2).name == "mps"
    assert device_for(3).name == device_for(3, "mps").name == "cpu"
    assert chosen_device("cpu").name == "cpu"


def test_a_missing_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device 'cuda' is not available here, only .*cpu"):
        chosen_device("cuda")
    with pytest.raises(InputError, match="'tpu'"):
        chosen_device("tpu")


def test_precision_is_mixed_only_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    with mixed_precision(CPU, UNet(widths=[4, 5])):
        assert not torch.is_autocast_enabled("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    with mixed_precision(CPU, UNet(widths=[4, 5])):
        assert torch.is_autocast_enabled("cpu")
    with mixed_precision(CPU, UNet(widths=[4, 5], residual=True)):
        assert not torch.is_autocast_enabled("cpu"), "what is added to keeps its digits"
