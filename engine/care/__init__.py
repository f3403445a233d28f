"""Care of what is stored: checking it, mending it, backing it up, and telling others what went wrong."""
