"""Prompts: shipped ones are whole, digests follow what is sent, and wrong ones are refused before anything starts."""

import random
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from datagen.stages.readers import reader
from datagen.stages.sample import Sample
from prompts import Prompt, PromptError, load_prompt, prompt_names

GOOD: dict[str, Any] = {
    "name": "mine",
    "version": 1,
    "purpose": "A test.",
    "user": "{{ caption }}について質問を作ってください。",
    "answer": {"reads_as": "turn", "schema": {"type": "object"}},
}
BRIEF = Prompt.model_validate({**GOOD, "name": "brief"})


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    document = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


def sentence_of(name: str | Path) -> str:
    with pytest.raises(PromptError) as caught:
        load_prompt(str(name))
    message = str(caught.value)
    assert len(message.splitlines()) == 1 or "YAML" in message
    return message


SAID = {"dialogue": "[Q1] What is it?", "context": "", "fault": ""}
"""What a template is given for a translation."""


def example_of(schema: dict[str, Any]) -> Any:
    """Return the smallest document that a prompt's schema allows."""
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        return {name: example_of(schema["properties"][name]) for name in schema["required"]}
    if schema["type"] == "array":
        return [example_of(schema["items"])] * schema["minItems"]
    if schema["type"] == "number":
        return schema["minimum"]
    assert schema["type"] == "string"
    return "文"


