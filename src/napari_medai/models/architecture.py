"""The nets that a package may name, and what they may be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from napari_medai.core.errors import InputError

UNET, BOX_NET = ("napari_medai.nn.unet", "UNet"), ("napari_medai.nn.box_net", "BoxNet")
PAINTER = ("napari_medai.nn.synthesis_net", "Painter")
ALLOWED = frozenset({UNET, BOX_NET, PAINTER})
"""Nets a package may name. Packages never bring code, and cannot call anything else of ours."""
MOST_CHANNELS = 64
"""Channels that a net may have going in or out."""
DEFAULTS = {
    UNET: {"ndim": 2, "channels_in": 1, "channels_out": 1},
    BOX_NET: {"ndim": 2, "channels_in": 1, "kinds": 1},
    PAINTER: {"ndim": 2, "channels_in": 1, "channels_out": 1},
}
"""What a net takes where a package says nothing."""


_FIVE = [1] * 5
"""As many widths as a net of boxes has where a package gives none."""


class Architecture(NamedTuple):
    """The net the weights belong to: ``from import_from import callable; callable(**kwargs)``."""

    import_from: str
    callable: str
    kwargs: Mapping[str, Any]


def check_architecture(architecture: Architecture) -> None:
    """Refuse a net that is not one of ours, and arguments that it does not take.

    The limits also keep a package from asking for more memory than there is.
    """
    if (architecture.import_from, architecture.callable) not in ALLOWED:
        known = ", ".join(sorted(".".join(pair) for pair in ALLOWED))
        raise InputError(
            f"the net {architecture.import_from}.{architecture.callable} is not one that "
            f"napari-medai may load ({known}); use a model made for napari-medai"
        )
    kwargs = architecture.kwargs
    rules = _rules(architecture)
    for name, value in kwargs.items():
        if name not in rules:
            raise InputError(f"the net takes {', '.join(rules)}, but no argument {name!r}")
        holds, wanted = rules[name]
        if not holds(value):
            raise InputError(f"the net's {name} must be {wanted}, got {value!r}")


def check_agreement(architecture: Architecture, stated: Mapping[str, int]) -> None:
    """Refuse a net whose ``ndim`` or channels are not what the description says."""
    for name, count in stated.items():
        if architecture.kwargs.get(name, count) != count:
            raise InputError(
                f"the net's {name} is {architecture.kwargs[name]}, but the model's axes and "
                f"channels ask for {count}; correct one of them"
            )


def _rules(architecture: Architecture) -> dict[str, tuple[Callable[[Any], bool], str]]:
    ndim = architecture.kwargs.get("ndim", 2)
    channels = (lambda v: _whole(v, 1, MOST_CHANNELS), f"1 to {MOST_CHANNELS}")
    yes = (lambda v: isinstance(v, bool), "true or false")
    fold = (lambda v: _factors(v, ndim, 8), f"1 or {ndim} whole numbers from 1 to 8")
    own = {"channels_out": channels}
    if architecture[:2] == UNET:
        own |= {"shuffle": fold, "norm": yes, "residual": yes}
    if architecture[:2] == BOX_NET:
        widths = architecture.kwargs.get("widths", _FIVE)
        depth = len(widths) if isinstance(widths, list) else 0
        level = (lambda v: _whole(v, 0, depth - 1), f"a level from 0 to {depth - 1}")
        own = {"shuffle": fold, "kinds": channels, "finest": level, "coarsest": level}
    return {
        "ndim": (lambda v: _whole(v, 2, 3), "2 or 3"),
        "channels_in": channels,
        **own,
        "widths": (
            lambda v: isinstance(v, list) and 2 <= len(v) <= 6 and all(map(_width, v)),
            "2 to 6 whole numbers from 1 to 1024",
        ),
        "pool": (lambda v: _factors(v, ndim, 4), f"1 or {ndim} whole numbers from 1 to 4"),
    }


def _whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _width(value: Any) -> bool:
    return _whole(value, 1, 1024)


def _factors(value: Any, ndim: Any, most: int) -> bool:
    if isinstance(value, list):
        return len(value) == ndim and all(_whole(factor, 1, most) for factor in value)
    return _whole(value, 1, most)
