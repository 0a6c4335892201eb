"""Options of the command line, from the same params classes as the forms in napari."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import Field, checked_params, fields_of
from napari_medai.io.calibration import calibrated

Params = TypeVar("Params")


def add_params(parser: argparse.ArgumentParser, params: type) -> None:
    """One option for each field: ``min_size`` is ``--min-size``."""
    group = parser.add_argument_group("parameters")
    for field in fields_of(params).values():
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_reader(field),
            default=field.default,
            metavar=_values(field),
            help=_help(field).replace("%", "%%"),
        )


def params_from(parsed: argparse.Namespace, params: type[Params]) -> Params:
    """The params object that the options ask for."""
    return checked_params(params, {name: getattr(parsed, name) for name in fields_of(params)})


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """``--axes``, ``--scale``, ``--units`` and ``--channel``."""
    group = parser.add_argument_group("what the files say wrongly or not at all")
    group.add_argument("--axes", metavar="TCZYX", help="axes of the images, a letter a dimension")
    group.add_argument(
        "--scale",
        type=numbers,
        metavar="N[,N…]",
        help="size of a pixel: one number, or one for each axis but C",
    )
    group.add_argument("--units", metavar="UNIT", help="unit of --scale, such as micrometer")
    group.add_argument(
        "--channel", type=_position, metavar="N", help="work on this channel, counted from 0"
    )


def calibration(parsed: argparse.Namespace) -> dict[str, Any]:
    """What `add_calibration`'s options were given, as plain values."""
    found = {name: getattr(parsed, name) for name in ("axes", "scale", "units", "channel")}
    return {name: value for name, value in found.items() if value is not None}


def placed(image: AxesArray, given: dict[str, Any]) -> AxesArray:
    """The image as the options of `calibration` say."""
    channel = given.get("channel")
    rest = {name: value for name, value in given.items() if name != "channel"}
    image = calibrated(image, **rest) if rest else image
    if channel is None:
        return image
    count = image.sizes.get(CHANNEL, 0)
    if not channel < count:
        held = f"{count} channels, counted from 0" if count else "no channels"
        raise InputError(f"there is no channel {channel}: the image has {held}")
    return image.at(C=channel)


def _reader(field: Field) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return field.checked(text)
        except InputError as error:
            # argparse names the option itself
            words = str(error).removeprefix(f"{field.name} ")
            raise argparse.ArgumentTypeError(words) from None

    return read


def _values(field: Field) -> str:
    """What may be given, in a word."""
    if field.kind is bool:
        return "yes|no"
    return "|".join(field.limits.get("choices", ())) or str(field.limits.get("unit", "N"))


def _help(field: Field) -> str:
    if field.kind is bool:
        return f"{field.help} (default {'yes' if field.default else 'no'})"
    shown = field.limits.get("zero") if field.default == 0 else None
    facts = [field.range] if field.range else []
    facts.append(f"default {field.default if shown is None else f'0: {shown}'}")
    return f"{field.help} ({'; '.join(facts)})"


def numbers(text: str) -> list[float]:
    """``0.5`` or ``0.5,0.2,0.2`` as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be one number or several with commas between, got {text!r}"
        ) from None


def _position(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, got {text!r}")
    return int(text)
