"""What a model package says about its model, checked when it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from napari_medai.core.errors import InputError

TASKS = ("segment", "detect", "denoise", "synthesize")

ALLOWED = frozenset({("napari_medai.nn.unet", "UNet")})
"""Nets a package may name. Packages never bring code, and cannot call anything else of ours."""

NEEDED = {"segment": ("decoder", "diameter", "threshold")}
"""What the settings of a task's model must hold."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"\d+(\.\d+){0,3}([a-z.+-][a-z0-9.+-]*)?")
_TITLE = re.compile(r"[A-Za-z0-9_+\- ()]{5,128}")


class Architecture(NamedTuple):
    """The net the weights belong to: ``from import_from import callable; callable(**kwargs)``."""

    import_from: str
    callable: str
    kwargs: Mapping[str, Any]


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
    config
        What the format has no word for, kept under ``config: medai:``. ``decoder``, ``diameter``
        (typical object, in pixels), ``threshold`` (needed to segment), ``pixel_size``
        (micrometer, a number or one a spatial axis), ``min_size``, ``intensity`` (percentiles
        ``{low, high}`` that become 0 and 1), ``recipe``, ``scores`` (figures, or figures a
        kind of image), ``training_data`` and ``limits`` (texts), and anything else that is plain.
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
        config = {"intensity": {"low": 1.0, "high": 99.8}} | plain(self.config, "config")
        config = {key: value for key, value in config.items() if key not in ("name", "task")}
        object.__setattr__(self, "architecture", Architecture(*self.architecture[:2], kwargs))
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "title", self.title or f"{self.name} (napari-medai)")
        check_name(self.name)
        _check_texts(self)
        check_architecture(self.architecture)
        _check_shape(self)
        _check_config(self.task, config, space=len(self.axes) - 1)


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


def check_architecture(architecture: Architecture) -> None:
    """Refuse a net that is not one of ours."""
    if (architecture.import_from, architecture.callable) not in ALLOWED:
        known = ", ".join(sorted(".".join(pair) for pair in ALLOWED))
        raise InputError(
            f"the net {architecture.import_from}.{architecture.callable} is not one that "
            f"napari-medai may load ({known}); use a model made for napari-medai"
        )
    if not all(isinstance(key, str) and key.isidentifier() for key in architecture.kwargs):
        raise InputError(f"the net's arguments must have names, got {list(architecture.kwargs)}")


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


def number(value: Any) -> bool:
    """Whether this is an int or float (a bool is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    for what, sizes, least in (("stride", spec.stride, 1), ("halo", spec.halo or (0,) * space, 0)):
        if len(sizes) != space or not all(type(n) is int and n >= least for n in sizes):
            raise InputError(
                f"{what} must be {space} whole numbers of at least {least}, got {sizes!r}"
            )
    for names in (spec.channels_in, spec.channels_out):
        if not names or len(set(names)) != len(names) or not all(names):
            raise InputError(f"channels need different names, got {names!r}")


def _check_config(task: str, config: Mapping[str, Any], *, space: int) -> None:
    missing = [key for key in NEEDED.get(task, ()) if key not in config]
    if missing:
        raise InputError(f"the settings of the model (config: medai:) lack {', '.join(missing)}")
    intensity = config["intensity"]
    if not (
        isinstance(intensity, Mapping)
        and all(number(intensity.get(key)) for key in ("low", "high"))
        and 0 <= intensity["low"] < intensity["high"] <= 100
    ):
        raise InputError(f"intensity must be percentiles low < high, got {intensity!r}")
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        "decoder": (lambda v: isinstance(v, str) and v != "", "a name"),
        "diameter": (lambda v: number(v) and 0 < v < 1e6, "a positive number of pixels"),
        "threshold": (lambda v: number(v) and 0 <= v <= 1, "between 0 and 1"),
        "min_size": (lambda v: number(v) and 0 <= v <= 1, "between 0 and 1"),
        "pixel_size": (lambda v: _is_size(v, space), f"1 or {space} positive micrometers"),
        "recipe": (lambda v: isinstance(v, Mapping), "a mapping"),
        "scores": (lambda v: isinstance(v, Mapping), "a mapping"),
        "training_data": (lambda v: isinstance(v, str), "a text"),
        "limits": (lambda v: isinstance(v, str), "a text"),
    }
    for key, (holds, wanted) in rules.items():
        if config.get(key) is not None and not holds(config[key]):
            raise InputError(f"{key} must be {wanted}, got {config[key]!r}")


def _is_size(value: Any, space: int) -> bool:
    sizes = value if isinstance(value, Sequence) and len(value) == space else [value]
    return all(number(size) and 0 < size < 1e6 for size in sizes)
