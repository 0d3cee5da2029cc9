"""Translations that have not the turns of their original."""

import re
from collections.abc import Iterator

from filters.base import Finding, Rule
from filters.sample import Sample

_LEFT = re.compile(r"⟦[^⟦⟧\n]{0,20}⟧|[⟦⟧]|^[ \t]*\[[QASC]\d{1,4}\]", re.MULTILINE)


class TranslationStructure(Rule):
    """Finds translated conversations with other turns than the original, and marks or numbers that were left in them.

    >>> said = {"messages": [{"role": "user", "content": "何色ですか？"}]}
    >>> original = [{"role": "user", "content": "What colour?"}, {"role": "assistant", "content": "Red."}]
    >>> [finding.evidence for finding in TranslationStructure().find(Sample({**said, "original": original}))]
    ['the roles are user, and were user assistant']
    """

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields a finding for the row, and for each mark that was left."""
        if not sample.original:
            return
        roles, before = ([message.role for message in each] for each in (sample.messages, sample.original))
        if roles != before:
            yield Finding(self.name, None, 0, 0, "", f"the roles are {' '.join(roles)}, and were {' '.join(before)}")
            return
        for original, message in zip(sample.original, sample.messages, strict=True):
            if original.content.strip() and not message.content.strip():
                yield Finding(self.name, message.index, 0, 0, "", "nothing is left of the text")
            for match in _LEFT.finditer(message.content):
                if match.group() not in original.content:
                    evidence = f"a mark of the translation was left: {match.group()}"
                    yield Finding(self.name, message.index, *match.span(), match.group(), evidence)
