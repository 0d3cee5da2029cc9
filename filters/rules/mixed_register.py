"""Dialogues whose answers are now polite and now plain."""

import re
from collections.abc import Iterator

from filters.base import Finding, Rule
from filters.questions.morphology import tag
from filters.questions.sentences import split_sentences
from filters.sample import Message, Sample

_POLITE = re.compile(
    r"(?:です|ます|でした|ました|ません(?:でした)?|でしょう|ましょう|ください|下さい|ございます)(?:か|ね|よ|よね|が|けど|けれど)?$"
)
_PLAIN = re.compile(r"(?:である|であった|だった|ではない|ではなかった|であろう|だろう|(?<![んまだ])だ)$")
_ITEM = re.compile(r"[ \t]*(?:[-・•*●◦]|\(?\d+[.)、])")


class MixedRegister(Rule):
    """Finds answers in だ・である among answers in です・ます, and the other way round: the fewer of a dialogue.

    Sentences that end in a noun (赤い車。) are neither, nor are items of lists and what is quoted.

    >>> def found(*answers):
    ...     sample = Sample({"messages": [{"role": "assistant", "content": answer} for answer in answers]})
    ...     return [finding.text for finding in MixedRegister().find(sample)]
    >>> found("赤い車です。", "二人が歩いています。", "空は青い色である。")
    ['空は青い色である。']
    >>> found("赤い車です。", "二人。", "「止まれ」と書かれています。")
    []
    """

    def find(self, sample: Sample) -> Iterator[Finding]:
        """Yields the sentences of the register that fewer of them have."""
        sentences = [
            (message, sentence.start, sentence.end, register)
            for message in sample.answers
            for sentence in split_sentences(message.key.text)
            if not sentence.quoted and not sentence.aside
            if (register := _register(message, sentence.start, sentence.body, sentence.marks))
        ]
        polite = [sentence for sentence in sentences if sentence[3] == "polite"]
        plain = [sentence for sentence in sentences if sentence[3] == "plain"]
        if not polite or not plain:
            return
        for message, start, end, register in min(plain, polite, key=len):
            start, end = message.key.original(start, end)
            text = message.content[start:end].rstrip()
            evidence = f"{register}, and the other sentences are not"
            yield Finding(self.name, message.index, start, start + len(text), text, evidence)


def _register(message: Message, start: int, body: str, marks: str) -> str:
    """The register of a sentence: polite, plain, or neither."""
    if _POLITE.search(body):
        return "polite"
    if _PLAIN.search(body):
        return "plain"
    line = message.key.text.rfind("\n", 0, start) + 1
    if not marks.startswith(("。", ".")) or _ITEM.match(message.key.text, line):
        return ""
    morphemes = [morpheme for morpheme in tag(body) if morpheme.pos not in ("補助記号", "空白")]
    last = morphemes[-1] if morphemes else None
    ends = last is not None and last.pos in ("動詞", "形容詞", "助動詞") and last.form.startswith("終止形")
    return "plain" if ends else ""
