"""The wrong choices: which classes are candidates, how a model ranks them, and the design of the option sets."""
