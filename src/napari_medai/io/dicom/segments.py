"""What segments are: their labels, names, coded terms and colours, to and from a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from napari_medai.io.dicom.tags import items, numbers, whole, word

TISSUE = ("85756007", "SCT", "Tissue")
_LABEL = re.compile(r"label ([1-9]\d{0,9})")
_LARGEST_LABEL = 2**31 - 1

Code = tuple[str, str, str]
"""Value, scheme and meaning of a coded term: ``("85756007", "SCT", "Tissue")``."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One label of a segmentation: its value in the array, name, and coded terms.

    ``algorithm`` and ``version`` say what made it; without, somebody drew it. ``colour`` (red,
    green, blue, 0 to 255) is how it is to be shown.
    """

    label: int
    name: str
    algorithm: str = ""
    version: str = ""
    category: Code = TISSUE
    kind: Code = TISSUE
    colour: tuple[int, int, int] | None = None


def described(number: int, segment: Segment) -> Any:
    """The item of a segment, with its label where that is another number."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    colour = segment.colour and hd.color.CIELabColor.from_rgb(*segment.colour)
    made_by = hd.AlgorithmIdentificationSequence(
        name=segment.algorithm or "none",
        version=segment.version or "0",
        family=codes.DCM.ArtificialIntelligence,
    )
    kinds = hd.seg.SegmentAlgorithmTypeValues
    item = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=hd.sr.CodedConcept(*segment.category),
        segmented_property_type=hd.sr.CodedConcept(*segment.kind),
        algorithm_type=kinds.AUTOMATIC if segment.algorithm else kinds.MANUAL,
        algorithm_identification=made_by if segment.algorithm else None,
        display_color=colour,
    )
    if number != segment.label:
        item.SegmentDescription = f"label {segment.label}"
    return item


def number_of(item: Any) -> int:
    """The number of a segment by its description; 0 where it has none."""
    return whole(item, "SegmentNumber") or 0


def labels_of(header: Any) -> dict[int, int]:
    """The labels of segments by their numbers: the same, but where `described` tells others."""
    told = {}
    for item in items(header, "SegmentSequence"):
        found = _LABEL.fullmatch(word(item, "SegmentDescription"))
        told[number_of(item)] = int(found[1]) if found else number_of(item)
    sound = len(set(told.values())) == len(told) and max(told.values(), default=0) <= _LARGEST_LABEL
    return told if sound else {number: number for number in told}


def colours_of(header: Any) -> dict[int, tuple[float, ...]]:
    """Red, green, blue and opacity (0 to 1) of the labels whose segments tell a colour."""
    from highdicom.color import CIELabColor

    known, found = labels_of(header), {}
    for item in items(header, "SegmentSequence"):
        told = numbers(item, "RecommendedDisplayCIELabValue", 3)
        label = known[number_of(item)]
        if told is not None and label > 0 and all(0 <= n < 2**16 for n in told):
            colour = CIELabColor.from_dicom_value([int(n) for n in told])
            found[label] = (*(n / 255 for n in colour.to_rgb(clip=True)), 1.0)
    return found
