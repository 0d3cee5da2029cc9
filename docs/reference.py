"""Writes docs/data.md, docs/recipe.md and docs/prompts.md from the code: `python -m docs.reference`."""

import inspect
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from datagen import engine_settings, failures, recipe, records
from prompts import Prompt, load_prompt, prompt_names
from prompts.prompt import Answer, Sampling

_HERE = Path(__file__).parent
_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    Any: "anything",
}
_DATA = """\
# The data, column by column

*This page is written from `datagen/records.py` by `python -m docs.reference`; a test keeps it so.*

A row is one conversation about 0, 1 or several pictures. Shards hold rows of one state each: `train/` those that were
kept, `dropped/`, `failed/`. `datasets.load_dataset(run)` opens them with these as splits, and decodes the pictures
with no argument, also with `streaming=True`. This is schema {version} (in manifest.json: `schema`); what has changed
since schema 1 stands below.

Where a picture stands in the conversation is structural: all pictures of a row belong to its first user message, and
no text carries a tag such as `<image>`. `datagen export` writes what a trainer wants to see in its place.

## A row

`images` is a list of `{{bytes, path}}`, the Hugging Face `Image` feature: the published bytes of each picture, and
its file name. A picture with more pixels than `images.send_pixels` was shrunk once; all others are the bytes of the
source.

{row}

{parts}

## The classes of failures

{failures}

## Parts and verdicts

Rows wait for the cut in `parts/`, without the bytes of their pictures, which lie in a tar beside each part. There
they have two columns more:

{waiting}

{member}

`verdicts.parquet`, which `datagen filter` and a run judged again write, has `id`, `state`, `findings`, `policy` and
`error`.

## What schema 1 had

| schema 1 | schema 2 |
| --- | --- |
| `image`, one picture | `images`, a list |
| `sha256`, `phash`, `width`, `height` | the same in `pictures`, one entry a picture |
| `findings.turn`, the number of the pair; −1 the caption | `findings.message`: 2 × turn + 1; −1 the caption |
| | `scores`, `policy` |

`datagen report`, `explain`, `filter`, `review` and `export` read runs of schema 1. Going on with one is refused:
finish it with the version that began it, or make it anew.
"""
_RECIPE = """\
# Recipes, prompts and policies, field by field

*This page is written from `datagen/recipe.py`, `datagen/engine_settings.py` and `prompts/prompt.py` by
`python -m docs.reference`; a test keeps it so.*

A recipe is one YAML file. `datagen run recipe.yaml --set stages.1.repeat=4` changes a field, with dots between the
names. Relative paths are looked up from where the command runs, then from the recipe's folder. A field that is not
listed here is refused, with the nearest name.

## The recipe

{recipe}

{sections}

## A prompt file

A shipped prompt is named by its name, one of your own by the path of its `.yaml` file.

{prompt}

{prompt_sections}

## A policy file

| field | type | default | |
| --- | --- | --- | --- |
| `name` | text | the file's name | stands in the manifest |
| `purpose` | text | empty | one or two sentences for the reader |
| `rules` | list | | the rules, and the bounds on scores |

An entry of `rules` is a rule or a bound:

```yaml
rules:
  - rule: question_in_answer      # a rule of docs/rules.md, or your own as package.module:Class
    action: drop                  # or flag: the finding is recorded, and the row is kept
    settings: {{quoted: drop}}      # what the rule's constructor takes
  - {{score: sharpness, at_least: 40}}                       # a check: a row that it drops makes no call
  - {{score: faithfulness, at_least: 0.6, action: flag}}     # a judge
  - {{score: short_side, at_most: 4000, name: huge}}         # two bounds on one score need two names
```
"""


_PROMPTS = """\
# The prompts, with what they send

*This page is written from `prompts/` by `python -m docs.reference`; a test keeps it so.*

出荷時のプロンプトの一覧です。一つの目的に一つのファイルがあり、レシピの`stages`に名前で書きます。
どの質問応答のプロンプトも、答えに質問や聞き返しを含めることを禁じています。`reads_as`は答えの読み方です
（`caption`は説明文、`turn`は一組の質問と答え、`dialogue`は対話全体、`score`は採点）。

Every prompt is one file in `prompts/`, and a stage of a recipe names it. All that make answers forbid asking back. A
prompt of your own is named by the path of its file; [recipe.md](recipe.md#a-prompt-file) has its fields.

| prompt | purpose | reads_as |
| --- | --- | --- |
{rows}

{prompts}
"""
_ASKED: dict[str, Any] = {
    "turn": 1,
    "caption": "公園の池に、二羽の白鳥が浮かんでいます。",
    "turns": [{"question": "鳥は何羽いますか？", "answer": "二羽います。"}],
    "dialogue": "[Q1] How many birds are there?\n[A1] There are ⟦1⟧ birds.",
    "context": "",
    "fault": "",
}


