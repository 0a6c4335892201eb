"""Train the shipped model ``fluorescence``, which takes the noise out of fluorescence images.

    python recipes/fluorescence/train.py PAIRS NUCLEI [--minutes M | --steps N] [--out DIR]
        [--rate R] [--from PACKAGE]

``PAIRS`` holds ``clean/*.png`` and ``noisy/*.png`` of the same names (long and short exposures),
``NUCLEI`` holds ``images/<id>.png`` and ``metadata.csv`` with the columns id, type, split (train or
val), height and width. Clean images are made noisy by cameras of all kinds as training goes on;
the short exposures of the pairs are learned from as they are. The pairs in `HELD_OUT` and the val
part of the nuclei are never trained on: they choose the weights and give the figures on the card.
A run that was stopped goes on from its checkpoint. ``--from`` begins another round with the weights
of a finished one.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from classical import FILTERS, filtered
from skimage import io
from skimage.metrics import structural_similarity
from skimage.transform import resize

from napari_medai.core.axes import AxesArray
from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.models.registry import shipped_dir
from napari_medai.models.spec import ModelSpec
from napari_medai.nn.denoising import DenoiseObjective
from napari_medai.nn.shots import Scene, Shot, Source
from napari_medai.nn.training import Run, Schedule
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.denoise import DenoiseParams, denoise_steps
from napari_medai.tasks.denoise_models import NETS, denoise_spec, package_denoiser
from napari_medai.tasks.train_denoise import DenoiseCourse, NoisyPair, planes_of

SEED = 0
HELD_OUT = ("membrane", "mito-confocal")
"""Pairs that are never trained on."""
CROP = (96, 96)
SHARES = {"pairs": 4.0, "short": 1.0, "fluorescence": 4.0, "others": 1.5}
"""How often each kind of image is drawn: long exposures, short ones, nuclei, other microscopy."""
ZOOMS = {"pairs": (0.4, 1.0), "fluorescence": (0.3, 0.7), "others": (0.3, 0.7)}
"""Shrinking takes away the noise that clean images still have."""
PHOTONS = (10, 30, 100, 300, 1000)
"""At the brightest pixel, in the figures on the card."""
READ_NOISE = 2.0
LARGEST = 500
"""Rows and columns of the nuclei images that figures are from."""


def scaled(image: np.ndarray) -> np.ndarray:
    """Gray, 0 dark and 1 bright, float16."""
    values = np.asarray(image, np.float32)
    values = values[..., :3].mean(-1) if values.ndim > 2 else values
    low, high = np.percentile(values, [0.5, 99.9])
    return np.asarray(((values - low) / max(high - low, 1)).clip(min=0), np.float16)


def long_exposures(pairs: Path, *, held_out: bool) -> list[np.ndarray]:
    paths = sorted((pairs / "clean").glob("*.png"))
    return [scaled(io.imread(p)) for p in paths if (p.stem in HELD_OUT) == held_out]


def short_and_long(pairs: Path, *, held_out: bool) -> list[NoisyPair]:
    """Pairs as they were taken."""
    found = []
    for path in sorted((pairs / "noisy").glob("*.png")):
        if (path.stem in HELD_OUT) == held_out:
            noisy, clean = (io.imread(pairs / part / path.name) for part in ("noisy", "clean"))
            arrays = (AxesArray(image.astype(np.float32), "YX") for image in (noisy, clean))
            found.append(NoisyPair(*arrays, name=path.stem))
    return found


def cells(nuclei: Path, split: str, *, fluorescence: bool, least: int = 0) -> list[np.ndarray]:
    """Images of one split; those of dyes that absorb are inverted."""
    with (nuclei / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    found = []
    for row in rows:
        large = min(int(row["height"]), int(row["width"])) >= least
        if large and (row["type"] == "fluorescence") == fluorescence:
            image = io.imread(nuclei / "images" / f"{row['id']}.png")
            found.append(scaled(image if fluorescence else 255 - image[..., :3]))
    return found


def sources(pairs: Path, nuclei: Path, course: DenoiseCourse) -> list[Source]:
    """What is trained on."""
    scenes = {
        "pairs": long_exposures(pairs, held_out=False),
        "fluorescence": cells(nuclei, "train", fluorescence=True),
        "others": cells(nuclei, "train", fluorescence=False),
    }
    found: list[Source] = [
        Scene(image, SHARES[kind] / len(images), ZOOMS[kind])
        for kind, images in scenes.items()
        for image in images
    ]
    short = short_and_long(pairs, held_out=False)
    weighed = [
        NoisyPair(pair.image, pair.clean, pair.name, weight=SHARES["short"] / len(short))
        for pair in short
    ]
    return found + course.examples(list(planes_of(weighed, "YX")))


def test_images(pairs: Path, nuclei: Path) -> list[np.ndarray]:
    """Clean images that were never trained on, shrunk until they have no noise to speak of."""
    found = [*long_exposures(pairs, held_out=True)]
    found += cells(nuclei, "val", fluorescence=True, least=LARGEST)[:6]
    shrunk = []
    for image in found:
        size = [min(512, n // 2) for n in image.shape]
        part = image[: 2 * size[0], : 2 * size[1]].astype(np.float32)
        shrunk.append(resize(part, size, anti_aliasing=True))
    return shrunk


def held_out_shots(images: list[np.ndarray]) -> list[Shot]:
    """Fixed exposures that choose the weights."""
    rng = np.random.default_rng(SEED)
    scenes = [Scene(image, 1.0, (1.0, 1.0)) for image in images]
    return [scenes[at % len(scenes)].drawn(rng, (192, 192)) for at in range(24)]


def figures(model: Model, images: list[np.ndarray]) -> dict[str, dict[str, str]]:
    """PSNR (dB) and SSIM at five amounts of light: noisy, restored, and by classical filters.

    The filters work on stabilised values and know the noise; the model estimates it.
    """
    rows: dict[str, dict[str, str]] = {}
    rng = np.random.default_rng(SEED)
    noise = CameraNoise(gain=1.0, offset=0.0, read_noise=READ_NOISE)
    for photons in PHOTONS:
        seen: dict[str, list[tuple[float, float]]] = {}
        for image in images:
            clean = image / image.max() * photons
            noisy = rng.poisson(clean) + rng.normal(0, READ_NOISE, clean.shape)
            steps = denoise_steps(AxesArray(noisy, "YX"), model, DenoiseParams())
            found = {"noisy": noisy, "fluorescence": np.asarray(finished(steps).image)}
            found |= {name: filtered(name, noisy, noise) for name in FILTERS}
            for name, values in found.items():
                seen.setdefault(name, []).append(_fidelity(values, clean, photons))
        for name, pairs in seen.items():
            psnr, ssim = np.mean(pairs, axis=0)
            rows.setdefault(name, {})[f"{photons} photons"] = f"{psnr:.2f} dB, {ssim:.3f}"
    return rows


def _fidelity(found: np.ndarray, clean: np.ndarray, most: float) -> tuple[float, float]:
    error = float(((found - clean) ** 2).mean())
    ssim = structural_similarity(clean, found.astype(clean.dtype), data_range=most)
    return 10 * np.log10(most**2 / error), float(ssim)


def description() -> ModelSpec:
    """What the model says of itself; the figures come later."""
    return denoise_spec(
        "fluorescence",
        NETS[2],
        space="YX",
        title="fluorescence (napari-medai)",
        description="Takes the noise out of fluorescence images, at any amount of light.",
        config={
            "training_data": (
                "4 pairs of long and short exposures of Hagen et al. 2021 (actin and mitochondria; "
                "CC0), and the train part of the 2018 Data Science Bowl (BBBC038, CC0), made noisy "
                "by simulated cameras. The figures below are on images that training never saw; "
                "other exposures of parts of them chose the weights."
            ),
            "limits": (
                "It knows noise that is independent from pixel to pixel and grows with the light "
                "as a camera's does, or not at all. Noise along lines, of compressed or smoothed "
                "images, is taken for structure: let denoise learn from such an image itself. What "
                "noise has hidden altogether is not brought back; measure sizes and counts on it "
                "with care."
            ),
        },
        licence="CC0-1.0",
        authors=({"name": "napari-medai developers"},),
        cite=(
            {
                "text": "Hagen et al., Fluorescence microscopy datasets for training deep neural "
                "networks, GigaScience 10, giab032 (2021)",
                "doi": "10.1093/gigascience/giab032",
            },
            {
                "text": "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 "
                "Data Science Bowl, Nature Methods 16, 1247-1253 (2019)",
                "doi": "10.1038/s41592-019-0612-7",
            },
        ),
        tags=("fluorescence", "denoising", "restoration", "2d"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("nuclei", type=Path)
    parser.add_argument("--out", type=Path, default=Path("fluorescence-training"))
    parser.add_argument("--package", type=Path, default=shipped_dir() / "fluorescence")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--rate", type=float, default=2e-3, help="the largest learning rate")
    parser.add_argument("--from", dest="start", type=Path, help="the package to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    spec = description()
    course = DenoiseCourse(spec, "YX")
    unseen = test_images(options.pairs, options.nuclei)
    training = sources(options.pairs, options.nuclei, course)
    print(len(training), "images to train on,", len(unseen), "held out", flush=True)
    start = None if options.start is None else read_model(options.start)
    schedule = Schedule(
        steps=options.steps,
        minutes=options.minutes,
        batch=course.batch,
        learning_rate=options.rate,
        validate_every=250,
        seed=SEED,
    )
    run = Run(
        fresh_net(spec, start, {}, seed=SEED),
        DenoiseObjective(training, held_out_shots(unseen), CROP),
        schedule,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    for step in run.steps():
        if "score" in step.values:
            print(f"{run.trained.seconds:7.0f} s  {step.text}  {step.values}", flush=True)
    recipe = {
        "command": "python recipes/fluorescence/train.py PAIRS NUCLEI"
        + ("" if start is None else " --from PACKAGE"),
        "minutes": options.minutes,
        "steps": run.trained.steps,
        "batch": schedule.batch,
        "learning_rate": schedule.learning_rate,
        "seed": SEED,
        **({} if start is None else {"round_before": start.config["recipe"]}),
    }

    def packaged(scores: dict[str, dict[str, str]]) -> None:
        package_denoiser(
            options.package,
            spec,
            run.trained,
            recipe=recipe,
            scores=scores,
            script=False,
            overwrite=True,
        )

    packaged({"not measured yet": {"PSNR": "none"}})
    scores = figures(read_model(options.package), unseen)
    packaged(scores)
    for name, row in scores.items():
        print(f"{name:20} {row}")


if __name__ == "__main__":
    main()
