"""Put artwork into pictures: augmentation for training, and the held-out kinds of alteration for evaluation.

Training sees small rotations, scales, shifts, mirror images, plain and softly mottled backgrounds, brightness and
contrast. Evaluation alone sees what `HELD_OUT` names: larger rotations, smaller scales, patterned backgrounds,
Gaussian blur and JPEG compression.
"""

from __future__ import annotations

import io
import math
import random

import numpy as np
import torch
from artwork import Picture
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor
from torch.nn import functional

SIDE = 96
"""Side in pixels of what the vision tower reads."""

HELD_OUT = ("rotation", "scale", "background", "blur", "jpeg")


def base_tensor(pictures: list[Picture], side: int = SIDE) -> Tensor:
    """Shrink RGBA pictures and premultiply their alpha.

    Returns:
        Half-precision tensor (count, 4, side, side), values 0 to 1.
    """
    out = torch.empty(len(pictures), 4, side, side, dtype=torch.float16)
    for index, picture in enumerate(pictures):
        small = Image.fromarray(picture).convert("RGBa").resize((side, side), Image.Resampling.LANCZOS)
        out[index] = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).to(torch.float16) / 255
    return out


def _backgrounds(count: int, side: int, generator: torch.Generator) -> Tensor:
    """White (45 %), plain colours (35 %) and soft mottled ones (20 %), as (count, 3, side, side)."""
    plain = torch.rand(count, 3, 1, 1, generator=generator).expand(count, 3, side, side)
    mottled = functional.interpolate(
        torch.rand(count, 3, 4, 4, generator=generator), size=(side, side), mode="bilinear", align_corners=False
    )
    draw = torch.rand(count, 1, 1, 1, generator=generator)
    return torch.where(draw < 0.45, torch.ones_like(mottled), torch.where(draw < 0.8, plain, mottled))


def augment(base: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Turn premultiplied artwork into training pictures.

    Args:
        base: (count, 4, side, side), values 0 to 1, alpha premultiplied.
        generator: Source of the draws.
        strength: 0 gives the artwork on white; 1 the full range: ±20°, scale 0.65–1.05, shifts, mirror images.

    Returns:
        Float tensor (count, 3, side, side), values −1 to 1 as the vision tower reads them.
    """
    count, _, side, _ = base.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = uniform(-1, 1) * math.radians(20) * strength
    scale = 1 - uniform(-0.05, 0.35) * strength
    aspect = 1 + uniform(-0.08, 0.08) * strength
    mirror = torch.where(torch.rand(count, generator=generator) < 0.3 * strength, -1.0, 1.0)
    room = (1 - scale).clamp(min=0) + 0.05 * strength
    shift_x, shift_y = uniform(-1, 1) * room, uniform(-1, 1) * room
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([mirror * cosine / (scale * aspect), mirror * sine / (scale * aspect), -shift_x / scale], 1),
            torch.stack([-sine * aspect / scale, cosine * aspect / scale, -shift_y / scale], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, [count, 4, side, side], align_corners=False)
    moved = functional.grid_sample(base.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    background = _backgrounds(count, side, generator) if strength > 0 else torch.ones(count, 3, side, side)
    picture = moved[:, :3] + background * (1 - moved[:, 3:])
    contrast = (1 + uniform(-0.2, 0.2) * strength).view(-1, 1, 1, 1)
    brightness = (uniform(-0.1, 0.1) * strength).view(-1, 1, 1, 1)
    picture = ((picture - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    if strength > 0:
        # A quarter of the batch goes through a smaller size, as a small or enlarged picture does.
        soft = torch.rand(count, generator=generator) < 0.25
        if soft.any():
            small = int(torch.randint(40, 80, (1,), generator=generator))
            shrunk = functional.interpolate(picture[soft], size=(small, small), mode="area")
            picture[soft] = functional.interpolate(shrunk, size=(side, side), mode="bilinear", align_corners=False)
    return picture * 2 - 1


def compose(
    picture: Picture,
    side: int,
    *,
    scale: float = 0.9,
    angle: float = 0.0,
    background: Image.Image | tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Put one RGBA drawing on an opaque background of (side, side), centred."""
    if isinstance(background, tuple):
        canvas = Image.new("RGB", (side, side), background)
    else:
        canvas = background.convert("RGB").resize((side, side))
    length = max(1, round(side * scale))
    drawing = Image.fromarray(picture).convert("RGBa").resize((length, length), Image.Resampling.LANCZOS)
    drawing = drawing.rotate(angle, Image.Resampling.BICUBIC, expand=True).convert("RGBA")
    canvas.paste(drawing, ((side - drawing.width) // 2, (side - drawing.height) // 2), drawing)
    return canvas


def _pattern(side: int, draws: random.Random) -> Image.Image:
    """A gradient, a chequer or stripes of two pale colours."""
    first, second = (tuple(draws.randint(140, 255) for _ in range(3)) for _ in range(2))
    form = draws.choice(("gradient", "chequer", "stripes"))
    if form == "gradient":
        ramp = np.linspace(0, 1, side)[:, None, None] * np.ones((1, side, 1))
        return Image.fromarray((np.array(first) * (1 - ramp) + np.array(second) * ramp).astype(np.uint8))
    canvas = Image.new("RGB", (side, side), first)
    pen = ImageDraw.Draw(canvas)
    cell = max(2, side // draws.randint(5, 9))
    for row in range(0, side, cell):
        for column in range(0, side, cell):
            index = (row + column) // cell if form == "chequer" else row // cell
            if index % 2:
                pen.rectangle((column, row, column + cell - 1, row + cell - 1), fill=second)
    return canvas


def alter(picture: Picture, side: int, alteration: str, draws: random.Random) -> Image.Image:
    """Make a held-out picture, altered as training never did.

    Args:
        picture: RGBA drawing.
        side: Side of the result in pixels.
        alteration: One of `HELD_OUT`.
        draws: Source of the draws.
    """
    if alteration == "rotation":
        return compose(picture, side, scale=0.8, angle=draws.choice((-1, 1)) * draws.uniform(22, 30))
    if alteration == "scale":
        return compose(picture, side, scale=draws.uniform(0.52, 0.62))
    if alteration == "background":
        return compose(picture, side, background=_pattern(side, draws))
    if alteration == "blur":
        return compose(picture, side).filter(ImageFilter.GaussianBlur(side * draws.uniform(0.008, 0.014)))
    if alteration == "jpeg":
        buffer = io.BytesIO()
        compose(picture, side).save(buffer, "JPEG", quality=draws.randint(15, 35))
        return Image.open(buffer).convert("RGB")
    raise ValueError(f"unknown alteration {alteration!r}; use one of {', '.join(HELD_OUT)}")