def data_page() -> str:
    """Return docs/data.md."""
    return _DATA.format(
        version=records.SCHEMA_VERSION,
        row=_columns(records.Row, records.ROW_SCHEMA),
        parts="\n\n".join(
            f"### `{column}`\n\n{_doc(model)}\n\n{_columns(model, _struct(records.ROW_SCHEMA.field(column).type))}"
            for column, model in (
                ("pictures", records.PictureRecord),
                ("messages", records.MessageRecord),
                ("scores", records.ScoreRecord),
                ("findings", records.FindingRecord),
                ("repairs", records.RepairRecord),
                ("error", records.ErrorRecord),
                ("calls", records.Call),
            )
        ),
        failures="\n".join(
            ["| class | |", "| --- | --- |"]
            + [f"| `{name}` | {why} |" for name, why in re.findall(r'"(\w+)",  # (.*)', inspect.getsource(failures))]
        ),
        waiting=_columns(records.PartRow, records.PART_SCHEMA, ("position", "members")),
        member=_columns(records.Member, _struct(records.PART_SCHEMA.field("members").type)),
    )


def recipe_page() -> str:
    """Return docs/recipe.md."""
    sections: dict[str, type[BaseModel]] = {
        "source": recipe.SourceSettings,
        "images": recipe.Images,
        "engines.NAME": engine_settings.EngineSettings,
        "engines.NAME.server": engine_settings.ServerSettings,
        "stages.NUMBER": recipe.Stage,
        "mix": recipe.Mix,
        "survey": recipe.SurveySettings,
        "stop_when": recipe.StopWhen,
        "output": recipe.Output,
    }
    return _RECIPE.format(
        recipe=_fields(recipe.Recipe),
        sections=_sections(sections),
        prompt=_fields(Prompt),
        prompt_sections=_sections({"answer": Answer, "sampling": Sampling}),
    )


def prompts_page() -> str:
    """Return docs/prompts.md: every shipped prompt with the request that it makes."""
    prompts = [load_prompt(name) for name in prompt_names()]
    rows = "\n".join(f"| [`{it.name}`](#{it.name}) | {_cell(it.purpose)} | {it.answer.reads_as} |" for it in prompts)
    return _PROMPTS.format(rows=rows, prompts="\n\n".join(map(_prompt, prompts)))


def _prompt(prompt: Prompt) -> str:
    asked = prompt.render(**_ASKED, focus=next(iter(prompt.focuses), ""))
    again = prompt.render(**{**_ASKED, "turn": 2}, focus=next(iter(prompt.focuses[1:]), ""))
    system = f"system: {prompt.system}\n\n" if prompt.system else ""
    more = "" if again == asked else f"\n\nAsked again in the same conversation:\n\n```text\n{again}\n```"
    sampling = ", ".join(f"{name} {value}" for name, value in prompt.sampling.model_dump(exclude_none=True).items())
    return f"## {prompt.name}\n\nVersion {prompt.version}; {sampling}.\n\n```text\n{system}{asked}\n```{more}"


def _sections(models: dict[str, type[BaseModel]]) -> str:
    return "\n\n".join(f"### `{name}`\n\n{_doc(model)}\n\n{_fields(model)}" for name, model in models.items())


def _columns(model: type[BaseModel], schema: pa.Schema | pa.StructType, only: tuple[str, ...] = ()) -> str:
    lines = ["| column | type | |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        column = field.alias or name
        if not only or column in only:
            lines.append(f"| `{column}` | {_arrow(schema.field(column).type)} | {_cell(field.description)} |")
    return "\n".join(lines)


def _fields(model: type[BaseModel]) -> str:
    described = _attributes(model)
    lines = ["| field | type | default | |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        named = field.alias or name
        lines.append(
            f"| `{named}` | {_type(field.annotation)}{_bounds(field)} | {_default(field)} | {_cell(described[named])} |"
        )
    return "\n".join(lines)


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """Return what the section `Attributes` of a docstring says of each."""
    _, _, section = (inspect.getdoc(model) or "").partition("Attributes:\n")
    return dict(re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", section, re.MULTILINE))


def _doc(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n\n")[0]


def _arrow(data_type: pa.DataType) -> str:
    if isinstance(data_type, pa.ListType):
        inner = "struct" if isinstance(data_type.value_type, pa.StructType) else str(data_type.value_type)
        return f"list of {inner}"
    return "struct" if isinstance(data_type, pa.StructType) else str(data_type)


def _struct(data_type: pa.DataType) -> pa.StructType:
    found = data_type.value_type if isinstance(data_type, pa.ListType) else data_type
    assert isinstance(found, pa.StructType)
    return found


def _type(annotation: Any) -> str:
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return " or ".join(map(_type, arguments))
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple:
        return f"list of {_plural(_type(arguments[0]))}"
    if origin is dict:
        return f"mapping of {_plural(_type(arguments[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__.removesuffix("Settings").lower()
    return _NAMES[annotation]


def _plural(name: str) -> str:
    return name if name == "anything" else f"{name}s"


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    shown = [
        f"{sign} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, sign in signs.items()
        if getattr(bound, name, None) is not None
    ]
    return f", {', '.join(shown)}" if shown else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**needed**"
    if isinstance(value, BaseModel):
        return "as below"
    if value in ("", (), {}):
        return "empty"
    shown = (
        {None: "none", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else None
    )
    return shown or f"`{value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", r"\|")


if __name__ == "__main__":
    (_HERE / "data.md").write_text(data_page(), encoding="utf-8")
    (_HERE / "recipe.md").write_text(recipe_page(), encoding="utf-8")
    (_HERE / "prompts.md").write_text(prompts_page(), encoding="utf-8")
