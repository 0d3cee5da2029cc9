"""ICC profiles, written by hand as small as they may be, and the colours that they stand for."""

import struct

import numpy as np
import numpy.typing as npt

DISPLAY_P3 = np.array([[0.515102, 0.291965, 0.157153], [0.241182, 0.692236, 0.066582], [-0.001050, 0.041882, 0.784378]])
"""Red, green and blue as columns of XYZ under D50, as Apple's profile has them."""
SRGB = np.array([[0.436066, 0.385147, 0.143066], [0.222488, 0.716873, 0.060608], [0.013916, 0.097076, 0.714096]])
_WHITE = (0.9642, 1.0, 0.8249)


def _number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: npt.ArrayLike) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_number(float(value)) for value in np.asarray(values))


def srgb_curve() -> bytes:
    return b"para\0\0\0\0\0\x03\0\0" + b"".join(map(_number, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)


def profile(
    tags: dict[bytes, bytes], space: bytes = b"RGB ", kind: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """Return a profile with these tags."""
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x04300000, kind, space, connection) + bytes(12) + b"acsp"
    header += bytes(28) + b"".join(map(_number, _WHITE))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def rgb_profile(primaries: npt.NDArray[np.float64], curve: bytes | None = None) -> bytes:
    """Return a profile of a screen with these primaries; its curve is that of sRGB if none is given."""
    curve = srgb_curve() if curve is None else curve
    columns = {name: _xyz(primaries[:, place]) for place, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return profile({b"wtpt": _xyz(_WHITE), **columns, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def grey_profile(gamma: float) -> bytes:
    return profile({b"wtpt": _xyz(_WHITE), b"kTRC": gamma_curve(gamma)}, space=b"GRAY")


def cmyk_profile() -> bytes:
    """Return a press whose inks are their own complements in Lab lightness: C=M=Y=0, and K alone darkens to Lab 0."""
    grid = np.stack(np.meshgrid(*[np.array([0.0, 1.0])] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    lightness = (1 - grid[:, 3]) * (1 - grid[:, :3].mean(axis=1))
    lab = np.stack([lightness * 0xFF00, np.full(16, 0x8000), np.full(16, 0x8000)], axis=1).round().astype(">u2")
    identity = b"".join(struct.pack(">i", 65536 if place % 4 == 0 else 0) for place in range(9))
    ramp = np.array([0, 65535], dtype=">u2").tobytes()
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + struct.pack(">HH", 2, 2)
    lut += ramp * 4 + lab.tobytes() + ramp * 3
    return profile({b"wtpt": _xyz(_WHITE), b"A2B0": lut, b"A2B1": lut}, b"CMYK", b"prtr", b"Lab ")


def _linear(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _curved(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    samples = samples.clip(0, 1)
    return np.where(samples <= 0.0031308, samples * 12.92, 1.055 * samples ** (1 / 2.4) - 0.055)


def srgb_of(samples: npt.NDArray[np.uint8], primaries: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sRGB samples of colours in a space with the curve of sRGB and these primaries."""
    linear = _linear(samples.astype(np.float64) / 255) @ primaries.T
    return _curved(linear @ np.linalg.inv(SRGB).T) * 255


def srgb_of_grey(samples: npt.NDArray[np.uint8], gamma: float) -> npt.NDArray[np.float64]:
    """Return the sRGB samples of greys of another gamma."""
    return _curved((samples.astype(np.float64) / 255) ** gamma) * 255
