"""How many colours a picture has."""

from datagen.pictures.looks import colour_counts
from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return how many different colours 64×64 cells have, of 16 levels a channel; WAON (2025) asks for 32."""
    return float(len(colour_counts(picture.opened())))
