"""Whether a picture is of one colour."""

from datagen.pictures.looks import colour_counts, plain_share
from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the share of 64×64 cells with the commonest colour; 1 is a picture of one colour."""
    return plain_share(colour_counts(picture.opened()))
