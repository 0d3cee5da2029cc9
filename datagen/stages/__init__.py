"""The conversation about a picture: stages in order, and how answers are read."""
