"""``napari-medai evaluate denoise``: how near restored images are to clean ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from napari_medai.commands.figures import check_figures_file, write_figures
from napari_medai.commands.messages import PROGRAM
from napari_medai.commands.options import add_params, params_from
from napari_medai.core.fields import left_out, suited
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import finished
from napari_medai.models.settings import LIGHT
from napari_medai.scripting.denoising import denoiser_for
from napari_medai.scripting.noisy_pairs import noisy_files, read_noisy_pairs
from napari_medai.tasks.denoise_params import SELF, DenoiseParams
from napari_medai.tasks.evaluate_denoise import (
    ImageScores,
    RestorationScores,
    restoration_scores_steps,
)
from napari_medai.tasks.record import described_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clean",
        type=Path,
        metavar="DIR",
        help="the clean images of the same scenes: files of the same names (or ending with _clean, "
        "_high, _gt or _target); without them, what was taken away is judged",
    )
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help=f"the model to score, or {SELF} to learn from each image itself",
    )
    add_params(parser, DenoiseParams)


def run(parsed: argparse.Namespace) -> int:
    model = denoiser_for(parsed.model)
    decoder = SELF if model is None else LIGHT
    params = params_from(parsed, DenoiseParams)
    check_figures_file(parsed.json, overwrite=parsed.overwrite)
    if note := left_out(params, decoder, model=parsed.model):
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    files = noisy_files(parsed.images, parsed.clean)
    with ProgressLine() as line:
        steps = restoration_scores_steps(model, read_noisy_pairs(files), params, total=len(files))
        scores = finished(steps, line)
    print(_table(scores))
    made = {
        "task": parsed.task,
        "model": described_model(SELF if model is None else model),
        "parameters": suited(params, decoder),
    }
    write_figures(parsed.json, {**made, **scores.described()}, overwrite=parsed.overwrite)
    return 0


def _table(scores: RestorationScores) -> str:
    """A line an image, and one for the means."""
    rows = [*scores.images, scores.means]
    width = max(len(row.name) for row in rows)
    if not any("PSNR" in row.noisy for row in rows):
        told = [f"{row.name:<{width}}  {_residual(row.residual)}{_detail(row)}" for row in rows]
        last = "correlations of neighbours, 0 for noise; mean in standard deviations of the noise"
        return "\n".join([*told, f"of what was taken away: {last}"])
    told = [f"{row.name:<{width}}  {_nearness(row)}" for row in rows]
    return "\n".join([*told, "each from the noisy to the restored image, against the clean one"])


def _nearness(row: ImageScores) -> str:
    parts = [
        f"{name} {row.noisy[name]:.{2 + (name == 'SSIM')}f} → {after:.{2 + (name == 'SSIM')}f}"
        + ("" if name == "SSIM" else " dB")
        for name, after in row.restored.items()
    ]
    return ", ".join(parts)


def _detail(row: ImageScores) -> str:
    """The resolution of the frames, where there are some."""
    if "resolution" not in row.restored:
        return ""
    before, after = row.noisy["resolution"], row.restored["resolution"]
    return f", resolution of the frames {before:.2f} → {after:.2f} px"


def _residual(row: Mapping[str, float]) -> str:
    if not row:
        return "no noise was found"
    return (
        f"{row['white']:.0%} of the planes look like noise; along rows "
        f"{row['correlation along rows']:+.2f}, along columns "
        f"{row['correlation along columns']:+.2f}, mean {row['mean']:+.3f}"
    )
