"""What rows have in common: how many texts begin with the same words, and how many are said again and again.

A prompt that makes four of five captions begin with この画像は teaches a model to begin so, and no rule that reads one
row can see it.
"""

from dataclasses import dataclass

from datagen.inspection.stored_rows import StoredRows

OPENING = 5
"""Characters that count as the opening of a text."""
_MOST = 5

_TEXTS = """
CREATE OR REPLACE TEMP VIEW said AS
    SELECT 'caption' AS part, caption AS text FROM stored WHERE state <> 'failed' AND length(caption) > 0
    UNION ALL
    SELECT 'answer', unnest([message.content FOR message IN coalesce(messages, []) IF message.role = 'assistant'])
    FROM stored WHERE state <> 'failed'
    UNION ALL
    SELECT 'question', unnest([message.content FOR message IN coalesce(messages, []) IF message.role = 'user'])
    FROM stored WHERE state <> 'failed'
"""
_OPENINGS = """
SELECT part, opening, texts, texts / sum(texts) OVER (PARTITION BY part)
FROM (SELECT part, left(ltrim(text), $length) AS opening, count(*) AS texts FROM said GROUP BY ALL)
QUALIFY row_number() OVER (PARTITION BY part ORDER BY texts DESC, opening) <= $most AND texts > 1
ORDER BY part DESC, texts DESC, opening
"""
# Alike but for digits, spaces and marks; short answers (赤, 3) have to come again, and are left out.
_REPEATED = r"""
SELECT part, sum(texts)::BIGINT, coalesce(sum(texts) FILTER (WHERE texts > 1), 0)::BIGINT,
    max_by(example, texts), max(texts)
FROM (
    SELECT part, hash(regexp_replace(text, '[\d\s\pP\pS]+', '', 'g')) AS key, count(*) AS texts, min(text) AS example
    FROM said WHERE length(text) >= $length GROUP BY ALL
)
GROUP BY part ORDER BY part DESC
"""
_LONG = 12


@dataclass(frozen=True)
class Opening:
    """Texts that begin alike.

    Attributes:
        part: caption, question or answer.
        text: the first characters.
        texts: how many captions, questions or answers begin so; `share` is that of all of them.
    """

    part: str
    text: str
    texts: int
    share: float


@dataclass(frozen=True)
class Repeated:
    """Texts that are said more than once, alike but for digits, spaces and marks.

    Attributes:
        part: caption, question or answer.
        texts: of at least a dozen characters.
        repeated: those among them that stand more than once.
        example: the one that stands most often, `most` times.
    """

    part: str
    texts: int
    repeated: int
    example: str
    most: int

    @property
    def share(self) -> float:
        """Of the texts that stand more than once."""
        return self.repeated / self.texts if self.texts else 0.0


def openings(stored: StoredRows) -> tuple[Opening, ...]:
    """Return how captions, questions and answers begin most often."""
    stored.ask(_TEXTS)
    return tuple(Opening(*found) for found in stored.ask(_OPENINGS, length=OPENING, most=_MOST))


def repeated(stored: StoredRows) -> tuple[Repeated, ...]:
    """Return how many captions, questions and answers are said more than once."""
    stored.ask(_TEXTS)
    return tuple(Repeated(*found) for found in stored.ask(_REPEATED, length=_LONG))
