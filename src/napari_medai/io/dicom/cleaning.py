"""A DICOM dataset without identity: the profile's table, and what it leaves to judgement.

Beyond the table: attributes that pydicom's dictionary does not know go, and so do retired ones
with text; names of persons and dates that the table does not mention get another value, as does
text that repeats the patient's name or a number of theirs; every UID that is not DICOM's own is
replaced. Values that are kept are not decoded, so their bytes stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_medai.io.dicom.profile import EDITION, profile_action
from napari_medai.io.dicom.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from pydicom import Dataset

METHOD = f"Basic Confidentiality Profile, DICOM PS3.15 {EDITION}"
TEXT = frozenset(["AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"])
"""Value representations that may hold anything a person writes."""
_DUMMIES: dict[str, Any] = {
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "UR": "http://anonymized.invalid",
}
_BYTES = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_NUMBERS = frozenset(["AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"])
_PATIENT_ID = 0x00100020
_TELLING = ("PatientName", "PatientID", "AccessionNumber", "OtherPatientIDs", "PatientBirthDate")


@dataclass(frozen=True, slots=True)
class Cleaning:
    """How one dataset is cleaned: with these names, and without these words in any text."""

    names: Pseudonyms
    words: frozenset[str] = frozenset()

    def clean(self, dataset: Dataset) -> None:
        """Clean a dataset and all in its sequences, in place."""
        for tag in list(dataset.keys()):
            self._clean_element(dataset, tag)

    def _clean_element(self, dataset: Dataset, tag: Any) -> None:
        known = known_vr(tag)
        raw = dataset.get_item(tag)
        told = str(raw.VR or known) if raw is not None else known
        action = self._action(tag, told, known)
        if action == "X":
            del dataset[tag]
            return
        if not action and known != "SQ" and not (told in TEXT and self.words):
            return
        try:
            element = dataset[tag]
        except Exception:  # pydicom raises whatever a broken value leads to
            del dataset[tag]
            return
        if element.VR == "SQ":
            self._clean_sequence(element, action)
        elif element.is_empty:
            pass
        elif action == "Z":
            element.clear()
        elif action == "U" and element.VR == "UI":
            element.value = self._uids(element)
        elif action or self._tells(element.value):
            dataset.add_new(tag, known, self._other(element, known))

    def _action(self, tag: Any, told: str, known: str) -> str:
        """The action for an attribute; empty: keep it, and clean what is in it."""
        from pydicom.datadict import dictionary_is_retired

        if not known or tag.element == 0 or tag.group in (0x0000, 0x0002, 0x0004):
            return "X"
        action = profile_action(tag)
        if action:
            return action
        disguised = told in TEXT - {"UN"} and known not in TEXT
        if disguised or (known in TEXT and dictionary_is_retired(tag)):
            return "X"
        if known == "UI":
            return "U"
        return "D" if {told, known} & {"PN", "DA", "DT"} else ""

    def _clean_sequence(self, element: Any, action: str) -> None:
        if action == "Z":
            element.value = []
        elif action == "D":
            element.value = element.value[:1]
            for item in element.value:
                self._replace_all(item)
        else:
            for item in element.value:
                self.clean(item)

    def _replace_all(self, dataset: Dataset) -> None:
        """Give every attribute another value, in all sequences too."""
        self.clean(dataset)
        for element in list(dataset):
            if element.VR == "SQ":
                for item in element.value:
                    self._replace_all(item)
            elif element.VR != "UI" and not element.is_empty:
                dataset.add_new(element.tag, element.VR, self._other(element, element.VR))

    def _other(self, element: Any, vr: str) -> Any:
        """Another value, fit for the attribute."""
        if element.tag == _PATIENT_ID:
            return self.names.patient(str(element.value))
        if vr == "UI":
            return self._uids(element)
        if vr in _BYTES:
            return b"\0\0\0\0\0\0\0\0"
        return 0 if vr in _NUMBERS else _DUMMIES.get(vr, "ANONYMIZED")

    def _uids(self, element: Any) -> list[str]:
        several = [element.value] if isinstance(element.value, str) else element.value
        general = not profile_action(element.tag)
        return [self.names.uid(str(uid).strip(" \0"), general=general) for uid in several]

    def _tells(self, value: Any) -> bool:
        text = str(value).lower()
        return any(word in text for word in self.words)


def clean_dataset(dataset: Dataset, names: Pseudonyms) -> None:
    """Take identity out of a dataset in place, and say so in it."""
    from pydicom import Dataset as Item

    Cleaning(names, telling_words(dataset)).clean(dataset)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    code = Item()
    code.CodeValue = "113100"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = [code]


def telling_words(dataset: Dataset) -> frozenset[str]:
    """Words and numbers of the patient, of four characters or more, in lower case."""
    found = " ".join(str(dataset.get(keyword) or "") for keyword in _TELLING)
    words = re.split(r"[\s^=\\,;'\[\]]+", found.lower())
    return frozenset(word for word in words if len(word) >= 4)


def known_vr(tag: int) -> str:
    """The value representation that the standard gives an attribute, empty if there is none."""
    from pydicom.datadict import dictionary_VR

    try:
        return str(dictionary_VR(tag)).split(" ")[0]
    except KeyError:
        return ""
