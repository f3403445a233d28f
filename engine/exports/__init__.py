"""Export formats as pure code: masks and numbers in, files out. No database, no TensorFlow."""
