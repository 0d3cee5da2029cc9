"""How one image came to its end: the prompts as sent, the answers, the verdicts, and where the row is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from datagen.console import on_one_line, pasteable, shown, styled
from datagen.errors import DatagenError
from datagen.inspection import labels
from datagen.inspection.stored_rows import StoredRows, rule_name
from datagen.records import CAPTION
from filters.entries import shown_action
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
            raise DatagenError(
                f"{run} has no row with the id or key '{name}'; datagen report {pasteable(run)} --html report.html "
                "shows some."
            )
        if len(exact) > 1:
            ids = ", ".join(row["id"] for row in exact)
            raise DatagenError(f"'{name}' fits several rows: {ids}; give more of the id.")
        shard, number = stored.location(exact[0]["row"])
        return exact[0] | {
            "shard": str(shard),
            "number": number,
            "manifest": stored.manifest,
            "recipe": _recipe(run),
        }


def _recipe(run: Path) -> dict[str, Any]:
    path = run / "recipe.yaml"
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def print_row(row: dict[str, Any], console: Console) -> None:
    """Print everything that is known of a row."""
    for line in story(row):
        console.print(line, soft_wrap=True)


def story(row: dict[str, Any]) -> Iterator[Text]:
    """Yield the story of a row, line by line."""
    yield styled((row["state"], "bold"), "  ", on_one_line(row["key"]), "  ", (row["id"], "dim"))
    yield from _picture(row)
    yield styled(f"shard    {row['shard']}, row {row['number']}")
    yield from _conversation(row)
    yield from _verdict(row)
    told: set[str] = set()
    for number, call in enumerate(row["calls"] or [], start=1):
        yield from _call(row, number, call, first=call["engine"] not in told)
        told.add(call["engine"])


def _picture(row: dict[str, Any]) -> Iterator[Text]:
    for picture in row["pictures"]:
        size = f"{picture['width']}×{picture['height']}"
        phash = f", phash {picture['phash']}" if picture["phash"] else ""
        yield styled(f"picture  {size}, sha256 {picture['sha256']}{phash}")
    if not row["pictures"]:
        yield styled("picture  none")
    path = os.path.join(str((row["recipe"].get("source") or {}).get("path", "")), row["key"])  # noqa: PTH118
    # os.path.isfile, because Path.is_file raises for names that are too long
    yield styled(on_one_line(f"path     {path if os.path.isfile(path) else row['key']}"))  # noqa: PTH113
    if row["url"]:
        yield styled(on_one_line(f"url      {row['url']}"))
    if row["license"]:
        yield styled(on_one_line(f"license  {row['license']}"))


def _conversation(row: dict[str, Any]) -> Iterator[Text]:
    texts = [(-1, "caption", row["caption"])] if row["caption"] else []
    texts += [
        (turn, labels.ROLES[role].ja if (role := message["role"]) in labels.ROLES else str(role), message["content"])
        for turn, message in enumerate(row["messages"])
    ]
    if texts:
        yield Text()
    for turn, mark, content in texts:
        content = content or ""
        text = styled(content)
        for finding in row["findings"] or []:
            if finding["message"] == turn:
                start, end = (len(shown(content[: finding[bound]])) for bound in ("start", "end"))
                text.stylize(_MARK, start, end)
        yield Text.assemble((f"{on_one_line(mark)}  ", "bold"), text)


def _verdict(row: dict[str, Any]) -> Iterator[Text]:
    yield Text()
    if row["error"]:
        yield styled((f"failed: {row['error']['class']}  ", "red"), on_one_line(row["error"]["message"]))
        return
    policy = row["manifest"]["policy"]
    actions = {rule_name(entry): shown_action(entry.get("action", "drop")) for entry in policy["rules"]}
    yield styled(f"{row['state']} by the policy {policy['name']}, of {len(actions)} rules")
    for finding in row["findings"] or []:
        yield styled(
            (f"  {finding['rule']}", "yellow"),
            f" ({actions.get(finding['rule'], 'not in the policy')}) {_where(finding)} ",
            (on_one_line(finding["evidence"]), "dim"),
        )
    for repair in row["repairs"] or []:
        what = f" took 「{repair['text']}」 out of {_what(repair['message'])}, to which {repair['rule']} objects"
        yield styled((f"  {on_one_line(repair['action'])}", "green"), on_one_line(what))
    for score in row["scores"] or []:
        reason = on_one_line(f"  {score['reason']}") if score["reason"] else ""
        yield styled(f"score    {on_one_line(score['name'])} {score['value']:g} of {_what(score['message'])}", reason)


def _where(finding: dict[str, Any]) -> str:
    """Say where a finding stands, and quote it if it has a text."""
    span = f", {finding['start']}–{finding['end']}: 「{finding['text']}」" if finding["end"] > finding["start"] else ":"
    return on_one_line(f"in {_what(finding['message'])}{span}")


def _what(message: int | None) -> str:
    if message is None or message >= 0:
        return "the row" if message is None else f"message {message}"
    return "the caption" if message == CAPTION else f"message {-2 - message}, which was taken out"


def _call(row: dict[str, Any], number: int, call: dict[str, Any], *, first: bool) -> Iterator[Text]:
    yield Text()
    head = (
        f"call {number}: stage {call['stage']}, prompt {call['prompt']} ({call['prompt_digest']}), attempt "
        f"{call['attempt']}, engine {call['engine']}, {call['model']}, seed {call['seed']}, {call['sampling']}"
    )
    yield styled((on_one_line(head), "bold"))
    if first:
        yield _system(row["recipe"], call)
    yield styled((f"user: {call['request']}", "dim"))
    yield styled(call["answer"])
    tokens = f"{call['finish_reason']}, {call['prompt_tokens']} + {call['completion_tokens']} tokens"
    yield styled((tokens, "dim"))


def _system(recipe: dict[str, Any], call: dict[str, Any]) -> Text:
    """Return the system prompt as it was sent, from the prompt's file if that is still the same."""
    stages = recipe.get("stages", [])
    name = stages[call["stage"]]["prompt"] if call["stage"] < len(stages) else call["prompt"]
    try:
        prompt = load_prompt(name)
    except PromptError:
        return styled((f"system: not known, there is no prompt '{name}' any more", "red"))
    if prompt.digest != call["prompt_digest"]:
        return styled((f"system: not known, the prompt '{name}' has changed since (digest {prompt.digest} now)", "red"))
    return styled((f"system: {prompt.system}" if prompt.system else "system: none was sent", "dim"))
