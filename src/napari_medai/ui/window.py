"""The part of an image to work on, as a script gives it."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError


def checked_window(
    image: AxesArray, window: Mapping[str, Any], *, channel: int | None = None
) -> dict[str, slice]:
    """The window, and the one channel if it is given, as slices with both ends.

    Raises
    ------
    InputError
        If it names an axis that the image does not have, or lies outside.
    """
    if not isinstance(window, Mapping):
        raise InputError(
            f"window must name axes, such as {{'Y': slice(0, 512)}}, got {window!r}; "
            "give a slice for each axis that is cut"
        )
    cuts = {}
    for axis, cut in window.items():
        if axis not in image.axes:
            raise InputError(f"the window names axis {axis!r}, but the image has {image.axes}")
        part = slice(*cut) if isinstance(cut, list | tuple) and len(cut) == 2 else cut
        try:
            inside = part.indices(image.sizes[axis])
        except (AttributeError, TypeError, ValueError):  # no slice, of no numbers, by steps of 0
            inside = (0, 0, 1)
        if inside[2] != 1 or inside[1] <= inside[0]:
            raise InputError(
                f"the window along {axis} must be a slice within 0 to {image.sizes[axis]}, "
                f"got {cut!r}"
            )
        cuts[axis] = slice(*inside[:2])
    if channel is None:
        return cuts
    if CHANNEL in cuts:
        raise InputError("the channel is given twice, by channel and by window; leave one out")
    return {**cuts, CHANNEL: _channel_cut(image, channel)}


def _channel_cut(image: AxesArray, channel: int) -> slice:
    count = image.sizes.get(CHANNEL, 0)
    try:
        position = index(channel)
    except TypeError:
        raise InputError(f"channel must be a whole number from 0, got {channel!r}") from None
    if not 0 <= position < count:
        held = f"{count} channels, counted from 0" if count else "no channels"
        raise InputError(f"there is no channel {channel}: the image has {held}")
    return slice(position, position + 1)
