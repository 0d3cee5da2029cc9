"""How well text in pictures is seen and read: rendered Japanese signs, and pictures without any.

    python -m benchmarks.text_in_pictures [--signs 100] [--font FILE] [--without 100] [--pictures FOLDER]

Signs of 24 to 64 pixels' height, horizontal and vertical, in many colours, on grounds of noise; the pictures without
text are those of examples/pictures, of which a few have letters in them (a hotel's H), or of a folder. Needs the extra
`ocr`.
"""

import argparse
import io
import random
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from datagen.pictures.picture import Picture, prepare
from datagen.recipe import Images
from datagen.stages.checks import has_text
from datagen.stages.checks.reading.ocr import lines_of
from filters.rules.quoted_text_missing import _plain, _stands_in

ROOT = Path(__file__).parents[1]
FONTS = "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"
WORDS = (
    *(
        "営業中",
        "本日定休日",
        "出口専用",
        "禁煙",
        "足元注意",
        "駐車場",
        "立入禁止",
        "非常口",
        "お手洗い",
        "受付",
        "改札口",
        "終点",
    ),
    *(
        "ラーメン",
        "うどん",
        "喫茶店",
        "花屋",
        "八百屋",
        "郵便局",
        "交番",
        "図書館",
        "温泉",
        "祭り",
        "桜まつり",
        "夏休み",
    ),
    *(
        "三千円",
        "五百円引き",
        "二階へ",
        "一方通行",
        "徐行",
        "止まれ",
        "危険",
        "工事中",
        "満車",
        "空車",
        "予約席",
        "売り切れ",
    ),
)


def sign(word: str, font: str, draw: random.Random) -> tuple[Picture, int]:
    """Return a picture with a word on a board, and the height of its letters in pixels."""
    height = draw.randint(24, 64)
    vertical = len(word) > 2 and draw.random() < 0.3
    ground = np.random.default_rng(draw.randrange(1 << 30)).integers(60, 200, (12, 16, 3), np.uint8)
    image = Image.fromarray(ground).resize((640, 480), Image.Resampling.BICUBIC)
    letters = ImageFont.truetype(font, height)
    width, tall = (height, height * len(word)) if vertical else (height * len(word), height)
    left, top = draw.randint(20, 600 - width), draw.randint(20, 440 - tall)
    dark = tuple(draw.randint(0, 90) for _ in range(3))
    light = tuple(draw.randint(170, 255) for _ in range(3))
    board, ink = (dark, light) if draw.random() < 0.5 else (light, dark)
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((left - 12, top - 12, left + width + 12, top + tall + 12), fill=board)
    for number, letter in enumerate(word):
        at = (
            (left + width / 2, top + (number + 0.5) * height)
            if vertical
            else (left + (number + 0.5) * height, top + height / 2)
        )
        canvas.text(at, letter, font=letters, fill=ink, anchor="mm")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return prepare(file.getvalue(), Images()), height


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signs", type=int, default=100)
    parser.add_argument("--without", type=int, default=100)
    parser.add_argument("--font", default=FONTS)
    parser.add_argument("--pictures", type=Path, default=ROOT / "examples" / "pictures")
    arguments = parser.parse_args()
    draw = random.Random(0)
    seen = read = 0
    started = time.monotonic()
    for number in range(arguments.signs):
        word = WORDS[number % len(WORDS)]
        picture, _ = sign(word, arguments.font, draw)
        found = has_text.check(picture)
        seen += found.value > 0
        read += _stands_in(_plain(word), _plain(found.reason))
    every = sorted(path for path in arguments.pictures.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    files = every[:: max(1, len(every) // arguments.without)]
    lines = {path.stem: lines_of(prepare(path.read_bytes(), Images())) for path in files}
    alarms = [f"{name} ({' '.join(line.text for line in found)})" for name, found in lines.items() if found]
    seconds = (time.monotonic() - started) / (arguments.signs + len(files))
    print(f"signs: text is seen in {seen} of {arguments.signs} ({seen / arguments.signs:.1%}), and read in {read}")
    print(f"without text: {len(alarms)} of {len(files)} ({len(alarms) / len(files):.1%}): {', '.join(alarms)}")
    precision = seen / max(1, seen + len(alarms))
    print(f"precision of has_text {precision:.3f}, recall {seen / arguments.signs:.3f}; {seconds:.2f} s a picture")


if __name__ == "__main__":
    main()
