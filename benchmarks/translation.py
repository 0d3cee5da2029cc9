"""What happens to the faults of a translator, and how often the checks object to translations that are right.

    python -m benchmarks.translation [--catalogues /usr/share/locale/ja/LC_MESSAGES]

A translator with the phrase book of examples/recipes makes one fault in every answer that it can make it in, whole
dialogues and single texts alike; a dialogue ends as it should be, as dropped, as failed, or as kept and wrong. False
alarms are counted on the phrase book itself, and on what people have translated who never saw these rules: the messages
of the programs of this machine.
"""

import argparse
import asyncio
import gettext
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from datagen.failures import Failure
from datagen.recipe import Recipe
from datagen.records import MessageRecord
from datagen.stages.runner import StageRunner
from datagen.stages.sample import Sample
from examples.recipes.stand_in import Writer, translation
from filters import Policy, load_policy

ROOT = Path(__file__).parents[1]
RULES = (
    *("translation_structure", "translation_digits", "translation_options", "translation_questions"),
    *("untranslated", "mixed_register", "translation_length", "translator_note"),
)
Lines = list[tuple[str, str]]
Fault = Callable[[Lines, random.Random], Lines | None]
"""Takes the heads and texts of a right answer, and returns those of a wrong one; nothing where it cannot be made."""
_MARK = re.compile(r"⟦\d+⟧")


def _change(lines: Lines, draw: random.Random, change: Callable[[str], str], of: str = "QA") -> Lines | None:
    """Change the text of one line in which it makes a difference."""
    fit = [number for number, (head, text) in enumerate(lines) if head[0] in of and change(text) != text]
    if not fit:
        return None
    chosen = draw.choice(fit)
    return [(head, change(text) if number == chosen else text) for number, (head, text) in enumerate(lines)]


def _merged(lines: Lines, draw: random.Random) -> Lines | None:
    if len(lines) < 2:
        return None
    at = draw.randrange(len(lines) - 1)
    return [*lines[:at], (lines[at][0], lines[at][1] + lines[at + 1][1]), *lines[at + 2 :]]


def _moved_mark(lines: Lines, draw: random.Random) -> Lines | None:
    fit = [number for number, (_, text) in enumerate(lines) if _MARK.search(text)]
    if not fit or len(lines) < 2:
        return None
    at = draw.choice(fit)
    to = (at + 1) % len(lines)
    mark = _MARK.findall(lines[at][1])[0]
    changed = list(lines)
    changed[at] = (lines[at][0], lines[at][1].replace(mark, ""))
    changed[to] = (lines[to][0], lines[to][1] + mark)
    return changed


