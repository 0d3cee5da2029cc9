"""Whether a picture looks like a screenshot or a drawing."""

from datagen.pictures.looks import repeated_share
from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the share of pixels that equal their left neighbour exactly: few of a photograph, most of a screenshot."""
    return repeated_share(picture.opened())
