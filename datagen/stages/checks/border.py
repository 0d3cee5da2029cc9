"""How much of a picture is a border."""

from datagen.pictures.looks import border_share
from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the share of the area in flat lines at the edges: letter boxes, frames, scans on white."""
    return border_share(picture.small)
