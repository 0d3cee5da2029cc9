"""From classes, distractors and labelled pictures to the files of a benchmark, and reading them back."""
