"""A model's card: what it is for, what it saw, how well it does, in markdown for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medai.core.intensity import FixedWindow, Intensity, Unchanged, ZScore, intensity_of
from napari_medai.models.settings import BOXES, CLASSES, LIGHT, PAINTING, class_names
from napari_medai.models.spec import ModelSpec


def card_text(spec: ModelSpec) -> str:
    """The README of a package, from what its spec says."""
    config = spec.config
    parts = [
        f"# {spec.title}",
        spec.description,
        f"**{config['notice']}**" if config.get("notice") else "",
        _section("Use", _use(spec)),
        _section("What it expects", _table(_expects(spec))),
        _section("Limits", config.get("limits")),
        _section("Training data", config.get("training_data")),
        _section("Training", _table(config.get("recipe") or {})),
        _section("Validation", _scores(config.get("scores") or {})),
        _section("Licence", spec.licence),
        _section("Authors", "\n".join(f"- {author['name']}" for author in spec.authors)),
        _section("Cite", "\n".join(_citation(entry) for entry in spec.cite)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_line(spec: ModelSpec) -> str:
    """One line that tells models apart."""
    channels = len(spec.channels_in)
    space = "3D" if "Z" in spec.axes else "2D"
    facts = [
        f"{spec.name} {spec.version}",
        spec.task,
        "2D and time" if spec.config.get("seen") == "TYX" else space,
    ]
    # nets of light take any channel, with the level of its noise; those that paint take labels
    if spec.config.get("decoder") not in (LIGHT, PAINTING):
        facts.append(f"{channels} channel" + "s" * (channels > 1))
    if spec.config.get("diameter"):
        facts.append(f"objects about {_diameter(spec.config):g} px")
    if spec.config.get("decoder") in (CLASSES, BOXES):
        facts.append(", ".join(class_names(spec.config)))
    first = spec.description.strip().splitlines()[0] if spec.description.strip() else ""
    return " · ".join(facts) + f": {first}"


def _use(spec: ModelSpec) -> str:
    result = {"segment": "labels", "detect": "boxes", "denoise": "clean"}.get(spec.task, "layers")
    call = f'{result} = medai.{spec.task}(image, model="{spec.name}")'
    if spec.config.get("decoder") == PAINTING:
        name, shape = spec.config.get("alias", spec.name), "(512, 512)"
        if "Z" in spec.axes:
            shape = "(64, 128, 128)"
        call = (
            f'image, labels = medai.synthesize("{name}", shape={shape}, seed=1)\n'
            f'image, labels = medai.synthesize("{name}", labels=drawn, style=photograph)'
        )
    return f"```python\nimport napari_medai as medai\n\n{call}\n```"


def _expects(spec: ModelSpec) -> dict[str, Any]:
    config = spec.config
    if config.get("decoder") == PAINTING:
        return {
            "labels": "whole numbers, 0 for the background; drawn where none are given",
            "axes": " ".join(spec.axes.replace("C", "")),
            "style": "an image whose look is followed; without one, a look that was learned",
        }
    size = config.get("pixel_size")
    sizes = size if isinstance(size, list) else [size]
    return {
        "axes": spec.axes,
        "channels": ", ".join(spec.channels_in),
        "object diameter": f"{_diameter(config):g} px" if config.get("diameter") else None,
        "pixel size": " × ".join(f"{step:g}" for step in sizes) + " µm" if size else None,
        "spacing": " × ".join(f"{n:g}" for n in config.get("spacing") or []) + " mm (resampled to)"
        if config.get("spacing")
        else None,
        "intensity": _intensity(intensity_of(config["intensity"])),
        "classes": ", ".join(class_names(config)),
        "output channels": None if spec.cell else ", ".join(spec.channels_out),
    }


def _diameter(config: Mapping[str, Any]) -> float:
    """That of a typical object in pixels of the images trained on."""
    return round(float(config["diameter"]) / float(config.get("zoom", 1.0)), 1)


def _intensity(intensity: Intensity) -> str:
    match intensity:
        case ZScore(clip=clip):
            return f"z-score of the values other than 0, clipped at ±{clip:g}"
        case FixedWindow(low=low, high=high):
            return f"{low:g} and {high:g} become 0 and 1, values beyond are clipped"
        case Unchanged():
            return "values themselves, with the noise stabilised to a deviation of 1"
        case _:
            return f"percentiles {intensity.low:g} and {intensity.high:g} become 0 and 1"


def _section(title: str, text: str | None) -> str:
    return f"## {title}\n\n{text.strip()}" if text and text.strip() else ""


def _table(rows: Mapping[str, Any]) -> str:
    lines = [
        f"| {key} | {_cell(value)} |" for key, value in rows.items() if value not in (None, "")
    ]
    return "\n".join(["| | |", "|---|---|", *lines]) if lines else ""


def _scores(scores: Mapping[str, Any]) -> str:
    """One row a kind of image when figures are grouped by kind, else one row a figure."""
    groups = {kind: row for kind, row in scores.items() if isinstance(row, Mapping)}
    single = {key: value for key, value in scores.items() if key not in groups}
    if not groups:
        return _table(single)
    columns = list(dict.fromkeys(key for row in groups.values() for key in row))
    lines = [f"| images | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for kind, row in groups.items():
        cells = (_cell(row.get(column, "")) for column in columns)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + ("\n\n" + _table(single) if single else "")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return str(value).replace("|", "\\|").replace("\n", " ")


def _citation(entry: Mapping[str, str]) -> str:
    link = f"https://doi.org/{entry['doi']}" if entry.get("doi") else entry.get("url", "")
    return f"- {entry['text']} {link}"
