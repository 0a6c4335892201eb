"""The figures of made images: how real they are, whether copied, whether they fit their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from napari_medai.core.memorisation import Memorisation
from napari_medai.core.metrics import Matching
from napari_medai.core.realism import FrechetDistance, KernelDistance


@dataclass(frozen=True, slots=True)
class Likeness:
    """How far two sets are from each other."""

    kernel: KernelDistance
    frechet: FrechetDistance


@dataclass(frozen=True, slots=True)
class CopyCheck:
    """Whether made images are training images again, and the two (by name) most alike."""

    found: Memorisation
    made: str
    training: str

    @property
    def sentence(self) -> str:
        told = f"{self.found.sentence} ({self.made} is most like {self.training})"
        return f"{told}; look at them side by side" if self.found.suspicious else told


@dataclass(frozen=True, slots=True)
class SynthesisScores:
    """What `evaluate_synthesis` gives.

    ``images`` are the numbers of made, real and training images. ``features`` says in words which
    features are compared. ``made`` is how far made images are from real ones, and ``reference``
    how far other real ones are: training images where they were given, else one half of the real
    ones from the other (None for too few). Frechet distances of both are of as many crops.
    ``features_copied`` and ``pixels_copied`` look for training images. ``agreement`` is how well
    the objects found in made images match their own labels, at an IoU of 0.5, and
    ``real_agreement`` the same on real ones.
    """

    images: tuple[int, int, int]
    features: str
    made: Likeness
    reference: Likeness | None
    features_copied: CopyCheck
    pixels_copied: CopyCheck
    agreement: Matching
    real_agreement: Matching

    def described(self) -> dict[str, Any]:
        """All figures as plain values, None where there is nothing to tell."""
        synthetic, real, training = self.images
        return {
            "images": {"synthetic": synthetic, "real": real, "training": training},
            "features": self.features,
            "synthetic to real": _plain(self.made),
            "real to real": None if self.reference is None else _plain(self.reference),
            "copies": {
                "in features": _told(self.features_copied),
                "in pixels": _told(self.pixels_copied),
            },
            "AP@0.5": {
                "synthetic": round(self.agreement.accuracy, 4),
                "real": round(self.real_agreement.accuracy, 4),
            },
        }


def _plain(one: Likeness) -> dict[str, Any]:
    return {
        "KID": _number(one.kernel.value),
        "KID standard error": _number(one.kernel.error),
        "FID": _number(one.frechet.value),
        "crops": list(one.kernel.counts),
        "crops for FID": one.frechet.counts[0],
        "features": one.frechet.features,
    }


def _told(check: CopyCheck) -> dict[str, Any]:
    found = check.found
    return {
        "limit": _number(found.limit),
        "smallest": _number(found.smallest),
        "real smallest": _number(found.real_smallest),
        "below": found.below,
        "suspicious": found.suspicious,
        "crops": found.samples,
        "real crops": found.references,
        "median": _number(found.medians[0]),
        "real median": _number(found.medians[1]),
        "closest": [check.made, check.training],
    }


def _number(value: float) -> float | None:
    """Of six digits, and None where it is not finite, which JSON cannot hold."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
