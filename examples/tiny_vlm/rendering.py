"""Put artwork into pictures: augmentation for training, and the held-out kinds of alteration for evaluation.

Training sees small rotations, scales, shifts, mirror images, shear, stretch, perspective, plain, mottled, blotched and
crowded backgrounds, brightness and contrast. Evaluation alone sees what `HELD_OUT` names: larger rotations, smaller
scales, regularly patterned backgrounds, Gaussian blur and JPEG compression.
"""

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


def _soft_noise(count: int, cells: int, side: int, generator: torch.Generator) -> Tensor:
    """Random colours on a coarse grid, blended into each other, as (count, 3, side, side)."""
    coarse = torch.rand(count, 3, cells, cells, generator=generator)
    return functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)


def _backgrounds(moved: Tensor, generator: torch.Generator) -> Tensor:
    """White (35 %), plain (20 %), mottled (20 %), blotched (15 %) or crowded (10 %), as (count, 3, side, side).

    Blotched: two colours with an irregular hard border. Crowded: another drawing of the batch, magnified and faded.
    """
    count, _, side, _ = moved.shape
    plain, first, second = torch.rand(3, count, 3, 1, 1, generator=generator)
    cells = int(torch.randint(3, 13, (1,), generator=generator))
    vivid = 0.15 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    mottled = plain * (1 - vivid) + _soft_noise(count, cells, side, generator) * vivid
    blotched = torch.where(_soft_noise(count, cells, side, generator)[:, :1] < 0.5, first, second)
    other = functional.interpolate(moved.roll(1, 0), scale_factor=1.8, mode="bilinear", align_corners=False)
    edge = (other.shape[-1] - side) // 2
    other = other[:, :, edge : edge + side, edge : edge + side]
    crowded = other[:, :3] * 0.5 + plain * (1 - other[:, 3:] * 0.5)
    draw = torch.rand(count, 1, 1, 1, generator=generator)
    picture = torch.ones_like(mottled)
    for start, background in ((0.35, plain), (0.55, mottled), (0.75, blotched), (0.9, crowded)):
        picture = torch.where(draw < start, picture, background)
    return picture


def _placements(count: int, generator: torch.Generator) -> Tensor:
    """Draw where each drawing lies, as matrices (count, 3, 3) from picture to drawing, both in -1 to 1.

    Rotation ±20°, scale 0.65 to 1.05, mirror image (30 %), shift, and what a camera adds: shear, stretch at equal area,
    a little perspective.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = uniform(-1, 1) * math.radians(20)
    scale = uniform(0.65, 1.05)
    stretch = uniform(-0.18, 0.18).exp()
    mirror = torch.where(torch.rand(count, generator=generator) < 0.3, -1.0, 1.0)
    turned = torch.stack([torch.stack([angle.cos(), -angle.sin()], 1), torch.stack([angle.sin(), angle.cos()], 1)], 1)
    shaped = torch.zeros(count, 2, 2)
    shaped[:, 0, 0], shaped[:, 1, 1] = scale * stretch * mirror, scale / stretch
    shaped[:, 0, 1] = uniform(-0.2, 0.2) * scale
    forward = torch.zeros(count, 3, 3)
    forward[:, :2, :2] = turned @ shaped
    room = (1 - scale).clamp(min=0) + 0.05
    forward[:, 0, 2], forward[:, 1, 2] = uniform(-1, 1) * room, uniform(-1, 1) * room
    forward[:, 2, 0], forward[:, 2, 1], forward[:, 2, 2] = uniform(-0.12, 0.12), uniform(-0.12, 0.12), 1.0
    backward: Tensor = torch.linalg.inv(forward)
    return backward


def augment(base: Tensor, generator: torch.Generator) -> Tensor:
    """Turn premultiplied artwork into training pictures.

    Args:
        base: (count, 4, side, side), values 0 to 1, alpha premultiplied.
        generator: Source of the draws.

    Returns:
        Float tensor (count, 3, side, side), values −1 to 1 as the vision tower reads them.
    """
    count, _, side, _ = base.shape
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([columns, rows, torch.ones_like(rows)], -1).view(1, -1, 3)
    placed = points @ _placements(count, generator).transpose(1, 2)
    grid = (placed[..., :2] / placed[..., 2:].clamp(min=0.2)).view(count, side, side, 2)
    moved = functional.grid_sample(base.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    picture = moved[:, :3] + _backgrounds(moved, generator) * (1 - moved[:, 3:])
    contrast = 0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=generator)
    brightness = 0.2 * torch.rand(count, 1, 1, 1, generator=generator) - 0.1
    picture = ((picture - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
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
