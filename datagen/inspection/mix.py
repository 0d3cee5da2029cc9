"""What kinds of rows, questions and answers a run has: the mix that a model is trained on.

A run that says はい to nine of ten questions, or counts to three and no further, teaches just that; no rule that reads
one row can see it. Kept rows alone are counted, since they are what is trained on.
"""

from dataclasses import dataclass

from datagen.inspection.stored_rows import StoredRows

_PURPOSES = """
SELECT task, count(*) FILTER (WHERE state = 'kept') AS kept, count(*) FILTER (WHERE state <> 'failed'),
    coalesce(kept / nullif(sum(kept) OVER (), 0), 0)
FROM rows WHERE task IS NOT NULL GROUP BY task ORDER BY kept DESC, task
"""
_COUNTERS = "つ|人|名|個|本|匹|台|枚|羽|頭|冊|軒|件|機|隻|艘|棟|株|輪|両|杯|皿|種類|色|階|段|脚|着|足|文字|箇所|か所"
_ASKS_NUMBER = f"何(?:{_COUNTERS})|いくつ|幾つ|数はいくら|数を(?:数|教|答)"
# In order: the first that fits names the kind.
_KINDS = {
    "number": _ASKS_NUMBER,
    "why": "なぜ|何故|どうして|理由",
    "where": "どこ|何処|どの辺|どのあたり|場所|位置",
    "who": "誰|だれ|どなた|何者",
    "when": "いつ|何時|何月|何年|何曜|季節|時間帯",
    "which": "どれ|どちら|どっち|どの",
    "how": "どのよう|どんな|どう|いかが|様子",
    "what": "何|なに|なん",
    "text": "文字|書かれ|書いて|読め|読み取",
    "request": "(?:ください|下さい|なさい|せよ|しろ|てほしい)[。．]?$",
    "yes_or_no": "か[？?。]?$|[？?]$",
}
_TURNS_SAID = """
CREATE OR REPLACE TEMP VIEW turns_said AS
SELECT row, turn.question AS question, turn.answer AS answer FROM (
    SELECT row, unnest([{'question': messages[number].content, 'answer': messages[number + 1].content}
        FOR number IN range(1, len(messages))
        IF messages[number].role = 'user' AND messages[number + 1].role = 'assistant']) AS turn
    FROM stored WHERE state = 'kept'
)
"""
_QUESTIONS = """
SELECT kind, count(*) AS texts, count(*) / sum(count(*)) OVER ()
FROM (SELECT CASE {cases} ELSE 'other' END AS kind FROM turns_said) GROUP BY kind ORDER BY texts DESC, kind
"""
_YES = r"""
SELECT count(*) FILTER (WHERE regexp_matches(answer, '^\s*(はい|ええ|そうです)')) AS yes,
    count(*) FILTER (WHERE regexp_matches(answer, '^\s*(いいえ|いえ|違います)')) AS no FROM turns_said
"""
_NUMBERS = r"""
WITH said AS (
    SELECT regexp_extract(translate(answer, '０１２３４５６７８９一二三四五六七八九', '0123456789123456789'),
        $number, 1) AS number
    FROM turns_said WHERE regexp_matches(question, $asked)
)
SELECT if(number = '十', '10', number), count(*) AS texts FROM said WHERE number <> ''
GROUP BY 1 ORDER BY texts DESC, 1 LIMIT 12
"""


@dataclass(frozen=True)
class PurposeRows:
    """The rows of one purpose, or task.

    Attributes:
        task: the purpose.
        kept: rows that were kept; `share` is that of all kept rows.
        judged: rows that were kept or dropped.
    """

    task: str
    kept: int
    judged: int
    share: float


@dataclass(frozen=True)
class QuestionKind:
    """Questions of one kind (what, where, how many, …), and their share of all questions in kept rows."""

    name: str
    texts: int
    share: float


@dataclass(frozen=True)
class Mix:
    """What kept rows are about.

    Attributes:
        purposes: the rows by purpose.
        questions: the questions by kind, most first.
        yes: answers that begin with はい or the like; `no` with いいえ.
        numbers: how often questions for a number were answered with which; most first.
    """

    purposes: tuple[PurposeRows, ...]
    questions: tuple[QuestionKind, ...]
    yes: int
    no: int
    numbers: tuple[tuple[str, int], ...]

    @property
    def yes_share(self) -> float | None:
        """Of the answers that say yes or no; none where there is none."""
        return self.yes / (self.yes + self.no) if self.yes + self.no else None


def mix(stored: StoredRows) -> Mix:
    """Return the mix of the rows; `stored` is `summed`."""
    if not stored.files:
        return Mix((), (), 0, 0, ())
    stored.ask(_TURNS_SAID)
    cases = " ".join(
        f"WHEN regexp_matches(trim(question), '{pattern}') THEN '{kind}'" for kind, pattern in _KINDS.items()
    )
    ((yes, no),) = stored.ask(_YES)
    found = stored.ask(_NUMBERS, number=rf"([0-9]+|十)\s*(?:{_COUNTERS})", asked=_ASKS_NUMBER)
    return Mix(
        purposes=tuple(PurposeRows(*found) for found in stored.ask(_PURPOSES)),
        questions=tuple(QuestionKind(*found) for found in stored.ask(_QUESTIONS.format(cases=cases))),
        yes=yes,
        no=no,
        numbers=tuple((number, texts) for number, texts in found),
    )
