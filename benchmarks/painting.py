"""How fast images are made, in how much memory, and whether tiles show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import peak_megabytes

from napari_medai.core.steps import finished
from napari_medai.core.vessel_masks import segment_labels
from napari_medai.core.vessel_trees import grown_vessels
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.synthesize import kind_of, synthesize_steps

LARGE = 4096
RUNS = 3


def painted(model: str, edge: int, **params: Any) -> np.ndarray:
    """An image of this edge."""
    steps = synthesize_steps(kind_of(model), (edge, edge), ObjectParams(device="cpu", **params))
    return np.asarray(finished(steps)[0].image.data)


def timed(work: Callable[[int], object]) -> float:
    """Seconds of the fastest of some runs, the first for nothing; each has a seed of its own."""
    work(0)
    seconds = []
    for seed in range(1, RUNS + 1):
        began = time.perf_counter()
        work(seed)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def tree(seed: int) -> None:
    """A tree of 500 segments in 128 x 128 x 128, with radii and labels."""
    grown = grown_vessels((128, 128, 128), seed=seed, segments=500)
    segment_labels(grown)
    assert len(grown.segments) == 500, f"{len(grown.segments)} segments grew"


def rows(model: str) -> list[list[str]]:
    """Figures of painting and growing: what, wanted, found."""
    small = timed(lambda seed: painted(model, 512, seed=seed))
    vessels = timed(tree)
    tiled = painted(model, 1024, seed=1, tile=1024).astype(int) - painted(
        model, 1024, seed=1, tile=256
    )
    began = time.perf_counter()
    painted(model, LARGE, seed=1)
    took = time.perf_counter() - began
    return [
        ["512 x 512 and its labels", "1 s", f"{small:.2f} s"],
        ["vessels, 128 x 128 x 128, 500 segments, labels", "5 s", f"{vessels:.2f} s"],
        [
            "1024 x 1024 in tiles of 256: largest difference",
            "1 gray level",
            f"{np.abs(tiled).max()}",
        ],
        [f"{LARGE} x {LARGE}", "2000 MB", f"{peak_megabytes():.0f} MB, {took:.0f} s"],
    ]
