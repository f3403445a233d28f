"""Files that are no pictures and are often tried: by suffix, with what to do instead."""

from __future__ import annotations

DICOM = "It is a DICOM file, and DICOM is not read; export slices as PNG or TIFF."
NIFTI = "It is a NIfTI volume, and NIfTI is not read; export slices as PNG or TIFF."

FOREIGN_SUFFIXES = ((".dcm", DICOM), (".dicom", DICOM), (".ima", DICOM), (".nii", NIFTI), (".nii.gz", NIFTI))


def foreign_suffix(name: str) -> str:
    """Return a sentence about the format of a file by its suffix, or ""."""
    name = name.lower()
    return next((sentence for suffix, sentence in FOREIGN_SUFFIXES if name.endswith(suffix)), "")
