"""What makes a DICOM file impossible or risky to de-identify by its attributes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
SCREENS = ("Secondary Capture", "Ultrasound", "Photo", "Endoscopic", "Video", "Visible Light")
"""In the names of kinds of images that often have text in their pixels."""
SCREEN_MODALITIES = frozenset(
    ["DMS", "DOC", "ES", "EUS", "GM", "HC", "IVUS", "OP", "OPV", "OT", "PX", "SC", "US", "XC"]
)
"""Modalities of pictures of screens, papers and bodies."""


def kind_of(dataset: Dataset) -> str:
    """What kind of object it is, in DICOM's words; empty if it does not say."""
    uid = dataset.get("SOPClassUID")
    return str(uid.name) if uid else ""


def refusal(dataset: Dataset) -> str:
    """Why an object cannot be cleaned, empty if it can."""
    uid = dataset.get("SOPClassUID")
    what = f"it is of the kind {kind_of(dataset)}" if uid else "it does not say what kind it is"
    if "EncapsulatedDocument" in dataset:
        return f"{what} and encloses a document, which cannot be searched for identity"
    if "ContentSequence" in dataset:
        return f"{what}: a report, whose text cannot be searched for identity"
    if uid and (uid.is_private or not uid.startswith("1.2.840.10008.")):
        return f"{what}, private to a manufacturer: its content is unknown"
    if not any(name in dataset for name in PIXELS):
        return f"{what} and holds no pixels: its text cannot be searched for identity"
    return ""


def burnt_in_sign(dataset: Dataset) -> str:
    """Why text may be burnt into the pixels; empty if nothing says so."""
    said = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if said == "YES":
        return "text is burnt into its pixels (Burned In Annotation: YES)"
    words = {str(word).strip().upper() for word in _values(dataset.get("ImageType"))}
    if words & {"LABEL", "OVERVIEW"}:
        return "it is a picture of the label or the whole of a slide"
    if words & {"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT"}:
        return "it is a picture of a screen"
    if _has_overlay_in_pixels(dataset):
        return "an overlay is stored in spare bits of its pixels"
    if said == "NO":
        return ""
    kind, modality = kind_of(dataset), str(dataset.get("Modality") or "").strip().upper()
    silent = "and it does not say whether text is burnt into its pixels"
    if modality in SCREEN_MODALITIES or any(word in kind for word in SCREENS):
        return f"it is of the kind {kind or modality}, {silent}"
    return "" if kind or modality else f"it does not say of what kind it is, {silent}"


def _has_overlay_in_pixels(dataset: Dataset) -> bool:
    groups = {tag.group for tag in list(dataset.keys()) if 0x6000 <= tag.group <= 0x60FF}
    return any((g, 0x0010) in dataset and (g, 0x3000) not in dataset for g in groups)


def _values(value: object) -> list[object]:
    if value is None or isinstance(value, str):
        return [value or ""]
    return list(value) if hasattr(value, "__iter__") else [value]
