"""Parquet files in a cloud, and those of a data set on the hub, which lie there too."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from datagen.recipe import SourceSettings
from datagen.sources.parquet import ParquetSource


class CloudParquet(ParquetSource):
    """Parquet files in a cloud; the key is the file's name below the URL, and the row in it."""

    def __init__(self, settings: SourceSettings, max_bytes: int, urls: Sequence[str]) -> None:
        super().__init__(settings, max_bytes)
        self._urls = urls

    def files(self) -> Sequence[Path | str]:
        """Return the URLs of the files."""
        return self._urls

    def key(self, path: Path | str, row: int, before: int) -> str:
        """Return the name of the file below the URL, with the row."""
        return f"{below(self._settings.path, str(path))}#{row}"


class HubParquet(CloudParquet):
    """The Parquet files of a split; the key is the number of the row in it."""

    def key(self, path: Path | str, row: int, before: int) -> str:
        """Return the split and the number of the row."""
        return f"{self._settings.split}#{before + row}"


def below(root: str, url: str) -> str:
    """Return the name of a file below a URL.

    >>> below("s3://bucket/photos", "s3://bucket/photos/a/b.jpg"), below("s3://bucket/a.jpg", "s3://bucket/a.jpg")
    ('a/b.jpg', 'a.jpg')
    >>> below("memory://photos", "memory:///photos/b.jpg")
    'b.jpg'
    """
    path, folder = (it.partition("://")[2].strip("/") for it in (url, root))
    name = path.removeprefix(folder).lstrip("/")
    return name or PurePosixPath(url).name