STRUCTURE: dict[str, Fault] = {
    "two texts in one": _merged,
    "a text is lost": lambda lines, draw: lines[:-1] if len(lines) > 1 else None,
    "the first text is lost": lambda lines, draw: lines[1:] if len(lines) > 1 else None,
    "a text is added": lambda lines, draw: [*lines, ("A9", "ほかにも見どころがあります。")],
    "a text twice": lambda lines, draw: [*lines, lines[0]],
    "texts change places": lambda lines, draw: [lines[1], lines[0], *lines[2:]] if len(lines) > 1 else None,
    "heads are translated": lambda lines, draw: [("質問" + head[1:], text) for head, text in lines],
    "a mark is lost": lambda lines, draw: _change(lines, draw, lambda text: _MARK.sub("", text, count=1)),
    "a mark twice": lambda lines, draw: _change(lines, draw, lambda text: _MARK.sub(r"\g<0>\g<0>", text, count=1)),
    "a mark is invented": lambda lines, draw: _change(lines, draw, lambda text: text + "⟦99⟧"),
    "a mark is another one": lambda lines, draw: _change(lines, draw, lambda text: _MARK.sub("⟦77⟧", text, count=1)),
    "a mark is broken": lambda lines, draw: _change(lines, draw, lambda text: text.replace("⟧", "", 1)),
    "a mark changes text": _moved_mark,
    "a text is empty": lambda lines, draw: _change(lines, draw, lambda text: ""),
}
CONTENT: dict[str, Fault] = {
    "a preface in a text": lambda lines, draw: _change(lines, draw, lambda text: "以下が日本語訳です。" + text),
    "a note": lambda lines, draw: _change(lines, draw, lambda text: text + "（訳注：原文のまま）"),
    "a speaker's name": lambda lines, draw: _change(lines, draw, lambda text: "アシスタント：" + text, "A"),
    "English is left": lambda lines, draw: _change(
        lines, draw, lambda text: text.rstrip("。") + " in front of the old building。", "A"
    ),
    "an answer asks": lambda lines, draw: _change(
        lines, draw, lambda text: text + "ほかに知りたいことはありますか？", "A"
    ),
    "an answer becomes a question": lambda lines, draw: _change(
        lines, draw, lambda text: re.sub(r"(です|ます)。\Z", r"\1か？", text), "A"
    ),
    "a question becomes a statement": lambda lines, draw: _change(
        lines, draw, lambda text: re.sub(r"(です|ます|ました)か？\Z", r"\1。", text), "Q"
    ),
    "a number is added": lambda lines, draw: _change(
        lines, draw, lambda text: text.replace("。", "が47個あります。", 1), "A"
    ),
    "plain among polite": lambda lines, draw: _change(
        lines, draw, lambda text: re.sub(r"です。\Z", "である。", re.sub(r"ています。\Z", "ている。", text)), "A"
    ),
    "it loops": lambda lines, draw: _change(lines, draw, lambda text: text * 8, "A"),
    "Chinese": lambda lines, draw: _change(lines, draw, lambda text: "这是一张照片，里面有很多东西。", "A"),
}
UNSEEN: dict[str, Fault] = {
    "a sentence is invented": lambda lines, draw: _change(
        lines, draw, lambda text: text + "とても人気があります。", "A"
    ),
    "a word is another one": lambda lines, draw: _change(
        lines, draw, lambda text: re.sub("赤|青|白|黒|左|上", "右", text, count=1), "A"
    ),
}
"""What no check without a model can see."""


class FaultyTranslator(Writer):
    """The stand-in, with one fault in every answer; `faulty` counts the answers that have it."""

    def __init__(self, fault: Fault | None = None, most: int = 1000) -> None:
        super().__init__("faulty")
        self._fault = fault
        self._most = most
        self.faulty = 0
        self.requests: list[str] = []

    def answer(self, content: Any) -> str:
        """Answer with the fault, where it can be made."""
        self.requests.append(content)
        right = translation(content)
        lines = [(head, text) for head, text in re.findall(r"^\[(\w+)\] (.*(?:\n(?!\[).*)*)", right, re.MULTILINE)]
        draw = random.Random(len(self.requests))
        wrong = self._fault(lines, draw) if self._fault and self.faulty < self._most else None
        self.faulty += wrong is not None
        return right if wrong is None else "\n".join(f"[{head}] {text}" for head, text in wrong)


@cache
def dialogues() -> dict[str, list[MessageRecord]]:
    """Return the English dialogues of the examples by their ids."""
    rows = json.loads((ROOT / "examples/recipes/english_dialogues.json").read_text(encoding="utf-8"))
    roles = {"human": "user", "gpt": "assistant"}
    return {
        row["id"]: [
            MessageRecord.model_validate(
                {"role": roles[said["from"]], "content": said["value"].removeprefix("<image>\n")}
            )
            for said in row["conversations"]
        ]
        for row in rows
    }


@cache
def recipe(attempts: int = 3) -> Recipe:
    """Return a recipe that translates."""
    return Recipe.model_validate(
        {
            "source": {"path": ".", "kind": "conversations"},
            "engines": {"translator": {"model": "faulty", "stand_in": f"{__name__}:FaultyTranslator", "vision": False}},
            "stages": [{"prompt": "translation", "engine": "translator", "attempts": attempts}],
            "policy": "translated",
        }
    )


def translate(sample: Sample, engine: FaultyTranslator, attempts: int = 3) -> None:
    """Translate a sample.

    Raises:
        Failure: it could not be translated.
    """
    asyncio.run(StageRunner(recipe(attempts), {"translator": engine}).run(sample))


