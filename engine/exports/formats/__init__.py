"""Export formats: one module for each, which exports a FORMAT."""
