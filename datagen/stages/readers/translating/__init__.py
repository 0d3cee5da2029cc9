"""Dialogues made ready for a translator, and read back."""
