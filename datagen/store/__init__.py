"""What is on disk: the index, journals and parts, verdicts, shards, and the directory of a run."""
