"""What a model package says about its model, checked when it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.core.paint_maps import CHANNELS
from napari_medai.models.architecture import (
    BOX_NET,
    PAINTER,
    Architecture,
    check_agreement,
    check_architecture,
)
from napari_medai.models.settings import CLASSES, check_settings, class_names

__all__ = ["TASKS", "Architecture", "ModelSpec", "check_name", "is_name", "plain"]

TASKS = ("segment", "detect", "denoise", "synthesize")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"\d+(\.\d+){0,3}([a-z.+-][a-z0-9.+-]*)?")
_TITLE = re.compile(r"[A-Za-z0-9_+\- ()]{5,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a model package says about its model, beyond the weights.

    Parameters
    ----------
    name
        Lower-case letters, digits and single dashes; what the user types.
    axes
        Of one input image: ``"CYX"`` or ``"CZYX"``. The output has the same.
    channels_in, channels_out
        A name for each channel.
    stride
        Input sizes are multiples of this, one number a spatial axis.
    halo
        Border of the output that lacks context, in pixels, one number a spatial axis; empty
        when not stated. For programs that tile; ours ask the net.
    cell
        Pixels of the input along each axis to one of the output; empty where they are the same.
    config
        What the format has no word for, kept under ``config: medai:``. To segment, a ``decoder``:
        ``"centre votes"`` for objects, which needs their ``diameter`` (a typical one, in pixels),
        or ``"classes"``, which needs ``classes`` (a list of ``{name, colour}`` without the
        background) and may have the ``spacing`` that images are resampled to (millimetres, one a
        spatial axis) and the axes along which they may be mirrored (``mirror``; ``mirrored``
        says that averaging over mirrored views is worth its time). To detect, the decoder
        ``"boxes"``, ``classes`` and the ``diameter`` (the edge of a typical box). To denoise, the
        decoder ``"light"`` and the ``intensity`` ``{"unchanged": true}``. To synthesize, the
        decoder ``"painting"`` and what was ``learned`` of looks and layouts (JSON, see
        `napari_medai.tasks.painter_models.Knowledge`). ``zoom`` (the one
        at which images like those of the training are seen), ``zoom_range`` (factor
        within which objects of other sizes are known), ``anisotropy`` (step along z over that in
        the plane), ``pixel_size`` (micrometer, a number or one a spatial axis), ``intensity``
        (see `napari_medai.core.intensity.intensity_of`), ``recipe``, ``scores`` (figures, or
        figures a kind of image), ``training_data``, ``limits`` and ``notice`` (texts; the last
        one stands wherever the model is chosen), ``alias`` (a name that also finds it where a
        model for its task is asked for), and anything else that is plain. Entries that
        are None are left out.
    licence
        SPDX identifier; empty when not stated.
    authors, cite
        As BioImage.IO has them: ``{"name": ...}``, ``{"text": ..., "doi": ... or "url": ...}``.
    card
        The README in markdown; written from the rest when empty.

    Raises
    ------
    InputError
        If something is missing or not of the right kind.
    """

    name: str
    description: str
    architecture: Architecture
    channels_in: tuple[str, ...]
    channels_out: tuple[str, ...]
    stride: tuple[int, ...]
    halo: tuple[int, ...] = ()
    cell: tuple[int, ...] = ()
    axes: str = "CYX"
    task: str = "segment"
    version: str = "1.0.0"
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    title: str = ""
    licence: str = ""
    authors: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    cite: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    tags: tuple[str, ...] = ()
    card: str = ""

    def __post_init__(self) -> None:
        kwargs = plain(self.architecture.kwargs, "architecture kwargs")
        config = {
            key: value
            for key, value in plain(self.config, "config").items()
            if key not in ("name", "task") and value is not None
        }
        config = {"intensity": {"low": 1.0, "high": 99.8}} | config
        object.__setattr__(self, "architecture", Architecture(*self.architecture[:2], kwargs))
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "title", self.title or f"{self.name} (napari-medai)")
        check_name(self.name)
        _check_texts(self)
        check_architecture(self.architecture)
        _check_shape(self)
        check_settings(self.task, config, space=len(self.axes) - 1)
        if "alias" in config:  # it names files, too
            check_name(config["alias"])


def is_name(name: str) -> bool:
    """Whether this is lower-case letters and digits, in words joined by single dashes."""
    return _NAME.fullmatch(name) is not None and len(name) <= 64


def check_name(name: str) -> None:
    """Refuse what is not a name."""
    if not is_name(name):
        raise InputError(
            f"{name!r} is not a model name; use lower-case letters, digits and dashes, "
            "for example my-nuclei-2"
        )


