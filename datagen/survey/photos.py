"""The ids of photos, by which a picture is known before a byte of it is read."""

import re

_FLICKR = re.compile(r"(?<![0-9a-z])(\d{8,11})_[0-9a-f]{10}(?:_[a-z0-9]{1,2})?(?![0-9a-z])", re.IGNORECASE)
_BARE = re.compile(r"(?:\A|/)(\d{9,11})\.\w{3,4}\Z")


def photo_id(name: str) -> str:
    """Return the id of a photo in a file's name or URL, as Flickr gives them; empty if there is none.

    >>> photo_id("https://live.staticflickr.com/65535/52345678901_0123456789_b.jpg")
    '52345678901'
    >>> photo_id("landmark/52345678901.jpg")
    '52345678901'
    >>> photo_id("IMG_20190407.jpg")
    ''
    """
    found = _FLICKR.search(name) or _BARE.search(name)
    return found[1] if found else ""
