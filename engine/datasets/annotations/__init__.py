"""Annotation files as truth: one module for each format, which exports ANNOTATIONS."""
