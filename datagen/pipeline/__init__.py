"""The main jobs from end to end: making a run, previewing a recipe, filtering what is there."""
