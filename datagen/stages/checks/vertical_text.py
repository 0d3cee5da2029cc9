"""Whether the text in a picture runs from top to bottom."""

from datagen.pictures.picture import Picture
from datagen.stages.checks.reading.ocr import lines_of


def check(picture: Picture) -> float:
    """Return the share of the lines of text that are vertical, 0 where there is no text. It needs the extra `ocr`."""
    lines = lines_of(picture)
    return round(sum(line.vertical for line in lines) / len(lines), 3) if lines else 0.0
