"""Stored files: their keys, the `Store` that reads and writes them, and the store in a local folder."""
