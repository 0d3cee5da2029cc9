"""The store of pictures that the formats of text share: each picture once, under the SHA-256 of its bytes."""

import os
import threading
from pathlib import Path

from datagen.errors import DatagenError
from datagen.exporters.writing.conversation import Picture
from datagen.files.writing import writing

FOLDER = "images"


class PictureStore:
    """The folder `images` of an export.

    A file there is whole, because it appears by rename, and never changes, because its name is its content. So exports
    share it, and one that was stopped writes nothing twice.

    Args:
        out: the folder of the export.
        scratch: a folder on the same disk, for files that are not whole yet.
    """

    def __init__(self, out: Path, scratch: Path) -> None:
        self._folder = out / FOLDER
        self._scratch = scratch
        self._made: set[str] = set()

    def put(self, picture: Picture) -> str:
        """Write a picture, if it is not there, and return its path from the folder of the export.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as out:
        ...     PictureStore(Path(out), Path(out)).put(Picture(b"...", "ab12", ".jpg", 96, 64))
        'images/ab/ab12.jpg'

        Raises:
            DatagenError: something else is there.
            OSError: it cannot be written.
        """
        shelf, name = picture.sha256[:2], picture.sha256 + picture.suffix
        path = f"{self._folder}/{shelf}/{name}"
        if shelf not in self._made:
            os.makedirs(f"{self._folder}/{shelf}", exist_ok=True)  # noqa: PTH103 (strings: a million of them)
            self._made.add(shelf)
        try:
            size = os.stat(path).st_size  # noqa: PTH116
        except FileNotFoundError:
            unfinished = f"{self._scratch}/{threading.get_ident()}"  # another thread may have the same picture
            with writing(Path(path)), open(unfinished, "wb") as file:  # noqa: PTH123
                file.write(picture.data)
            os.rename(unfinished, path)  # noqa: PTH104
            size = len(picture.data)
        if size != len(picture.data):
            raise DatagenError(
                f"{path} has {size:,} bytes, and the picture of that name {len(picture.data):,}; move it."
            )
        return f"{FOLDER}/{shelf}/{name}"
