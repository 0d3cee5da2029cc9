"""How large a picture is."""

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the shorter side of the published picture in pixels; vision encoders of 28-pixel patches need as many."""
    return float(min(picture.width, picture.height))
