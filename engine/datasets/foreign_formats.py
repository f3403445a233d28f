"""Formats that are not read, named by suffix or content, with what to do instead."""

from __future__ import annotations

DICOM = "DICOM is not read; export its slices as PNG or TIFF."
NIFTI = "NIfTI is not read; export its slices as PNG or TIFF."

_SUFFIXES = ((".dcm", DICOM), (".dicom", DICOM), (".ima", DICOM), (".nii", NIFTI), (".nii.gz", NIFTI))


def foreign_suffix(name: str) -> str:
    """Return a sentence about the format of a file by its suffix, or ""."""
    name = name.lower()
    return next((sentence for suffix, sentence in _SUFFIXES if name.endswith(suffix)), "")


def foreign_format(data: bytes) -> str:
    """Return a sentence about the format of a file by its content, or ""."""
    if data[128:132] == b"DICM":
        return DICOM
    if data[344:348] in (b"n+1\0", b"ni1\0"):
        return NIFTI
    return ""
