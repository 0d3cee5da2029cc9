"""Name the main colours of a drawing in Japanese, from its pixels."""

import numpy as np
from artwork import Picture
from scipy.spatial import cKDTree

PALETTE = {
    "赤": [(221, 46, 68), (200, 30, 40), (160, 30, 40), (240, 60, 60)],
    "オレンジ色": [(244, 144, 12), (250, 160, 60), (255, 130, 40)],
    "黄色": [(255, 204, 77), (253, 216, 53), (255, 235, 59), (255, 225, 130)],
    "黄緑色": [(166, 211, 136), (180, 215, 70), (190, 230, 120)],
    "緑": [(119, 178, 85), (62, 114, 29), (60, 140, 60), (40, 90, 40), (92, 145, 59)],
    "水色": [(136, 201, 249), (120, 200, 240), (187, 221, 245), (100, 200, 220)],
    "青": [(59, 136, 195), (34, 102, 153), (30, 60, 160), (50, 120, 220), (40, 50, 100)],
    "紫": [(146, 102, 204), (120, 60, 160), (170, 140, 216), (90, 50, 110)],
    "ピンク": [(234, 89, 110), (244, 171, 186), (240, 120, 170), (250, 200, 215)],
    "茶色": [(138, 75, 56), (102, 33, 19), (150, 100, 60), (193, 105, 79), (90, 60, 40), (190, 140, 90)],
    "ベージュ": [(255, 220, 180), (240, 215, 175), (215, 190, 150), (255, 232, 200)],
    "白": [(255, 255, 255), (240, 242, 245), (225, 232, 237), (204, 214, 221)],
    "灰色": [(153, 170, 181), (128, 128, 128), (180, 185, 190), (102, 117, 127)],
    "黒": [(0, 0, 0), (41, 47, 51), (30, 30, 35), (60, 65, 70)],
}


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB values (count, 3) from 0–255 to CIE L*a*b* under D65, where distances follow the eye."""
    linear = rgb / 255.0
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


_NAMES = [name for name, examples in PALETTE.items() for _ in examples]
_TREE = cKDTree(_lab(np.array([rgb for examples in PALETTE.values() for rgb in examples], dtype=float)))


def main_colours(picture: Picture, least_share: float = 0.22, most: int = 2) -> tuple[str, ...]:
    """Name the colours that cover the most of a drawing.

    Args:
        picture: RGBA drawing.
        least_share: Share of the opaque pixels that a colour after the first must cover.
        most: How many colours at most.

    Returns:
        Japanese colour words, the largest first; at least one.
    """
    pixels = picture.reshape(-1, 4)
    opaque = pixels[pixels[:, 3] > 128][:, :3].astype(float)
    nearest = _TREE.query(_lab(opaque))[1]
    counts: dict[str, int] = {}
    for index, count in zip(*np.unique(nearest, return_counts=True), strict=True):
        counts[_NAMES[index]] = counts.get(_NAMES[index], 0) + int(count)
    ranked = sorted(counts, key=lambda name: -counts[name])
    kept = [name for name in ranked[:most] if counts[name] >= least_share * len(opaque)]
    return tuple(kept or ranked[:1])
