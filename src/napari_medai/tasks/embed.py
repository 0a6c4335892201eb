"""Embed: objects or patches of an image as short vectors, in which what looks alike lies near.

The encoder of a model that denoises has learned what structures images have. What it makes of each
object, or of each patch, is brought to a few numbers by principal components; the first two of
them make a map for the eye.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import Step, Steps
from napari_medai.tasks.channel_noise import ChannelNoise
from napari_medai.tasks.computing import Device
from napari_medai.tasks.denoise_models import space_of
from napari_medai.tasks.record import run_record

if TYPE_CHECKING:
    from napari_medai.models.model import Model

FEWEST = 3
"""Objects below which there is nothing to compare."""
AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedParams:
    """How objects become vectors."""

    latents: Annotated[
        int, {"min": 2, "max": 64, "help": "Numbers an object, the most telling ones first"}
    ] = 8
    patch: Annotated[
        int,
        {
            "min": 16,
            "max": 512,
            "step": 16,
            "unit": "px",
            "help": "Edge of what is looked at around each object, and of patches without labels",
        },
    ] = 64
    device: Device = "auto"

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A row an object, or a patch.

    ``index`` (n,) are the labels of objects, or 1 to n; ``centres`` (n, 2) rows and columns in
    pixels; ``latents`` (n, k) float32 the principal components, each in units of the deviation of
    the first; ``explained`` (k,) the part of the variance that each holds.
    """

    index: np.ndarray
    centres: np.ndarray
    latents: np.ndarray
    explained: np.ndarray
    record: dict[str, Any]

    @property
    def features(self) -> dict[str, np.ndarray]:
        """Columns ``index``, ``map_x`` and ``map_y`` (the first two), ``latent_1``, ..."""
        columns = {f"latent_{at + 1}": values for at, values in enumerate(self.latents.T)}
        along, up = self.latents.T[:2]
        return {"index": self.index, "map_x": along, "map_y": up, **columns}


