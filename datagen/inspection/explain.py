"""How one image came to its end: the prompts as sent, the answers, the verdicts, and where the row is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from datagen.errors import DatagenError
from datagen.inspection.stored_rows import StoredRows, rule_name
from prompts import PromptError, load_prompt

_FIND = "SELECT row, id FROM stored WHERE starts_with(id, $name) OR key = $name ORDER BY row LIMIT 10"
_MARK = "black on yellow"


def find_row(run: Path, name: str) -> dict[str, Any]:
    """Return the row with this id (or its beginning) or key.

    With it come its `shard`, its `number` there, the `manifest`, and the `recipe` with the paths of this machine, if
    there is one.

    Raises:
        DatagenError: there is no such row, or several.
    """
    with StoredRows(run) as stored:
        found = list(stored.take(row for row, _ in stored.ask(_FIND, name=name))) if stored.files else []
        exact = [row for row in found if name in (row["id"], row["key"])] or found
        if not exact:
            raise DatagenError(f"{run} has no row with the id or key '{name}'; datagen report {run} --html shows some.")
        if len(exact) > 1:
            ids = ", ".join(row["id"] for row in exact)
            raise DatagenError(f"'{name}' fits several rows: {ids}; give more of the id.")
        shard, number = stored.place(exact[0]["row"])
        return exact[0] | {
            "shard": str(shard),
            "number": number,
            "manifest": stored.manifest,
            "recipe": _recipe(run),
        }


def _recipe(run: Path) -> dict[str, Any]:
    """Return the recipe with the paths of this machine; nothing if the file is gone or is none."""
    try:
        recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    whole = (
        isinstance(recipe, dict) and isinstance(recipe.get("source"), dict) and isinstance(recipe.get("stages"), list)
    )
    return recipe if whole else {}


def print_row(row: dict[str, Any], console: Console) -> None:
    """Print everything that is known of a row."""
    for line in story(row):
        console.print(line, soft_wrap=True)


def story(row: dict[str, Any]) -> Iterator[Text]:
    """Yield the story of a row, line by line."""
    yield Text.assemble((row["state"], "bold"), "  ", row["key"], "  ", (row["id"], "dim"))
    yield from _picture(row)
    yield Text(f"shard    {row['shard']}, row {row['number']}")
    yield from _conversation(row)
    yield from _verdict(row)
    told: set[str] = set()
    for number, call in enumerate(row["calls"] or [], start=1):
        yield from _call(row, number, call, first=call["engine"] not in told)
        told.add(call["engine"])


def _picture(row: dict[str, Any]) -> Iterator[Text]:
    size = f"{row['width']}×{row['height']}" if row.get("width") else "no picture in the shard"
    yield Text(f"picture  {size}, sha256 {row['sha256'] or '(none)'}, phash {row['phash'] or '(none)'}")
    path = Path(row["recipe"].get("source", {}).get("path", "")) / row["key"]
    yield Text(f"path     {path if path.is_file() else row['key']}")
    if row["url"]:
        yield Text(f"url      {row['url']}")
    if row["license"]:
        yield Text(f"license  {row['license']}")


def _conversation(row: dict[str, Any]) -> Iterator[Text]:
    texts = [(-1, "caption", row["caption"])] if row["caption"] else []
    texts += [
        (turn, "問" if message["role"] == "user" else "答", message["content"])
        for turn, message in enumerate(row["messages"])
    ]
    if texts:
        yield Text()
    for turn, mark, content in texts:
        text = Text(content)
        for finding in row["findings"] or []:
            if finding["turn"] == turn:
                text.stylize(_MARK, finding["start"], finding["end"])
        yield Text.assemble((f"{mark}  ", "bold"), text)


def _verdict(row: dict[str, Any]) -> Iterator[Text]:
    yield Text()
    if row["error"]:
        yield Text.assemble((f"failed: {row['error']['class']}  ", "red"), row["error"]["message"])
        return
    policy = row["manifest"]["policy"]
    actions = {rule_name(entry): entry.get("action", "drop") for entry in policy["rules"]}
    yield Text(f"{row['state']} by the policy {policy['name']}, of {len(actions)} rules")
    for finding in row["findings"] or []:
        place = "the caption" if finding["turn"] < 0 else f"message {finding['turn']}"
        yield Text.assemble(
            (f"  {finding['rule']}", "yellow"),
            f" ({actions.get(finding['rule'], 'not in the policy')}) in {place}, "
            f"{finding['start']}–{finding['end']}: 「{finding['text']}」 ",
            (finding["evidence"], "dim"),
        )


def _call(row: dict[str, Any], number: int, call: dict[str, Any], *, first: bool) -> Iterator[Text]:
    yield Text()
    yield Text(
        f"call {number}: stage {call['stage']}, prompt {call['prompt']} ({call['prompt_digest']}), attempt "
        f"{call['attempt']}, engine {call['engine']}, {call['model']}, seed {call['seed']}, {call['sampling']}",
        "bold",
    )
    if first:
        yield _system(row["recipe"], call)
    yield Text(f"user: {call['request']}", "dim")
    yield Text(call["answer"])
    yield Text(f"{call['finish_reason']}, {call['prompt_tokens']} + {call['completion_tokens']} tokens", "dim")


def _system(recipe: dict[str, Any], call: dict[str, Any]) -> Text:
    """Return the system prompt as it was sent, from the prompt's file if that is still the same."""
    stages = recipe.get("stages", [])
    name = stages[call["stage"]]["prompt"] if call["stage"] < len(stages) else call["prompt"]
    try:
        prompt = load_prompt(name)
    except PromptError:
        return Text(f"system: not known, there is no prompt '{name}' any more", "red")
    if prompt.digest != call["prompt_digest"]:
        return Text(f"system: not known, the prompt '{name}' has changed since (digest {prompt.digest} now)", "red")
    return Text(f"system: {prompt.system}" if prompt.system else "system: none was sent", "dim")
