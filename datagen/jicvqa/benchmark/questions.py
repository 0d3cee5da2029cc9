"""A question: its options in order, its answer, and its text exactly as JIC-VQA publishes it."""

import ast
import re
from dataclasses import dataclass, replace

from datagen.jicvqa.classes.lists import CHOICES

_TEXT = "この画像にはどの{word}が映っていますか？次の四つの選択肢から正しいものを選んでください: {choices!r}"
_SHAPE = re.compile(r"^\s*この画像にはどの(?P<word>.+?)が映っていますか？.*?:\s*(?P<choices>\[.*\])\s*$", re.DOTALL)


class UnreadableQuestionError(ValueError):
    """A question text that is not of the published form."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: of the image, as text.
        subset: the class list it belongs to.
        word: what it asks for.
        choices: the options in order.
        category: the answer.
        url: of the image; `license` and `license_url` likewise. Empty when not known.
        phash: the perceptual hash of the picture, 16 hex digits, or empty.
        ambiguous: wrong options that a model who saw the picture takes for true as well.
    """

    id: str
    subset: str
    word: str
    choices: tuple[str, ...]
    category: str
    url: str = ""
    license: str = ""
    license_url: str = ""
    phash: str = ""
    ambiguous: tuple[str, ...] = ()

    @property
    def answer_index(self) -> int:
        """The position of the answer among the choices, from 0."""
        return self.choices.index(self.category)

    @property
    def text(self) -> str:
        """The question as it is published."""
        return question_text(self.word, self.choices)

    def rotated(self, steps: int) -> "Question":
        """Return the question with its options moved so many positions to the left."""
        steps %= len(self.choices)
        return replace(self, choices=self.choices[steps:] + self.choices[:steps])


def question_text(word: str, choices: tuple[str, ...]) -> str:
    """Return the published sentence; the choices stand in it as a Python list.

    >>> question_text("施設", ("駅", "橋", "公園", "学校"))
    "この画像にはどの施設が映っていますか？次の四つの選択肢から正しいものを選んでください: ['駅', '橋', '公園', '学校']"
    """
    return _TEXT.format(word=word, choices=list(choices))


def read_question(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the word and the choices of a published question.

    Raises:
        UnreadableQuestionError: the text is not of the published form.

    >>> read_question(question_text("花", ("桜", "梅", "バラ", "ユリ")))
    ('花', ('桜', '梅', 'バラ', 'ユリ'))
    """
    shape = _SHAPE.match(text)
    if shape is None:
        raise UnreadableQuestionError("the question is not of the form この画像にはどの…が映っていますか？…: ['…', …]")
    try:
        choices = ast.literal_eval(shape["choices"])
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UnreadableQuestionError(f"the choices are no Python list: {shape['choices'][:60]}") from error
    if (
        not all(isinstance(choice, str) for choice in choices)
        or len(set(choices)) != CHOICES
        or len(choices) != CHOICES
    ):
        raise UnreadableQuestionError(f"there must be {CHOICES} different choices, not {choices!r}")
    return shape["word"], tuple(choices)
