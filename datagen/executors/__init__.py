"""Where work is done: Ray's worker processes, here and on other machines."""
