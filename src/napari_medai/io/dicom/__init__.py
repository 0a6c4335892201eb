"""Reading DICOM: files, folders and DICOMDIRs as images on the patient's own grid."""
