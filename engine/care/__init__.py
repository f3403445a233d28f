"""Care of what is stored: checking it, repairing it, backing it up, and telling others what went wrong."""
