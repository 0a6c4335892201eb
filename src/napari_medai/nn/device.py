"""Which device to compute on, and why."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from napari_medai.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Device:
    """A device of this machine: ``cuda``, ``mps`` or ``cpu``, and a few words about it."""

    name: str
    reason: str

    @property
    def torch(self) -> torch.device:
        return torch.device(self.name)


def devices() -> list[Device]:
    """The devices of this machine, the fastest first; the CPU is always among them."""
    found = []
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found.append(Device("cuda", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU (Metal)"))
    why = "" if found else f"; {_why_no_gpu()}"
    threads = torch.get_num_threads()
    found.append(Device("cpu", f"{threads} thread{'s' if threads > 1 else ''}{why}"))
    return found


def chosen_device(wish: str = "auto") -> Device:
    """The device to use: the one wished for, or the fastest for ``"auto"``.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    found = devices()
    if wish == "auto":
        return found[0]
    for device in found:
        if device.name == wish:
            return device
    names = ", ".join(device.name for device in found)
    raise InputError(f"device {wish!r} is not available here, only {names}; choose one or auto")


def device_for(ndim: int, wish: str = "auto") -> Device:
    """The device to use for a net of so many dimensions; see `chosen_device`."""
    device = chosen_device(wish)
    if device.name == "mps" and ndim == 3:
        return Device("cpu", "Metal lacks pooling in 3D in many versions of PyTorch")
    return device


def _why_no_gpu() -> str:
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return "this PyTorch is built without GPU support"
    return "no GPU was found"


def mixed_precision(device: torch.device, net: nn.Module) -> AbstractContextManager[Any]:
    """Half-precision arithmetic where the hardware has it, else nothing.

    bfloat16 keeps float32's range, so training needs no loss scaling. Old GPUs and most CPUs have
    no bfloat16 units and stay in float32. So do nets that add to their input: the values of a
    bright image have more digits above its noise than the eight bits that bfloat16 keeps.
    """
    if getattr(net, "residual", False):
        return nullcontext()
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    if device.type == "cpu" and native():
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def emptied_cache(device: torch.device) -> None:
    """Give memory that PyTorch keeps for later back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
