"""What a file is by its first bytes, in words that give away none of them."""

_SIGNATURES = (
    (b"%PDF-", "a PDF file"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n", "a JPEG XL picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"\0\0\x01\0", "a Windows icon"),
    (b"IIRO", "a camera raw file"),
    (b"IIU\0", "a camera raw file"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
    (b"\x7fELF", "a program"),
)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "an HEIC picture"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
    b"crx ": "a camera raw file",
}
_LOOKED_AT = 1024


def described(data: bytes) -> str:
    """Say what kind of file this is; never with words of its own, which may be secret.

    >>> described(b"%PDF-1.7 ..."), described(b"root:x:0:0:root"), described(bytes(9))
    ('a PDF file', 'text', 'of an unknown format')
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "an MP4 or QuickTime film")
    if data[:4] == b"RIFF":
        return "a RIFF file (sound or film)"
    text = _text(data[:_LOOKED_AT])
    if text is None:
        return "of an unknown format"
    beginning = text.lstrip("\ufeff \t\r\n").lower()
    if "<svg" in beginning and beginning.startswith("<"):
        return "an SVG drawing"
    if beginning.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page"
    if beginning.startswith("<?xml"):
        return "an XML file"
    return "text"


def _text(data: bytes) -> str | None:
    """Return the beginning of a file as text, if it is some; the last character may be cut."""
    for end in range(len(data), max(len(data) - 4, 0), -1):
        try:
            text = data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return text if all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text) else None
    return None
