"""How much contrast a picture has."""

import numpy as np

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the standard deviation of the grey picture, 0 to 127; fog and blank pages have less than 10."""
    return round(float(np.asarray(picture.small, dtype=np.float64).std()), 2)
