"""Words that a user does not want to see."""

import hashlib
import re
from pathlib import Path

from filters.base import PatternRule


class HarmfulWords(PatternRule):
    r"""Finds the words of a list that the user brings: a UTF-8 file, one word a line, # for comments.

    No list is shipped: what is harmful depends on what the data is for. The digest of a policy covers the words.

    Args:
        path: The file.
        in_quotations: Whether words in quotations count.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", encoding="utf-8") as file:
    ...     _ = file.write("# 例\n悪口\n")
    ...     file.flush()
    ...     rule = HarmfulWords(path=file.name)
    >>> rule.texts("それは悪口です。")
    ['悪口']
    """

    def __init__(self, path: str, in_quotations: bool = True) -> None:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        self.words = sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})
        if not self.words:
            raise ValueError(f"{path} has no words in it")
        self.in_quotations = in_quotations
        self.screen = self.pattern = re.compile("|".join(map(re.escape, sorted(self.words, key=len, reverse=True))))

    def fingerprint(self) -> object:
        """The words, as a hash."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()
