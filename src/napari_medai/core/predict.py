"""The prediction stream: tiles through a net, batch by batch, into one score map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from napari_medai.core.errors import OutOfMemoryError
from napari_medai.core.steps import Step, Steps
from napari_medai.core.tiling import Tile, Window, halved, plan_tiles


class Net(Protocol):
    """What turns tiles into scores; numpy or torch, on any device."""

    @property
    def halo(self) -> tuple[int, ...]:
        """Pixels along each axis that a score depends on, to either side."""
        ...

    @property
    def multiple(self) -> tuple[int, ...]:
        """Pixels along each axis after which the net's grid repeats (its stride)."""
        ...

    @property
    def batch(self) -> int:
        """How many tiles it takes at once."""
        ...

    def empty(self, shape: tuple[int, ...]) -> Any:
        """A buffer (channels_out, \\*shape) for scores, where the net's answers live."""
        ...

    def __call__(self, tiles: Sequence[np.ndarray]) -> Sequence[Any]:
        """Scores (channels_out, \\*space) of each tile (channels, \\*space), all of one shape.

        Raises
        ------
        OutOfMemoryError
            If the device has no room for them; what was allocated is freed.
        """
        ...

    def fallback(self) -> Any:
        """The same net on a device with more memory, if there is one."""
        ...


class Prediction(NamedTuple):
    """Scores (channels_out, \\*shape) in a buffer of the net; what the user should know about
    the run, a sentence each; and the net that it ended with, to go on with.
    """

    scores: Any
    notes: tuple[str, ...]
    net: Any


def predict(
    net: Net,
    read: Callable[[Window], np.ndarray],
    shape: tuple[int, ...],
    *,
    tile: int | Sequence[int],
    text: str = "",
) -> Steps[Prediction]:
    """Scores of a whole image or block, one `Step` a batch.

    Without device memory for a batch it is halved, then the tiles are (their halo kept), then the
    net's fallback takes over; the scores stay the same.

    Parameters
    ----------
    read
        Gives the pixels (channels, \\*space) of a window, float32, as the net expects them.
    shape
        Spatial shape of what is predicted.
    tile
        Longest core of a tile in pixels, as in `plan_tiles`.

    Raises
    ------
    OutOfMemoryError
        If the smallest tile does not fit into the memory of the last fallback.
    """
    run = _Run(net, shape)
    pending = _grouped(plan_tiles(shape, size=tile, halo=net.halo, multiple=net.multiple))
    whole = tuple(slice(0, n) for n in shape)
    done = 0
    while pending:
        batch = _next_batch(pending, run.batch)
        results = run.answers([read(t.read) for t in batch])
        if results is None:
            pending = run.relieved(pending, batch)
            continue
        if batch[0].write == whole:
            run.scores = results[0]  # the one tile there is needs no buffer
        else:
            for each, result in zip(batch, results, strict=True):
                run.scores[(slice(None), *each.write)] = result[(slice(None), *each.keep)]
        del results
        pending = pending[len(batch) :]
        done += len(batch)
        yield Step(done, done + len(pending), text)
    return Prediction(run.scores, tuple(run.notes), run.net)


class _Run:
    """The net in use, its score buffer and batch size, and how they gave way to memory."""

    def __init__(self, net: Net, shape: tuple[int, ...]) -> None:
        self.net = net
        self.shape = shape
        self.batch = max(1, net.batch)
        self._notes: dict[str, str] = {}
        self.scores = self._buffer()
        if self.scores is None:
            self._fall_back()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes.values())

    def answers(self, tiles: list[np.ndarray]) -> Sequence[Any] | None:
        """What the net says of the tiles; None if its device has no room for them."""
        try:
            return self.net(tiles)
        except OutOfMemoryError:
            return None

    def relieved(self, pending: list[Tile], failed: list[Tile]) -> list[Tile]:
        """The work still to be done, made easier by one rung."""
        if len(failed) > 1:
            self.batch = len(failed) // 2
            self._notes["batch"] = f"Device memory was short: tiles ran in batches of {self.batch}."
            return pending
        smaller = self._halves(pending[0])
        if len(smaller) > 1:
            large = prod(pending[0].shape)
            parts = [self._halves(t) if prod(t.shape) >= large else [t] for t in pending]
            edges = " x ".join(map(str, smaller[0].shape))
            self._notes["tile"] = f"Device memory was short: tiles were reduced to {edges} pixels."
            return _grouped([tile for part in parts for tile in part])
        self._fall_back()
        return pending

    def _halves(self, tile: Tile) -> list[Tile]:
        halves = halved(tile, halo=self.net.halo, multiple=self.net.multiple)
        return [tile] if halves is None else list(halves)

    def _fall_back(self) -> None:
        """Go on with the net's fallback; the scores so far move along."""
        old, self.scores = self.scores, None
        while self.scores is None:
            net = self.net.fallback()
            if net is None:
                raise OutOfMemoryError(
                    f"the device has no room for {' x '.join(map(str, self.shape))} pixels, even "
                    "in the smallest tiles; use smaller blocks or close other programs"
                )
            self.net, self.batch = net, max(1, net.batch)
            self.scores = self._buffer()
        self._notes["device"] = "Device memory did not suffice: the run continued on the CPU."
        if old is not None:
            self.scores[...] = old

    def _buffer(self) -> Any:
        try:
            return self.net.empty(self.shape)
        except OutOfMemoryError:
            return None


def _grouped(tiles: list[Tile]) -> list[Tile]:
    """Tiles of one shape side by side, shapes in order of appearance."""
    groups: dict[tuple[int, ...], list[Tile]] = {}
    for tile in tiles:
        groups.setdefault(tile.shape, []).append(tile)
    return [tile for group in groups.values() for tile in group]


def _next_batch(pending: list[Tile], most: int) -> list[Tile]:
    shape = pending[0].shape
    return list(takewhile(lambda tile: tile.shape == shape, pending[:most]))
