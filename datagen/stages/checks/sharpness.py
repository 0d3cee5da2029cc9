"""How sharp a picture is."""

import numpy as np
from PIL import Image

from datagen.pictures.picture import Picture


def check(picture: Picture) -> float:
    """Return the variance of the Laplacian (Pech-Pacheco et al., 2000) of the grey picture, at most 256 pixels wide.

    It is 0 for one colour, about 10 for what is out of focus, and hundreds or more for sharp photographs; the size is
    fixed so that the number does not depend on the resolution.
    """
    return laplacian_variance(picture.small)


def laplacian_variance(grey: Image.Image) -> float:
    """Return the variance of the Laplacian of a grey picture; 0 where it has no inner pixel."""
    samples = np.asarray(grey, dtype=np.int64)
    inner = samples[1:-1, 1:-1]
    laplacian = samples[:-2, 1:-1] + samples[2:, 1:-1] + samples[1:-1, :-2] + samples[1:-1, 2:] - 4 * inner
    return round(float(laplacian.var()), 3) if laplacian.size else 0.0
