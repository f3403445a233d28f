"""Sweeps: what may vary in one, and which values the next trial tries. Optuna is an optional package."""