@pytest.mark.parametrize("name", prompt_names())
def test_what_a_shipped_prompt_asks_for_is_what_is_read(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.name == name
    if prompt.answer.json_schema is None:
        assert prompt.answer.reads_as == "translation"  # whose reader knows what was asked for: test_translation.py
        return
    answer = orjson.dumps(example_of(prompt.answer.json_schema)).decode()
    sample = Sample("1")
    reader(prompt.answer.reads_as).read(answer, prompt, False, sample, random.Random(0))
    assert sample.caption or sample.turns or sample.scores


@pytest.mark.parametrize("name", prompt_names())
def test_shipped_prompts_render_without_leftovers(name: str) -> None:
    prompt = load_prompt(name)
    for turn in (1, 2, 5):
        for focus in prompt.focuses or ("",):
            text = prompt.render(**SAID, turn=turn, focus=focus, caption="説明文", turns=[])
            assert text == text.strip() != ""
            assert "{{" not in text
            assert "<image>" not in text
            assert focus in text


def test_the_digest_follows_what_is_sent_and_nothing_else(tmp_path: Path) -> None:
    digest = load_prompt(str(write(tmp_path))).digest
    assert len(digest) == 16
    assert load_prompt(str(write(tmp_path, purpose="Another.", version=9))).digest == digest
    sent: list[dict[str, Any]] = [
        {"user": "別の質問"}, {"system": "s"}, {"sampling": {"temperature": 0.1}}, {"instructions": ["i"]},
        {"focuses": ["f"]}, {"answer": {"reads_as": "dialogue", "schema": {"type": "object"}}},
    ]  # fmt: skip
    digests = {load_prompt(str(write(tmp_path, **change))).digest for change in sent}
    assert len({*digests, digest}) == len(sent) + 1


def test_a_prompt_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    prompt = load_prompt(str(write(tmp_path)))
    assert prompt.render(caption="桜") == "桜について質問を作ってください。"
    write(tmp_path).rename(tmp_path / "mine.yml")
    assert load_prompt(str(tmp_path / "mine.yml")) == prompt


@pytest.mark.parametrize("name", [name for name in prompt_names() if name != "faithfulness"])
def test_every_prompt_that_makes_answers_forbids_asking_back(name: str) -> None:
    prompt = load_prompt(name)
    forbidden = "質問や呼びかけ" if prompt.answer.reads_as == "caption" else "質問や聞き返し、申し出を含めません"
    assert forbidden in prompt.render(**SAID, turn=1, focus="色", caption="桜。")


def test_text_is_not_escaped_as_html() -> None:
    prompt = Prompt.model_validate(GOOD)
    assert prompt.render(caption="<b>&「桜」").startswith("<b>&「桜」")


@pytest.mark.parametrize(
    "name", ["qestion_answer", "Caption", "nothing", "", "../caption", "a\0b", "x" * 5000, "no/such.yaml"]
)
def test_an_unknown_prompt_names_those_that_ship(name: str) -> None:
    message = sentence_of(name)
    assert "caption, caption_short, colour_and_attribute, " in message
    if name == "qestion_answer":
        assert "did you mean 'question_answer'?" in message


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"usr": "x"}, "there is no field 'usr': did you mean 'user'? (known: answer, "),
        ({"sampling": {"temprature": 1}}, "there is no field 'temprature' in sampling: did you mean 'temperature'?"),
        ({"answer": {"reads_as": "turn", "shema": {}}}, "there is no field 'shema' in answer: did you mean 'schema'?"),
        ({"answer": {"reads_as": "turn", "schema": {}, "strict": 1}}, "there is no field 'strict' in answer"),
        (
            {"answer": {"reads_as": "a turn", "schema": {}}},
            "answer.reads_as is 'a turn', but string should match pattern",
        ),
        ({"sampling": {"temperature": 9}}, "sampling.temperature is 9, but input should be less than or equal to 2"),
        ({"version": "one"}, "version is 'one', but input should be a valid integer"),
        ({"name": "My prompt"}, "name is 'My prompt', but string should match pattern"),
        ({"user": None}, "user is empty, but input should be a valid string"),
        ({"user": ...}, "the field user is missing"),
        ({"user": "{{ captoin }}"}, "user uses captoin; a template may use caption, context, dialogue, fault, focus"),
        ({"user": "{{ focus }}"}, "focuses is empty; list at least one"),
        ({"user": "{% if turn %}"}, "user is not a valid Jinja2 template"),
    ],
)
def test_a_wrong_field_is_one_sentence(tmp_path: Path, changes: dict[str, Any], wanted: str) -> None:
    message = sentence_of(write(tmp_path, **changes))
    assert wanted in message
    assert "mine.yaml" in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ turns.append(1) }}",
        "{{ turns.__init__.__globals__ }}",
        "{% for x in turns %}{{ x.update({'a': 1}) }}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ 1 / 0 }}",
        "{{ turn + 'x' }}",
        "{{ range(100000000) | list }}",
        "{{ turns[0].nothing }}",
        "{{ '%s' | format(caption.__class__) }}",
    ],
)
def test_a_template_that_reaches_out_or_fails_is_refused_when_it_is_loaded(tmp_path: Path, template: str) -> None:
    message = sentence_of(write(tmp_path, user=template))
    assert "Prompt 'mine' could not be rendered" in message


def test_a_template_that_fails_on_later_turns_alone_is_refused_too(tmp_path: Path) -> None:
    assert "ZeroDivisionError" in sentence_of(write(tmp_path, user="{{ 1 / (2 - turn) }}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- a\n",
        b"just text",
        b"a: [",
        b"\xff\xfe\x00",
        b"a: 2024-99-99",
        b"[" * 3000,
        b"!!python/object:os.system x",
    ],
)
def test_a_file_that_is_no_prompt_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    assert "mine.yaml" in sentence_of(tmp_path / "mine.yaml")


def test_rendering_without_a_variable_says_which(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="'caption' is undefined"):
        load_prompt(str(write(tmp_path))).render(turn=1)


def test_an_installed_package_offers_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("brief", "tests.test_prompts:BRIEF", "datagen.prompts")
    monkeypatch.setattr("filters.registry.entry_points", lambda group: [point] if group == "datagen.prompts" else [])
    assert load_prompt("brief") is BRIEF
    assert load_prompt("tests.test_prompts:BRIEF") is BRIEF
    assert "brief" in prompt_names()
    with pytest.raises(PromptError, match=r"prompts\.Prompt"):
        load_prompt("tests.test_prompts:load_prompt")
