"""Attempts to break Maskloom, by kind: what `python -m benchmarks.attempts` makes."""
