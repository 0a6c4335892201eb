"""A trained net as files: half-precision weights, TorchScript, and a test input with its output."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from napari_medai.core.intensity import FixedWindow, Intensity, Unchanged, ZScore


@dataclass(frozen=True, slots=True)
class NetFiles:
    """What `exported` wrote: a state dict in float16, TorchScript (or none), and test tensors.

    ``version`` is that of PyTorch; the test tensors are (batch, channels, \\*space), the input
    uint8 before normalisation, the output float32.
    """

    weights: Path
    script: Path | None
    test_input: np.ndarray
    test_output: np.ndarray
    version: str


def exported(
    net: nn.Module, folder: Path, *, intensity: Intensity, script: bool = True
) -> NetFiles:
    """Write a net's files into a folder, with or without a ``script``.

    The net itself gets the weights that a reader will have: those rounded to float16.
    ``intensity`` is how its inputs are normalised.
    """
    net = net.eval().cpu()
    state = {name: _half(value) for name, value in net.state_dict().items()}
    net.load_state_dict({name: _whole(value) for name, value in state.items()})
    weights = folder / "weights.pt"
    torch.save(state, weights)
    raw, ready = _test_images(net, intensity)
    traced = scripted(net, folder, intensity=intensity) if script else None
    with torch.inference_mode():
        output = net(ready)
    return NetFiles(weights, traced, raw, output.numpy(), script_version())


def scripted(net: nn.Module, folder: Path, *, intensity: Intensity) -> Path:
    """Write a net as TorchScript, which takes images of any size that the net takes."""
    net = net.eval().cpu()
    _, ready = _test_images(net, intensity)
    script = folder / "torchscript.pt"
    with torch.inference_mode(), warnings.catch_warnings():
        # Tracing warns of Python numbers (strides), which are constants of the architecture, and
        # newer PyTorch of TorchScript itself, which is still what other programs read.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, ready, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(script))
    return script


def script_version() -> str:
    """That of the PyTorch that writes TorchScript here."""
    return torch.__version__.split("+")[0]


def _test_images(net: nn.Module, intensity: Intensity) -> tuple[np.ndarray, torch.Tensor]:
    """A smooth random image, raw (uint8) and normalised, of a few strides a side."""
    rng = np.random.default_rng(0)
    size = [4 * int(s) for s in net.stride]  # type: ignore[union-attr]
    coarse = torch.from_numpy(rng.random((1, int(net.channels_in), *(8 for _ in size))))  # type: ignore[arg-type]
    mode = "bicubic" if len(size) == 2 else "trilinear"
    smooth = nn.functional.interpolate(coarse, size=size, mode=mode, align_corners=False)
    raw = (smooth.clamp(0.01, 1) * 255).round().numpy().astype(np.uint8)
    return raw, torch.from_numpy(_by_the_format(raw, intensity))


def _by_the_format(raw: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Normalised as the package's ``preprocessing`` says, in the words of the format."""
    values = raw.astype(np.float64)
    if isinstance(intensity, Unchanged):
        return values.astype(np.float32)
    if isinstance(intensity, ZScore):
        values = (values - values.mean()) / (values.std() + 1e-6)
        return values.clip(-intensity.clip, intensity.clip).astype(np.float32)
    if isinstance(intensity, FixedWindow):
        values = (values - intensity.low) / (intensity.high - intensity.low)
        return values.clip(0, 1).astype(np.float32)
    dark, bright = np.percentile(values, [intensity.low, intensity.high])
    return ((values - dark) / (bright - dark + 1e-6)).astype(np.float32)


def _half(value: torch.Tensor) -> torch.Tensor:
    return value.half() if value.is_floating_point() else value


def _whole(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value