def outcome(messages: Sequence[MessageRecord], right: Sequence[MessageRecord], fault: Fault, policy: Policy) -> str:
    """Return how a dialogue ends whose translator makes a fault; empty where it cannot make it."""
    sample, engine = Sample("1", messages=list(messages)), FaultyTranslator(fault)
    try:
        translate(sample, engine)
    except Failure as failure:
        return f"failed ({failure.failure_class})"
    if not engine.faulty:
        return ""
    verdict = policy.judge([sample.judged()])[0]
    if not verdict.kept:
        return "dropped"
    return "right" if sample.messages == list(right) else "kept and wrong"


@cache
def right_translations() -> dict[str, list[MessageRecord]]:
    """Return the dialogues as they should be."""
    translated = {}
    for name, messages in dialogues().items():
        sample = Sample(name, messages=list(messages))
        translate(sample, FaultyTranslator())
        translated[name] = sample.messages
    return translated


def outcomes(faults: Mapping[str, Fault], policy: Policy) -> dict[str, Counter[str]]:
    """Return how the dialogues end, by fault."""
    english, right = dialogues(), right_translations()
    counted: dict[str, Counter[str]] = {}
    for name, fault in faults.items():
        found = [outcome(messages, right[key], fault, policy) for key, messages in english.items()]
        counted[name] = Counter(filter(None, found))
    return counted


def catalogue_pairs(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield English sentences of programs' messages with their translations, each sentence once."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.mo")):
        try:
            with path.open("rb") as file:
                messages: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, ValueError, LookupError):
            continue
        for english, japanese in messages.items():
            if isinstance(english, str) and english not in seen and _is_sentence(english, japanese):
                seen.add(english)
                yield english.strip(), japanese.strip()


def _is_sentence(english: str, japanese: object) -> bool:
    """Whether a message is a sentence or more, of words alone, and its translation has kana."""
    return (
        isinstance(japanese, str)
        and 30 <= len(english) <= 300
        and len(english.split()) >= 5
        and re.fullmatch(r"[A-Z][^\n%{}<>=$|\\\[\]@*#_/'`\"]+[.?!]\s*", english) is not None
        and not re.search(r"--| -", english)
        and re.search("[ぁ-ん]", japanese) is not None
    )


def false_alarms(pairs: Sequence[tuple[str, str]]) -> Counter[str]:
    """Return how many of the pairs each rule of translations objects to; `any` counts the pairs."""
    policy = load_policy({"name": "translations", "rules": [{"rule": name} for name in RULES]})
    samples = [
        {
            "messages": [{"role": "assistant", "content": japanese}],
            "original": [{"role": "assistant", "content": english}],
        }
        for english, japanese in pairs
    ]
    counted: Counter[str] = Counter()
    for verdict in policy.judge(samples):
        rules = {finding.rule for finding in verdict.findings}
        counted.update(rules | ({"any"} if rules else set()))
    return counted


def _print_table(title: str, counted: Mapping[str, Counter[str]]) -> None:
    print(f"\n| {title} | dialogues | right in the end | dropped | failed | kept and wrong |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, found in counted.items():
        failed = sum(count for how, count in found.items() if how.startswith("failed"))
        cells = (found.total(), found["right"], found["dropped"], failed, found["kept and wrong"])
        print(f"| {name} | {' | '.join(map(str, cells))} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogues", type=Path, default=Path("/usr/share/locale/ja/LC_MESSAGES"))
    arguments = parser.parse_args()
    policy = load_policy("translated")
    _print_table("fault of structure", outcomes(STRUCTURE, policy))
    _print_table("fault of content", outcomes(CONTENT, policy))
    _print_table("fault that only a model could see", outcomes(UNSEEN, policy))
    english, right = dialogues(), right_translations()
    own = [
        (before.content, after.content)
        for name, messages in english.items()
        for before, after in zip(messages, right[name], strict=True)
    ]
    print()
    for name, pairs in (("phrase book", own), ("messages of programs", list(catalogue_pairs(arguments.catalogues)))):
        alarms = false_alarms(pairs)
        told = ", ".join(f"{rule} {count}" for rule, count in alarms.most_common() if rule != "any") or "none"
        print(f"{name}: {alarms['any']} false alarms in {len(pairs):,} pairs ({told})")


if __name__ == "__main__":
    main()
