"""DICOM: read on the patient's own grid, written as segmentations, and freed of identity."""
