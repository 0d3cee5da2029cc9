"""How long and narrow a picture is."""

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the longer side divided by the shorter one; Asagi (2025) leaves out more than 3, processors refuse 200."""
    return round(max(picture.width, picture.height) / min(picture.width, picture.height), 3)
