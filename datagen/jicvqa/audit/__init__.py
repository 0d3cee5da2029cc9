"""What players who see no picture can do with a build, and other faults of it."""
