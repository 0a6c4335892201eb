"""Standardised uptake values of PET, by body weight.

After the pseudocode of the Quantitative Imaging Biomarkers Alliance (QIBA, *SUV calculation*).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from napari_medai.io.dicom.tags import first, number, word, words

_PHILIPS = (0x7053, 0x1000)


@dataclass(frozen=True, slots=True)
class Uptake:
    """By what to multiply the values of a PET, the unit they have then, and what to tell."""

    factor: float
    unit: str
    notes: tuple[str, ...] = ()


def suv_factor(header: Any) -> Uptake:
    """The factor to SUV by body weight, 1 with a note where the header does not give it."""
    unit = word(header, "Units")
    if unit == "GML":
        return Uptake(1.0, "SUV")
    corrected = words(header, "CorrectedImage")
    if unit == "CNTS":
        factor = _philips(header)
        if factor is not None:
            return Uptake(factor, "SUV")
    if unit != "BQML":
        return Uptake(1.0, "", (f"{_because('values are not in Bq/ml')}",))
    if "ATTN" not in corrected or "DECY" not in corrected:
        return Uptake(1.0, "Bq/ml", (_because("they are not corrected for attenuation and decay"),))
    dose, weight = _dose(header), number(header, "PatientWeight")
    if dose is None or not weight or weight <= 0:
        return Uptake(1.0, "Bq/ml", (_because("the header lacks weight, dose or times"),))
    return Uptake(weight * 1000 / dose, "SUV")


def _because(why: str) -> str:
    return f"uptake (SUV) could not be computed because {why}; values are as stored"


def _dose(header: Any) -> float | None:
    """The activity in Bq at the time that the values are corrected to."""
    item = first(header, "RadiopharmaceuticalInformationSequence")
    total, half = number(item, "RadionuclideTotalDose"), number(item, "RadionuclideHalfLife")
    correction = word(header, "DecayCorrection")
    if not total or total <= 0 or not half or half <= 0:
        return None
    if correction == "ADMIN":
        return total
    if correction != "START":
        return None
    day = word(header, "SeriesDate") or word(header, "AcquisitionDate")
    scan = _time(day, word(header, "SeriesTime") or word(header, "AcquisitionTime"))
    whole_time = word(item, "RadiopharmaceuticalStartDateTime")
    injected = _time(whole_time[:8], whole_time[8:]) if len(whole_time) >= 12 else None
    injected = injected or _time(day, word(item, "RadiopharmaceuticalStartTime"))
    if scan is None or injected is None:
        return None
    if injected > scan:  # no date was given, and midnight lies between
        injected -= timedelta(days=1)
    passed = (scan - injected).total_seconds()
    return total * 2 ** (-passed / half) if passed < 86400 else None


def _philips(header: Any) -> float | None:
    try:
        found = float(header[_PHILIPS].value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if found > 0 else None


def _time(day: str, clock: str) -> datetime | None:
    digits = clock.split(".")[0][:6]
    try:
        return datetime.strptime(day + digits.ljust(6, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
