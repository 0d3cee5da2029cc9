"""How bright a picture is."""

import numpy as np

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the mean grey of the picture, 0 to 255; under 20 it is black to the eye, over 240 white."""
    return round(float(np.asarray(picture.small).mean()), 2)
