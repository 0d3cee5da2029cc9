"""What a model answers to a benchmark, and how that is scored."""
