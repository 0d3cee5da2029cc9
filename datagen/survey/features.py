"""Local features of pictures, by which a crop from anywhere of a reference is known; needs the extra `crops`.

SIFT (Lowe 2004) of the grey picture, compared exactly: a feature votes for the reference whose nearest feature is
clearly nearer than that of any other, and the votes have to agree on one shift, turn and scale (RANSAC).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datagen.errors import DatagenError

INLIERS = 15
"""So many votes that agree are a copy: unrelated pictures had 11 at most, crops of 60 % of each side 54 at least."""
_SIDE = 512
_MOST = 300
_LENGTH = 128
_RATIO = 0.8
_TRIED = 3
_LEAST_VOTES = 4
_PIXELS = 4.0
_SCALES = (0.2, 5.0)


class Features(NamedTuple):
    """The features of one picture.

    Attributes:
        points: x and y of each, in pixels of the picture at 512 pixels, as float32.
        descriptors: 128 numbers of each, as uint8.
    """

    points: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.uint8]

    def packed(self) -> dict[str, bytes]:
        """Return them as a table stores them."""
        return {"points": self.points.tobytes(), "descriptors": self.descriptors.tobytes()}

    @classmethod
    def unpacked(cls, stored: dict[str, bytes]) -> "Features":
        """Return what `packed` has stored."""
        points = np.frombuffer(stored["points"], np.float32).reshape(-1, 2)
        return cls(points, np.frombuffer(stored["descriptors"], np.uint8).reshape(-1, _LENGTH))


def features_of(image: Image.Image) -> Features:
    """Return the features of a picture; none of one without corners.

    Raises:
        DatagenError: the extra `crops` is not installed.
    """
    grey = image.convert("L")
    grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    corners, descriptors = _opencv().SIFT_create(nfeatures=_MOST).detectAndCompute(np.asarray(grey), None)
    if descriptors is None:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, _LENGTH), np.uint8))
    points = np.array([corner.pt for corner in corners], np.float32)
    return Features(points, descriptors.round().clip(0, 255).astype(np.uint8))


class FeatureIndex:
    """The features of all references, mirrored ones too.

    Args:
        references: the features, and the number of the reference that each is of.
    """

    def __init__(self, references: Sequence[tuple[int, Features]]) -> None:
        found = [(owner, features) for owner, features in references if len(features.points)]
        self._owners = [owner for owner, _ in found]
        self._points = np.concatenate([np.zeros((0, 2), np.float32), *(each.points for _, each in found)])
        lengths = [len(each.points) for _, each in found]
        self._starts = np.cumsum([0, *lengths])[:-1].astype(np.int64)
        self._descriptors = np.concatenate(
            [np.zeros((0, _LENGTH), np.float32), *(each.descriptors.astype(np.float32) for _, each in found)]
        )
        self._norms = (self._descriptors**2).sum(axis=1)

    def __len__(self) -> int:
        return len(self._owners)

    def match(self, features: Features) -> tuple[int, int]:
        """Return the reference that a picture is a piece of, and how many features agree on it; -1 and 0 for none."""
        if len(self) < 2 or len(features.points) < _LEAST_VOTES:
            return -1, 0
        asked = features.descriptors.astype(np.float32)
        distances = self._norms + (asked**2).sum(axis=1)[:, None] - 2 * asked @ self._descriptors.T
        nearest = np.minimum.reduceat(distances, self._starts, axis=1)
        order = np.argpartition(nearest, 1, axis=1)[:, :2]
        two = np.take_along_axis(nearest, order, axis=1)
        first = two.argmin(axis=1)
        clear = two.min(axis=1) < _RATIO**2 * two.max(axis=1)
        voted = np.take_along_axis(order, first[:, None], axis=1)[:, 0]
        best = (-1, 0)
        numbers, votes = np.unique(voted[clear], return_counts=True)
        for number in numbers[np.argsort(-votes, kind="stable")][:_TRIED]:
            chosen = np.flatnonzero(clear & (voted == number))
            start = int(self._starts[number])
            end = int(self._starts[number + 1]) if number + 1 < len(self._starts) else len(self._points)
            places = start + distances[chosen, start:end].argmin(axis=1)
            agreeing = _agreeing(features.points[chosen], self._points[places])
            if agreeing > best[1]:
                best = (self._owners[int(number)], agreeing)
        return best


def _agreeing(asked: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> int:
    """Return how many pairs of points agree on one shift, turn and scale."""
    if len(asked) < _LEAST_VOTES:
        return 0
    moved, inside = _opencv().estimateAffinePartial2D(
        asked, found, method=_opencv().RANSAC, ransacReprojThreshold=_PIXELS
    )
    if moved is None or not _SCALES[0] < float(np.hypot(moved[0, 0], moved[1, 0])) < _SCALES[1]:
        return 0
    return len({tuple(point) for point in found[inside[:, 0] > 0].tolist()})


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise DatagenError("Crops from anywhere need the extra crops: pip install 'datagen[crops]'.") from error
    return cv2
