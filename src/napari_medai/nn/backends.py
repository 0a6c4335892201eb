"""What runs a net: PyTorch on any device, or OpenVINO on CPUs.

A backend takes and gives float32 tensors (batch, channels, \\*space) whose sides are multiples of
the net's stride. On a CPU both give the same values within 1e-3; GPUs that can, compute in half
precision.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from napari_medai.core.errors import OutOfMemoryError
from napari_medai.nn.device import mixed_precision

log = logging.getLogger(__name__)


class Backend(Protocol):
    """A net, ready to run on one device."""

    name: str
    device: torch.device

    def __call__(self, images: Tensor) -> Tensor:
        """Raw maps of the net, on `device`.

        Raises
        ------
        OutOfMemoryError
            If the device has no room for this batch.
        """
        ...


class TorchBackend:
    """The net run by PyTorch: half precision on GPUs that have it, channels-last in 2D."""

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self.name = f"torch {torch.__version__}"
        self.device = device
        # A copy: the net itself stays where it is, for the day this device is full.
        self.net = copy.deepcopy(net).eval().requires_grad_(False).to(device)
        self.format = torch.channels_last if net.ndim == 2 else torch.channels_last_3d
        self.net = self.net.to(memory_format=self.format)  # type: ignore[call-overload]

    def __call__(self, images: Tensor) -> Tensor:
        # On CPUs float32 throughout: bfloat16 differs by more than the 1e-3 that is promised.
        cuda = self.device.type == "cuda"
        half = mixed_precision(self.device, self.net) if cuda else nullcontext()
        with short_of_memory(images.shape), torch.inference_mode(), half:
            ready = images.to(self.device).contiguous(memory_format=self.format)
            return self.net(ready).float()


class OpenVinoBackend:
    """The net run by OpenVINO on the CPU, in float32."""

    def __init__(self, net: nn.Module) -> None:
        # Importing OpenVINO would report each use to its makers, from a process of its own; as a
        # missing package it does not.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.device = torch.device("cpu")
        stride = [int(s) for s in net.stride]  # type: ignore[union-attr]
        example = torch.zeros(1, int(net.channels_in), *(4 * s for s in stride))  # type: ignore[arg-type]
        with warnings.catch_warnings():
            # Tracing warns of strides, which are constants, and of TorchScript's age.
            warnings.simplefilter("ignore")
            # Checking the trace would import half of PyTorch and freeze a window meanwhile.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                net.eval().cpu(), example, check_trace=False
            )
            converted = openvino.convert_model(traced, example_input=example)
        converted.reshape({0: [-1, int(net.channels_in), *(-1 for _ in stride)]})  # type: ignore[arg-type]
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = openvino.Core().compile_model(converted, "CPU", options)
        self.request = compiled.create_infer_request()
        self.turn = threading.Lock()

    def __call__(self, images: Tensor) -> Tensor:
        ready = np.ascontiguousarray(images.numpy())
        # Nets stay loaded and may be shared by threads; a request may not.
        with short_of_memory(images.shape), self.turn:
            result = self.request.infer([ready], share_inputs=True, share_outputs=False)
        return torch.from_numpy(result[0])


def backend_for(net: nn.Module, device: torch.device) -> Backend:
    """The fastest backend that this machine has for a net on a device."""
    if device.type == "cpu" and importlib.util.find_spec("openvino") is not None:
        try:
            return OpenVinoBackend(net)
        except Exception:
            # An accelerator that cannot take this net is no reason not to run it.
            log.warning("OpenVINO cannot run this net; PyTorch does", exc_info=True)
    return TorchBackend(net, device)


@contextmanager
def short_of_memory(shape: Sequence[int]) -> Iterator[None]:
    """Turns what a device says when it is full into `OutOfMemoryError`."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemoryError(
            f"the device has no room for {' x '.join(map(str, shape))} values; close other "
            "programs or use smaller tiles"
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch or OpenVINO means that memory did not suffice."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in ("out of memory", "can't allocate", "bad_alloc"))
