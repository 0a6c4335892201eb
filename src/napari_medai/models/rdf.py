"""BioImage.IO's ``rdf.yaml`` (model description 0.5), to and from a `ModelSpec`.

https://github.com/bioimage-io/spec-bioimage-io
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import FixedWindow, Intensity, Unchanged, ZScore, intensity_of
from napari_medai.models.architecture import DEFAULTS
from napari_medai.models.settings import number
from napari_medai.models.spec import Architecture, ModelSpec

FORMAT = "0.5.12"
WEIGHTS = "weights.pytorch_state_dict"
_MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 50
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FILES = ("documentation", "covers", "attachments")
"""Keys whose value may name files without saying ``source``."""


def parsed(text: str) -> dict[str, Any]:
    """The mapping that a yaml text holds.

    Raises
    ------
    InputError
        If it is no yaml mapping, or is built to be expensive (aliases, deep nesting, size).
    """
    if len(text) > _MAX_CHARACTERS:
        raise InputError(f"rdf.yaml has more than {_MAX_CHARACTERS} characters; do not use it")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH or isinstance(event, yaml.AliasEvent):
                raise InputError("rdf.yaml uses yaml aliases or is nested too deep; do not use it")
        content = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise InputError(f"rdf.yaml is not valid yaml{line}; install the model again") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"rdf.yaml holds a broken value ({error})") from None
    if not isinstance(content, dict):
        raise InputError("rdf.yaml is empty or no yaml mapping; install the model again")
    return content


def written(rdf: Mapping[str, Any]) -> str:
    """The yaml text of a description."""
    return str(yaml.dump(rdf, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def needed(rdf: Any, key: str, kind: type | tuple[type, ...]) -> Any:
    """The value at a dotted key.

    Raises
    ------
    InputError
        If it is missing or of another kind.
    """
    value = rdf
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            raise InputError(f"rdf.yaml lacks {key!r}; install the model again")
    if not isinstance(value, kind):
        raise InputError(f"{key!r} in rdf.yaml cannot be {value!r}; install the model again")
    return value


def referenced_files(rdf: Mapping[str, Any]) -> dict[str, str | None]:
    """Every local file a description names, with its SHA-256 where stated."""
    files: dict[str, str | None] = {}
    for name, checksum in _sources({key: rdf[key] for key in rdf if key != "config"}):
        files[name] = checksum or files.get(name)
    for key in _FILES:
        value: Any = rdf.get(key)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, str) and not _is_url(entry):
                files.setdefault(entry, None)
    return files


def spec_from_rdf(rdf: Mapping[str, Any], card: str = "") -> ModelSpec:
    """What a description says, checked.

    Raises
    ------
    InputError
        If it is not a model in format 0.5, or lacks what we need.
    """
    _check_format(rdf)
    config = needed(rdf, "config.medai", dict)
    axes, channels_in, stride = _tensor(needed(rdf, "inputs", list), "inputs")
    _, channels_out, _ = _tensor(needed(rdf, "outputs", list), "outputs")
    cell = _cell(rdf)
    answers = [axis for axis in rdf["outputs"][0]["axes"] if axis["type"] == "space"]
    halos = [axis.get("halo", 0) * n for axis, n in zip(answers, cell, strict=True)]
    return ModelSpec(
        name=str(needed(config, "name", str)),
        title=needed(rdf, "name", str),
        version=str(needed(rdf, "version", (str, int, float))),
        description=needed(rdf, "description", str),
        task=needed(config, "task", str),
        architecture=_architecture(rdf),
        axes=axes,
        channels_in=channels_in,
        channels_out=channels_out,
        stride=stride,
        halo=tuple(halos) if any(halos) else (),
        cell=() if set(cell) == {1} else cell,
        config=config,
        licence=str(rdf.get("license") or ""),
        authors=_entries(rdf, "authors"),
        cite=_entries(rdf, "cite"),
        tags=tuple(str(tag) for tag in rdf.get("tags") or ()),
        card=card,
    )


def rdf_from_spec(
    spec: ModelSpec, weights: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]
) -> dict[str, Any]:
    """The description of a model.

    ``weights`` are the entries a weights format (``pytorch_state_dict`` gets its architecture
    here); ``files`` the SHA-256 of README.md and, if there are, the test tensors.
    """
    architecture = spec.architecture
    entries = {kind: dict(entry) for kind, entry in weights.items()}
    entries["pytorch_state_dict"]["architecture"] = {
        "import_from": architecture.import_from,
        "callable": architecture.callable,
        "kwargs": dict(architecture.kwargs),
    }
    rdf: dict[str, Any] = {
        "format_version": FORMAT,
        "type": "model",
        "name": spec.title,
        "version": spec.version,
        "description": spec.description,
        "authors": [dict(author) for author in spec.authors],
        "cite": [dict(entry) for entry in spec.cite],
        "license": spec.licence or None,
        "tags": list(spec.tags),
        "documentation": _file("README.md", files),
        "inputs": [_input(spec, files)],
        "outputs": [_output(spec, files)],
        "weights": entries,
        "config": {"medai": {"name": spec.name, "task": spec.task} | dict(spec.config)},
    }
    return {key: value for key, value in rdf.items() if value is not None}


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _check_format(rdf: Mapping[str, Any]) -> None:
    if needed(rdf, "type", str) != "model":
        raise InputError(f"rdf.yaml describes a {rdf['type']}, not a model; choose a model")
    version = str(needed(rdf, "format_version", (str, float)))
    if not version.startswith("0.5"):
        raise InputError(
            f"format version {version} of rdf.yaml is not supported, only 0.5; "
            "update napari-medai or the program that made the model"
        )


def _architecture(rdf: Mapping[str, Any]) -> Architecture:
    entry = needed(rdf, f"{WEIGHTS}.architecture", dict)
    if "source" in entry:
        raise InputError(
            "the package brings its own code, which is never run; use a model made for napari-medai"
        )
    name = needed(entry, "import_from", str), needed(entry, "callable", str)
    given = needed({"kwargs": {}} | entry, "kwargs", dict)
    return Architecture(*name, DEFAULTS.get(name, {}) | given)


def _tensor(tensors: list[Any], what: str) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    """Axes, channel names and strides of the one tensor there is."""
    if len(tensors) != 1:
        raise InputError(f"the model has {len(tensors)} {what}, but only one is supported")
    axes = ""
    channels: tuple[str, ...] = ()
    stride = []
    for axis in needed(tensors[0], "axes", list):
        kind = needed(axis, "type", str)
        if kind == "channel":
            axes += "C"
            channels = tuple(str(name) for name in needed(axis, "channel_names", list))
        elif kind == "space":
            axes += needed(axis, "id", str).upper()
            size = needed(axis, "size", (dict, int))
            stride.append(size.get("step", 1) if isinstance(size, dict) else size)
        elif kind != "batch":
            raise InputError(f"the model has a {kind} axis, which is not supported")
    return axes, channels, tuple(stride)


def _cell(rdf: Mapping[str, Any]) -> tuple[int, ...]:
    """Pixels of the input along each axis to one of the output."""
    scales = [
        {axis["id"]: axis.get("scale", 1.0) for axis in tensor["axes"] if axis["type"] == "space"}
        for tensor in (rdf["inputs"][0], rdf["outputs"][0])
    ]
    if scales[0].keys() != scales[1].keys() or not all(
        number(n) and n > 0 for by_axis in scales for n in by_axis.values()
    ):
        raise InputError("the axes of the model's input and output in rdf.yaml do not agree")
    return tuple(max(1, round(scales[1][axis] / scales[0][axis])) for axis in scales[0])


def _entries(rdf: Mapping[str, Any], key: str) -> tuple[dict[str, str], ...]:
    entries = rdf.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{key!r} in rdf.yaml must be a list of mappings")
    return tuple({name: str(text) for name, text in e.items() if text} for e in entries)


def _input(spec: ModelSpec, files: Mapping[str, str]) -> dict[str, Any]:
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(spec.channels_in)},
    ]
    halos = spec.halo or (0,) * len(spec.stride)
    for axis, stride, halo in zip(_space(spec), spec.stride, halos, strict=True):
        least = stride * (2 * halo // stride + 1)
        axes.append(axis | {"size": {"min": least, "step": stride}})
    # jointly over channels, so that colours stay
    together = ["channel", *(axis["id"] for axis in axes[2:])]
    return {
        "id": "input",
        "axes": axes,
        "data": {"type": "float32"},
        "preprocessing": _preprocessing(intensity_of(spec.config["intensity"]), together),
    } | _test_tensor("test_input.npy", files)


def _preprocessing(intensity: Intensity, axes: list[str]) -> list[dict[str, Any]]:
    """The steps of the format that come nearest: its z-score counts zeros and extremes too."""
    if isinstance(intensity, Unchanged):
        return []
    if isinstance(intensity, ZScore):
        clip = {"min": -intensity.clip, "max": intensity.clip}
        return [
            {"id": "zero_mean_unit_variance", "kwargs": {"axes": axes}},
            {"id": "clip", "kwargs": clip},
        ]
    if isinstance(intensity, FixedWindow):
        low, high = float(intensity.low), float(intensity.high)
        scale = {"gain": 1 / (high - low), "offset": -low / (high - low)}
        return [
            {"id": "clip", "kwargs": {"min": low, "max": high}},
            {"id": "scale_linear", "kwargs": scale},
        ]
    percentiles = {"min_percentile": intensity.low, "max_percentile": intensity.high}
    return [{"id": "scale_range", "kwargs": {"axes": axes, **percentiles}}]


def _output(spec: ModelSpec, files: Mapping[str, str]) -> dict[str, Any]:
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(spec.channels_out)},
    ]
    halos = spec.halo or (0,) * len(spec.stride)
    cells = spec.cell or (1,) * len(spec.stride)
    for axis, halo, cell in zip(_space(spec), halos, cells, strict=True):
        size = {"tensor_id": "input", "axis_id": axis["id"]}
        # The format divides sizes by scales: coarser answers have a larger one.
        scale = {"scale": float(cell * axis.get("scale", 1.0))} if cell > 1 else {}
        axes.append(axis | scale | {"size": size} | ({"halo": -(-halo // cell)} if halo else {}))
    return {"id": "output", "axes": axes, "data": {"type": "float32"}} | _test_tensor(
        "test_output.npy", files
    )


def _space(spec: ModelSpec) -> list[dict[str, Any]]:
    letters = spec.axes[1:].lower()
    unit, steps = "millimeter", spec.config.get("spacing")
    if steps is None:
        unit, steps = "micrometer", spec.config.get("pixel_size")
    if steps is None:
        return [{"type": "space", "id": letter} for letter in letters]
    sizes = [steps] * len(letters) if number(steps) else steps
    return [
        {"type": "space", "id": letter, "unit": unit, "scale": float(size)}
        for letter, size in zip(letters, sizes, strict=True)
    ]


def _file(name: str, files: Mapping[str, str]) -> dict[str, str]:
    return {"source": name, "sha256": files[name]}


def _test_tensor(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {"test_tensor": _file(name, files)} if name in files else {}


def _sources(value: Any) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, Mapping):
        source, checksum = value.get("source"), value.get("sha256")
        if isinstance(source, str) and not _is_url(source):
            yield source, str(checksum).lower() if checksum else None
        for item in value.values():
            yield from _sources(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sources(item)


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))
