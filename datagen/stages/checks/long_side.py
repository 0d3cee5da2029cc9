"""How long a picture's longer side is."""

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the longer side of the published picture in pixels; Asagi (2025) leaves out 2,048 and more."""
    return float(max(picture.width, picture.height))
