"""Questions that a benchmark asks."""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filters.base import MessageRule, Span
from filters.ngrams import Ngram, ngrams
from filters.sample import Message
from filters.settings import Count, Share

_EVERYDAY = re.compile("画像|写真|図|絵|イラスト|何|誰|写|映|描|書|見|色|説明|詳|教|答|述|名前|様子|場所|人|物")
_CONTENT = re.compile("[一-鿿々〇ァ-ヺー]|[0-9A-Za-z]+")


class _Question(NamedTuple):
    benchmark: str
    key: str
    hashes: tuple[int, ...]


class BenchmarkQuestion(MessageRule):
    """Finds questions that stand in a benchmark, by the files that `datagen fingerprint --questions` has written.

    A question is found if most of a benchmark's question stands in it, and that says something of its own: what is the
    same has to hold kanji, katakana, Latin words or numbers beyond the words in which every picture is asked about
    (写真に写っている, 何色, 詳しく説明). 何が写っていますか stands in every benchmark, and in other sets too.

    Args:
        benchmarks: The files.
        share: Of the n-grams of a benchmark's question, those that have to stand in the question.
        specific: Kanji, katakana, Latin words and numbers of its own that what is the same has to hold.

    >>> from tempfile import TemporaryDirectory
    >>> import pyarrow, pyarrow.parquet
    >>> def hashes(text):
    ...     return sorted({gram.hash for gram in ngrams(text)})
    >>> asked = ["交通誘導員はどんな指示を出していますか？", "写真には何が写っていますか？"]
    >>> rows = {"benchmark": ["heron"], "key": ["19.jpg"], "questions": [[hashes(text) for text in asked]]}
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/heron.fingerprints"
    ...     pyarrow.parquet.write_table(pyarrow.table(rows), path)
    ...     rule = BenchmarkQuestion([path])
    >>> rule.texts("写真の交通誘導員は、どんな指示を出していますか。"), rule.texts("写真には何が写っていますか？")
    (['交通誘導員は、どんな指示を出していますか'], [])
    """

    role = "user"

    def __init__(self, benchmarks: list[str], share: Share = 0.6, specific: Count = 4) -> None:
        if not benchmarks:
            raise ValueError("benchmarks names no file; name one that datagen fingerprint --questions has written")
        self.share = share
        self.specific = specific
        first: dict[tuple[int, ...], _Question] = {}  # a common question is asked of many pictures, and compared once
        for path in benchmarks:
            for question in _questions_of(path):
                first.setdefault(question.hashes, question)
        self._questions = [*first.values()]
        self._asking: dict[int, list[int]] = defaultdict(list)
        for number, question in enumerate(self._questions):
            for each in question.hashes:
                self._asking[each].append(number)

    def fingerprint(self) -> object:
        """The questions, as a hash."""
        return hashlib.sha256(repr([tuple(question) for question in self._questions]).encode()).hexdigest()

    def spans(self, message: Message) -> Iterator[Span]:
        """Yields the stretch that is most of a benchmark's question, of the one that has the greatest share in it."""
        found = ngrams(message.content)
        shared = Counter(number for each in {gram.hash for gram in found} for number in self._asking.get(each, ()))
        shares = {number: count / len(self._questions[number].hashes) for number, count in shared.items()}
        for number in sorted(shares, key=lambda number: (-shares[number], number)):
            if shares[number] < self.share:
                return
            benchmark, key, hashes = self._questions[number]
            same = [gram for gram in found if gram.hash in hashes]
            if _own_letters(message.content, same) >= self.specific:
                yield Span(same[0].start, same[-1].end, f"{shares[number]:.0%} of a question of {benchmark}: {key}")
                return


def _own_letters(text: str, same: list[Ngram]) -> int:
    """Return how many letters of what is the same are beyond the words in which every picture is asked about."""
    places = {place for gram in same for place in range(gram.start, gram.end)}
    said = "".join(letter if place in places else " " for place, letter in enumerate(text))
    return len(_CONTENT.findall(_EVERYDAY.sub(" ", unicodedata.normalize("NFKC", said))))


def _questions_of(path: str) -> Iterator[_Question]:
    """Yields the questions of a file of fingerprints.

    Raises:
        ValueError: It is none, or has no questions.
    """
    import pyarrow as pa  # no other rule needs it
    import pyarrow.parquet as pq

    remedy = "datagen fingerprint --questions COLUMN writes one"
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}; {remedy}")
    columns = {"benchmark": pa.string(), "key": pa.string(), "questions": pa.list_(pa.list_(pa.int64()))}
    try:
        with Path(path).open("rb") as file:
            rows = pq.ParquetFile(file).read(columns=[*columns]).cast(pa.schema(columns)).to_pylist()
    except (ValueError, OSError, pa.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} holds no fingerprints of questions ({told}); {remedy}") from error
    if not any(row["questions"] for row in rows):
        raise ValueError(f"{path} has pictures and no questions; {remedy}")
    for row in rows:
        yield from (
            _Question(row["benchmark"], row["key"], tuple(hashes)) for hashes in row["questions"] or () if hashes
        )
