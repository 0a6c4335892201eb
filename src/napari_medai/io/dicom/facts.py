"""How a picture was taken: numbers and known words, never text that may tell of whom."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from napari_medai.io.dicom.planes import Plane
from napari_medai.io.dicom.tags import first, number, numbers, value, whole, word, words

MODALITIES = frozenset(
    (
        *("AR", "BMD", "CR", "CT", "DG", "DX", "ECG", "EPS", "ES", "GM", "HD", "IO", "IVOCT"),
        *("IVUS", "KO", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OT", "PR"),
        *("PT", "PX", "REG", "RF", "RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SEG", "SM"),
        *("SR", "TG", "US", "XA", "XC"),
    )
)

_NUMBERS = {
    "SliceThickness": "slice thickness (mm)",
    "SpacingBetweenSlices": "spacing between slices (mm)",
    "KVP": "tube voltage (kV)",
    "XRayTubeCurrent": "tube current (mA)",
    "ExposureTime": "exposure time (ms)",
    "Exposure": "exposure (mAs)",
    "GantryDetectorTilt": "gantry tilt (°)",
    "SpiralPitchFactor": "pitch",
    "ReconstructionDiameter": "field of view (mm)",
    "MagneticFieldStrength": "field strength (T)",
    "RepetitionTime": "repetition time (ms)",
    "EchoTime": "echo time (ms)",
    "InversionTime": "inversion time (ms)",
    "FlipAngle": "flip angle (°)",
    "EchoTrainLength": "echo train length",
    "PixelBandwidth": "pixel bandwidth (Hz)",
    "NumberOfAverages": "averages",
    "DiffusionBValue": "b-value (s/mm²)",
    "FrameTime": "frame time (ms)",
    "ActualFrameDuration": "frame duration (ms)",
    "TransducerFrequency": "transducer frequency (kHz)",
}
_GROUPS = {
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle", "EchoTrainLength"),
    "PixelMeasuresSequence": ("SliceThickness", "SpacingBetweenSlices"),
}
# Kernels are free text. These are names that makers give, and no one's.
_KERNEL = re.compile(
    r"(?:STANDARD|SOFT|BONE|LUNG|DETAIL|EDGE|CHEST|BRAIN|SHARP|SMOOTH|BONEPLUS|STND|YA|YB|YC|A|B|C"
    r"|D|E|L|FC\d\d|[A-Z][a-z]?\d\d[a-z]?)(?:\\\d)?"
)


def modality(header: Any) -> str:
    """The modality's code, OT (other) where it is none of the standard's."""
    told = word(header, "Modality")
    return told if told in MODALITIES else "OT"


def kind_of(header: Any) -> str:
    """What the standard calls this kind of object; '' if it does not know it."""
    from pydicom.uid import UID

    try:
        uid = UID(str(value(header, "SOPClassUID") or ""))
        return uid.name.removesuffix(" Storage") if uid.name != str(uid) else ""
    except ValueError:
        return ""


def facts(planes: Sequence[Plane], **more: Any) -> dict[str, Any]:
    """The metadata of a layer. ``more`` are added where they say something."""
    header = planes[0].source.header
    shared = first(header, "SharedFunctionalGroupsSequence")
    taken: dict[str, Any] = {}
    for keyword, name in _NUMBERS.items():
        found = number(header, keyword)
        for group, keywords in _GROUPS.items():
            if found is None and keyword in keywords:
                found = number(first(shared, group), keyword)
        if found is not None:
            taken[name] = found
    kernel = "\\".join(words(header, "ConvolutionKernel"))
    if _KERNEL.fullmatch(kernel):
        taken["kernel"] = kernel
    result: dict[str, Any] = {"format": "DICOM", "modality": modality(header)}
    if kind := kind_of(header):
        result["kind"] = kind
    result |= {name: found for name, found in more.items() if found}
    if windows := _windows(header):
        result["windows"] = windows
    return result | ({"acquisition": taken} if taken else {})


def series_name(header: Any, sizes: Sequence[int]) -> str:
    """Modality and number of the series, else the size of the picture: CT 3, CT 512×512×120."""
    series = whole(header, "SeriesNumber")
    if series is not None and 0 <= series < 10**6:
        return f"{modality(header)} {series}"
    return f"{modality(header)} {'×'.join(map(str, reversed(sizes)))}"


def _windows(header: Any) -> list[tuple[float, float]]:
    """All windows of the file: centre and width."""
    centers = numbers(header, "WindowCenter") or ()
    widths = numbers(header, "WindowWidth") or ()
    return [(c, w) for c, w in zip(centers, widths, strict=False) if w > 0]
