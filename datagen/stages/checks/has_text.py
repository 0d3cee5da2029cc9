"""Whether there is text in a picture, and which."""

from datagen.pictures.picture import Picture
from datagen.stages.checks import Measurement
from datagen.stages.checks.reading.ocr import lines_of


def check(picture: Picture) -> Measurement:
    """Return the share of the picture that lines of text cover, 0 where there is none, with the text that was read.

    A sign in a street covers a few thousandths, a page or a screen a tenth and more. It needs the extra `ocr`.
    """
    lines = lines_of(picture)
    return Measurement(round(min(1.0, sum(line.share for line in lines)), 5), "／".join(line.text for line in lines))
