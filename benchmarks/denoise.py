"""Measure denoising against classical filters and BM3D: accuracy, speed, memory, tiles.

    python benchmarks/denoise.py simulated PAIRS [--photons 30 --read 2] [--self 60]
    python benchmarks/denoise.py real      PAIRS [--self 60]
    python benchmarks/denoise.py tiling    PAIRS
    python benchmarks/denoise.py memory    PAIRS [--frames 50 --size 2048]

``PAIRS`` holds ``noisy/*.png`` and ``clean/*.png`` of the same names. Each prints a table in
markdown. BM3D is measured where it is installed (``pip install bm3d``; its licence forbids other
uses than research, so it is no dependency). ``--model`` takes a name or the folder of a package,
``--only`` the names of the images to look at.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import peak_megabytes, show

os.environ.setdefault("GOMP_SPINCOUNT", "0")
sys.path.append(str(Path(__file__).parents[1] / "recipes" / "fluorescence"))
from classical import FILTERS, filtered

from napari_medai.core.noise import CameraNoise

SIZE = 512
"""Rows and columns of the images compared."""
Method = Callable[[np.ndarray, CameraNoise], np.ndarray]


def denoised(model: Any, image: Any, axes: str = "YX", **params: Any) -> Any:
    from napari_medai.core.axes import AxesArray
    from napari_medai.core.steps import finished
    from napari_medai.tasks.denoise import DenoiseParams, denoise_steps

    return finished(denoise_steps(AxesArray(image, axes), model, DenoiseParams(**params)))


def methods(options: argparse.Namespace) -> dict[str, Method]:
    """By name: an image and its noise in, an image out."""
    from napari_medai.models.registry import find_model

    found: dict[str, Method] = {}
    if options.model:
        model = find_model(options.model, "denoise")
        found[model.name] = lambda noisy, _: np.asarray(denoised(model, noisy).image)
    if options.seconds:
        found[f"self, {options.seconds:g} s"] = lambda noisy, _: np.asarray(
            denoised(None, noisy, seconds=options.seconds).image
        )
    for name in FILTERS:
        found[name] = lambda noisy, noise, name=name: filtered(name, noisy, noise)
    try:
        import bm3d
    except ImportError:
        print("BM3D is not installed, so it is left out: pip install bm3d", file=sys.stderr)
        return found
    found["BM3D, stabilised"] = lambda noisy, noise: noise.expected(
        bm3d.bm3d(noise.stabilised(noisy).astype(np.float64), 1.0)
    )
    return found


def clean_images(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Long exposures of half their size, 512 x 512, brightest at 1."""
    from skimage import io
    from skimage.transform import resize

    found = {}
    for path in named(options, "clean"):
        image = gray(io.imread(path))[: 2 * SIZE, : 2 * SIZE]
        half = resize(image, [n // 2 for n in image.shape], anti_aliasing=True)
        found[path.stem] = (half - half.min()) / (half.max() - half.min())
    return found


def named(options: argparse.Namespace, part: str) -> list[Path]:
    paths = sorted((options.pairs / part).glob("*.png"))
    return [path for path in paths if not options.only or path.stem in options.only]


def gray(image: np.ndarray) -> np.ndarray:
    return np.asarray(image[..., 0] if image.ndim > 2 else image, np.float64)


def simulated(options: argparse.Namespace) -> None:
    """Clean images made noisy: PSNR, SSIM, means, seconds after a first call."""
    from napari_medai.core.restoration import psnr, ssim

    known = CameraNoise(gain=1.0, offset=0.0, read_noise=options.read)
    rows = []
    for name, shape in clean_images(options).items():
        clean = shape * options.photons
        rng = np.random.default_rng(0)
        noisy = rng.poisson(clean) + rng.normal(0, options.read, clean.shape)
        score = psnr(noisy, clean, data_range=options.photons)
        rows.append([name, "noisy", f"{score:.2f}", "", "1.000", ""])
        for method, call in methods(options).items():
            if not method.startswith(("self", "BM3D")):
                call(noisy, known)
            began = time.perf_counter()
            found = call(noisy, known)
            took = time.perf_counter() - began
            score = psnr(found, clean, data_range=options.photons)
            alike = ssim(found, clean, data_range=options.photons)
            mean = float(found.mean() / clean.mean())
            figures = [f"{score:.2f}", f"{alike:.3f}", f"{mean:.3f}", f"{took:.2f}"]
            rows.append([name, method, *figures])
    show(["image", "method", "PSNR dB", "SSIM", "mean found / true", "s"], rows)


def real(options: argparse.Namespace) -> None:
    """Short exposures against long ones: scale-invariant PSNR; filters get the estimated noise."""
    from skimage import io

    from napari_medai.core.noise_estimate import estimated_noise
    from napari_medai.core.restoration import scale_invariant_psnr

    rows = []
    for path in named(options, "noisy"):
        edge = options.edge
        noisy = gray(io.imread(path))[:edge, :edge]
        clean = gray(io.imread(options.pairs / "clean" / path.name))[:edge, :edge]
        noise = estimated_noise(noisy).noise
        rows.append([path.stem, "noisy", f"{scale_invariant_psnr(noisy, clean):.2f}", ""])
        if noise is None:
            continue
        for method, call in methods(options).items():
            began = time.perf_counter()
            found = call(noisy, noise)
            took = time.perf_counter() - began
            score = scale_invariant_psnr(found, clean)
            rows.append([path.stem, method, f"{score:.2f}", f"{took:.2f}"])
    show(["pair", "method", "scale-invariant PSNR dB", "s"], rows)


def tiling(options: argparse.Namespace) -> None:
    """The largest difference between an image in tiles and in one piece, in parts of its range."""
    from skimage import io

    from napari_medai.models.registry import find_model

    model, rows = find_model(options.model, "denoise"), []
    for path in named(options, "noisy")[:2]:
        image = gray(io.imread(path))
        whole = np.asarray(denoised(model, image, tile=4096, block=4096).image)
        for tile, block in ((0, 0), (256, 512), (100, 333)):
            cut = np.asarray(denoised(model, image, tile=tile, block=block).image)
            most = float(np.abs(cut - whole).max() / np.ptp(whole))
            rows.append([path.stem, tile or "auto", block or "auto", f"{most:.1e}"])
    show(["image", "tile", "block", "largest difference / range"], rows)


def memory(options: argparse.Namespace) -> None:
    """Peak memory of a lazy stack of 16 bits, restored to disk."""
    import dask.array as da
    from skimage import io

    from napari_medai.models.registry import find_model

    piece = gray(io.imread(named(options, "noisy")[0])).astype(np.uint16)
    repeats = [-(-options.size // n) for n in piece.shape]

    def frame(block_id: tuple[int, ...]) -> np.ndarray:
        whole = np.tile(piece, repeats)[: options.size, : options.size]
        shift = int(np.random.default_rng(block_id[0]).integers(options.size))
        return np.roll(whole, shift, axis=0)[None] * 16

    stack = da.map_blocks(
        frame,
        chunks=((1,) * options.frames, (options.size,), (options.size,)),
        dtype=np.uint16,
        meta=np.empty((0, 0, 0), np.uint16),
    )
    began = time.perf_counter()
    result = denoised(find_model(options.model, "denoise"), stack, "TYX")
    took = time.perf_counter() - began
    kind = type(result.image).__module__.split(".")[0]
    size = f"{options.frames} x {options.size}²"
    show(
        ["stack", "result", "s", "peak GB"],
        [[size, kind, f"{took:.0f}", f"{peak_megabytes() / 1e3:.2f}"]],
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("simulated", "real", "tiling", "memory"):
        command = commands.add_parser(name)
        command.add_argument("pairs", type=Path)
        command.add_argument("--model", default="fluorescence", help="a name, or a folder")
        command.add_argument("--only", nargs="+", default=[], help="names of images")
    for name in ("simulated", "real"):
        command = commands.choices[name]
        command.add_argument("--self", dest="seconds", type=float, default=0.0)
    commands.choices["simulated"].add_argument("--photons", type=float, default=30.0)
    commands.choices["simulated"].add_argument("--read", type=float, default=2.0)
    commands.choices["real"].add_argument("--edge", type=int, default=SIZE)
    commands.choices["memory"].add_argument("--frames", type=int, default=50)
    commands.choices["memory"].add_argument("--size", type=int, default=2048)
    return top


def main() -> None:
    options = parser().parse_args()
    tables = {"simulated": simulated, "real": real, "tiling": tiling, "memory": memory}
    tables[options.command](options)


if __name__ == "__main__":
    from napari_medai.core.errors import MedaiError

    try:
        main()
    except MedaiError as error:
        sys.exit(str(error))