def embed_steps(
    image: AxesArray, labels: np.ndarray | None, model: Model, params: EmbedParams
) -> Steps[Embedding]:
    """Embed the objects of one plane, or without labels its patches, side by side.

    Parameters
    ----------
    image
        One channel of one plane; axes longer than 1 are Y and X alone.
    labels
        (Y, X) whole numbers, 0 background.

    Raises
    ------
    InputError
        If the image, the labels or the model do not suit; its text says what to do.
    """
    from napari_medai.nn.device import chosen_device
    from napari_medai.nn.latents import patch_latents
    from napari_medai.nn.runner import built_net, load_weights

    began = time.perf_counter()
    if space_of(model) != "YX":
        raise InputError(
            f"planes are embedded, but {model.name} sees {' '.join(space_of(model))} at once; "
            "choose a model for planes"
        )
    plane = _plane(image)
    index, centres = _patches(plane.shape, params.patch) if labels is None else _objects(labels)
    if labels is not None and labels.shape != plane.shape:
        raise InputError(
            f"the labels have the shape {labels.shape}, but the image {plane.shape}; give labels "
            "on the same grid"
        )
    if len(index) < FEWEST:
        raise InputError(
            f"at least {FEWEST} objects are needed to compare them, got {len(index)}; "
            "give more labels, or smaller patches"
        )
    yield Step(0, len(index), f"loading {model.name}")
    device = chosen_device(params.device).torch
    net: Any = built_net(*model.architecture)
    load_weights(net, model.weights_path)
    net = net.eval().to(device)
    edge = -(-params.patch // net.stride[-1]) * net.stride[-1]
    root = _stabilised(plane)
    found = []
    for start in range(0, len(index), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        patches, masks = _cut(root, labels, index[rows], centres[rows], edge)
        found.append(patch_latents(net, patches, masks, device=device))
        yield Step(min(start + AT_ONCE, len(index)), len(index), "embedding")
    latents, explained = principal(np.concatenate(found), params.latents)
    record = run_record(
        "embed",
        model,
        asdict(params),
        image,
        device=device.type,
        seconds=time.perf_counter() - began,
        found={"count": len(index), "explained": [round(float(e), 4) for e in explained]},
    )
    return Embedding(index, centres, latents, explained, record)


def principal(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components of vectors (n, channels), and the variance each explains.

    Channels are brought to deviation 1 first; signs are those in which the largest loading is
    positive, so that the same vectors give the same components.
    """
    spread = vectors.std(0, dtype=np.float64)
    told = spread > 1e-6 * max(float(spread.max()), 1e-30)
    ready = (vectors[:, told] - vectors[:, told].mean(0)) / spread[told]
    left, sizes, loadings = np.linalg.svd(ready, full_matrices=False)
    # without a channel that varies, there is no loading
    signs = np.sign([row[np.abs(row).argmax()] for row in loadings if row.size])
    components = left * (sizes * signs)
    scale = components[:, 0].std() if components.size and components[:, 0].any() else 1.0
    kept = np.zeros((len(vectors), count), np.float32)
    parts = np.zeros(count)
    n = min(count, components.shape[1])
    kept[:, :n] = components[:, :n] / scale
    parts[:n] = sizes[:n] ** 2 / max(float((sizes**2).sum()), 1e-30)
    return kept, parts


def _plane(image: AxesArray) -> np.ndarray:
    longer = [a for a, n in image.sizes.items() if n > 1 and a not in "YX"]
    if longer or not {"Y", "X"} <= set(image.axes):
        raise InputError(
            f"one channel of one plane is embedded, but the image has axes "
            f"{' '.join(f'{a} ({n})' for a, n in image.sizes.items())}; choose a position of "
            f"{' and '.join(longer) or 'the others'}"
        )
    return np.asarray(image.moved_to("YX").data)


def _stabilised(plane: np.ndarray) -> np.ndarray:
    """Values whose noise has a deviation of 1, dark 0; without noise, in 255ths of their range."""
    channels = ChannelNoise.of(AxesArray(plane, "YX"), None)
    noise = channels.noises[0]
    if noise is None:
        values = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        spread = float(values.max()) - float(values.min()) if values.size else 0.0
        dark = float(values.min()) if values.size else 0.0
        noise = CameraNoise(gain=0.0, offset=dark, read_noise=max(spread, 1e-12) / 255)
    return noise.stabilised(np.nan_to_num(plane.astype(np.float64), nan=noise.offset))


def _objects(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels there are, and their centres."""
    from scipy import ndimage

    if labels.dtype.kind not in "iu" or labels.ndim != 2 or int(labels.min(initial=0)) < 0:
        raise InputError(
            f"labels of one plane are needed, whole numbers from 0, got {labels.dtype} of shape "
            f"{labels.shape}; number the objects first, with skimage.measure.label"
        )
    index = np.unique(labels)
    index = index[index > 0]
    centres = ndimage.center_of_mass(labels > 0, labels, index)
    return index, np.array(centres).reshape(-1, 2)


def _patches(shape: tuple[int, ...], edge: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and centres of patches side by side; what is left at the far edges has none."""
    along = [np.arange(n // edge) * edge + (edge - 1) / 2 for n in shape]
    centres = np.stack(np.meshgrid(*along, indexing="ij"), -1).reshape(-1, 2)
    return np.arange(1, len(centres) + 1), centres


def _cut(
    root: np.ndarray,
    labels: np.ndarray | None,
    index: np.ndarray,
    centres: np.ndarray,
    edge: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Patches (n, 2, edge, edge) as the net takes them, and which of their pixels count.

    Each is brought to the same contrast, with the level of its noise: how bright an object is
    makes no difference.
    """
    half = edge // 2
    padded = np.pad(root, half, mode="reflect" if min(root.shape) > half else "edge")
    drawn = None if labels is None else np.pad(labels, half)
    patches = np.empty((len(index), 2, edge, edge), np.float32)
    masks = np.ones((len(index), edge, edge), bool)
    for at, (number, centre) in enumerate(zip(index, centres, strict=True)):
        top, left = (int(c) for c in np.round(centre + 0.5))
        part = np.s_[top : top + edge, left : left + edge]
        seen = padded[part]
        if drawn is not None:
            masks[at] = drawn[part] == number
            if not masks[at].any():  # larger than the patch, and hollow
                masks[at] = True
        contrast = max(float(seen.std()), 1.0)
        patches[at, 0] = seen / contrast
        patches[at, 1] = 1 / contrast
    return patches, masks
