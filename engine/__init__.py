"""The work: images in, pseudo-labels, training, prediction. Knows nothing of Streamlit or the dashboard."""

VERSION = "0.2.0"
"""Stored with every mask set and run, so that a mask leads back to the code that drew it."""