def plain(value: Any, where: str) -> Any:
    """The value made of dicts, lists, strings, numbers, bools and None alone.

    Raises
    ------
    InputError
        If it holds anything else: it could not be written down and read back.
    """
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise InputError(
        f"{where} holds a {type(value).__name__}, which cannot be kept in a model package; "
        "use numbers, text, lists and dictionaries"
    )


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise InputError(f"{where} has the key {key!r}, but keys must be text")
    return key


def _check_texts(spec: ModelSpec) -> None:
    if not _VERSION.fullmatch(spec.version):
        raise InputError(f"version must look like 1.0.0, got {spec.version!r}")
    if not _TITLE.fullmatch(spec.title):
        raise InputError(
            f"title must be 5 to 128 letters, digits, spaces or _+-(), got {spec.title!r}"
        )
    if not 0 < len(spec.description) <= 1024:
        raise InputError(f"description must have 1 to 1024 characters, got {len(spec.description)}")
    if spec.task not in TASKS:
        raise InputError(f"task must be one of {', '.join(TASKS)}, got {spec.task!r}")
    for author in spec.authors:
        if not author.get("name") or set("/\\") & set(author["name"]):
            raise InputError(f"an author needs a name without slashes, got {dict(author)}")
    for entry in spec.cite:
        if not entry.get("text") or not (entry.get("doi") or entry.get("url")):
            raise InputError(f"a citation needs a text and a doi or url, got {dict(entry)}")


def _check_shape(spec: ModelSpec) -> None:
    if spec.axes not in ("CYX", "CZYX"):
        raise InputError(f"a model's axes must be CYX or CZYX, got {spec.axes!r}")
    space = len(spec.axes) - 1
    for what, sizes, least in (
        ("stride", spec.stride, 1),
        ("halo", spec.halo or (0,) * space, 0),
        ("cell", spec.cell or (1,) * space, 1),
    ):
        if len(sizes) != space or not all(type(n) is int and n >= least for n in sizes):
            raise InputError(
                f"{what} must be {space} whole numbers of at least {least}, got {sizes!r}"
            )
    for names in (spec.channels_in, spec.channels_out):
        if not names or len(set(names)) != len(names) or not all(names):
            raise InputError(f"channels need different names, got {names!r}")
    _check_task(spec, space)
    counts = {"channels_in": len(spec.channels_in), "channels_out": len(spec.channels_out)}
    check_agreement(spec.architecture, {"ndim": space, **counts})


def _check_task(spec: ModelSpec, space: int) -> None:
    """Refuse a net and channels that the task has no use for."""
    if (spec.architecture[:2] == PAINTER) and spec.task != "synthesize":
        raise InputError(f"the net {PAINTER[1]} makes images from labels; it cannot {spec.task}")
    if (spec.task == "detect") != (spec.architecture[:2] == BOX_NET):
        raise InputError(
            f"a model to detect needs the net {BOX_NET[1]}, and no other model has it, got "
            f"{spec.architecture.callable} to {spec.task}"
        )
    if spec.task == "detect":
        _check_boxes(spec)
    elif spec.config.get("decoder") == CLASSES:
        named = spec.config.get("classes")
        count = 1 + len(named) if isinstance(named, list) and named else len(spec.channels_out)
        if len(spec.channels_out) != count:
            raise InputError(
                f"a model of {count - 1} classes has {count} output channels (background first), "
                f"got {len(spec.channels_out)}"
            )
    elif spec.task == "denoise":
        _check_light(spec)
    elif spec.task == "synthesize":
        _check_painting(spec)
    elif spec.task == "segment" and len(spec.channels_out) != 2 + space:
        raise InputError(
            f"a model that segments in {space}D has {2 + space} output channels (foreground, "
            f"distance, {space} offsets), got {len(spec.channels_out)}"
        )


def _check_light(spec: ModelSpec) -> None:
    counts = len(spec.channels_in), len(spec.channels_out)
    if counts != (2, 1):
        raise InputError(
            "a model that denoises takes 2 channels (values with stabilised noise, and the level "
            f"of that noise) and gives 1, got {counts[0]} and {counts[1]}"
        )


def _check_painting(spec: ModelSpec) -> None:
    if spec.architecture[:2] != PAINTER or spec.channels_in != CHANNELS:
        raise InputError(
            f"a model that synthesizes has the net {PAINTER[1]} and takes {len(CHANNELS)} channels "
            f"({', '.join(CHANNELS)}), got {spec.architecture.callable} and "
            f"{', '.join(spec.channels_in)}"
        )


def _check_boxes(spec: ModelSpec) -> None:
    count, kinds = len(class_names(spec.config)), spec.architecture.kwargs.get("kinds", 1)
    if count != kinds:
        raise InputError(
            f"a model that detects has one kind of box a class, got {kinds} for {count} classes"
        )
