"""Another policy on stored rows: the same decisions as judging anew, and the same shards as a run by that policy."""

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from datagen.errors import DatagenError
from datagen.inspection.difference_page import write_difference_page
from datagen.inspection.recutting import compare_runs, recut, what_if
from datagen.inspection.stored_rows import StoredRows
from datagen.inspection.verdicts import covers, judged_side
from datagen.pipeline.run import run
from datagen.store.manifest import read_manifest
from datagen.version import VERSION
from filters import Finding, load_policy
from tests.conftest import started_fake_server
from tests.inspection.conftest import WritePolicy, made_recipe, rows_of


def entries(name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = load_policy(name).to_dict()["rules"]
    return rules


def test_actions_and_subsets_are_decided_from_stored_findings_as_the_policy_decides(
    many_rules: Path, tmp_path: Path
) -> None:
    rules = [dict(entry, action="flag") if entry["rule"] == "too_long" else entry for entry in entries("strict")[2:]]
    policy = load_policy({"name": "subset", "rules": rules})
    assert covers(read_manifest(many_rules), policy)
    side = judged_side(many_rules, policy, tmp_path / "verdicts.parquet")
    verdicts = {row["id"]: row for row in pq.read_table(side.files[0]).to_pylist()}
    names = {entry["rule"] for entry in rules}
    for row in rows_of(many_rules, "id", "state", "findings"):
        if row["state"] == "failed":
            assert row["id"] not in verdicts
            continue
        found = [finding for finding in row["findings"] if finding["rule"] in names]
        assert verdicts[row["id"]]["findings"] == found
        assert (verdicts[row["id"]]["state"] == "kept") == policy.keeps(Finding(**finding) for finding in found)


@pytest.mark.parametrize("name", ["standard", "light"])
def test_findings_decide_no_policy_with_other_settings(many_rules: Path, name: str) -> None:
    assert not covers(read_manifest(many_rules), load_policy(name))


def test_findings_of_another_version_of_datagen_are_judged_anew(many_rules: Path) -> None:
    manifest = read_manifest(many_rules)
    assert covers(manifest, load_policy("strict"))
    assert not covers(manifest | {"datagen": "0.0.1"}, load_policy("strict"))


def test_a_word_list_that_changed_is_read_anew(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("犬\n", encoding="utf-8")
    policy = load_policy({"rules": [{"rule": "harmful_words", "settings": {"path": str(words)}}]})
    manifest = {
        "datagen": VERSION,
        "failures": {},
        "policy": {"name": "words", "digest": policy.digest, "rules": policy.to_dict()["rules"]},
    }
    assert covers(manifest, policy)
    words.write_text("猫\n", encoding="utf-8")
    assert not covers(manifest, load_policy(policy.to_dict()))


def test_a_recut_gives_the_shards_of_a_run_by_that_policy(
    made_run: Path, tmp_path: Path, write_policy: WritePolicy
) -> None:
    path = write_policy("flags", [dict(entry, action="flag") for entry in entries("standard")])
    difference, manifest = recut(made_run, load_policy(path), tmp_path / "recut")
    assert manifest is not None
    assert difference.newly_kept > 0
    with started_fake_server() as server:
        recipe = made_recipe(tmp_path, made_run.parent / "pictures", server.endpoint, str(path))
        made = run(recipe, tmp_path / "run", Console(file=io.StringIO()), where="local")
        assert server.statistics()["requests"] > 0
    assert manifest["shards"] == made.manifest["shards"]
    assert manifest["counts"] == made.manifest["counts"]


def named(*rules: str) -> list[dict[str, Any]]:
    """The entries of `strict` for these rules."""
    return [entry for entry in entries("strict") if entry["rule"] in rules]


def test_a_recut_without_parts_copies_every_row_with_its_picture(
    many_rules: Path, tmp_path: Path, write_policy: WritePolicy
) -> None:
    path = write_policy("two", named("question_in_answer", "request_to_user"))
    difference, manifest = recut(many_rules, load_policy(path), tmp_path / "recut")
    assert manifest is not None
    assert difference.newly_kept == manifest["counts"]["kept"] - read_manifest(many_rules)["counts"]["kept"]
    before = {row["id"]: row["images"] for row in rows_of(many_rules, "id", "images")}
    assert {row["id"]: row["images"] for row in rows_of(tmp_path / "recut", "id", "images")} == before
    with StoredRows(tmp_path / "recut") as stored:
        stored.summed()
        assert {rule for (rule,) in stored.ask("SELECT DISTINCT rule FROM found")} == {
            "question_in_answer",
            "request_to_user",
        }


def test_the_run_itself_is_never_the_place_of_its_recut(many_rules: Path) -> None:
    with pytest.raises(DatagenError, match="which is read; give another directory"):
        recut(many_rules, load_policy("strict"), many_rules)


def test_the_difference_is_told_row_by_row(many_rules: Path, tmp_path: Path) -> None:
    one = load_policy({"name": "one", "rules": named("question_in_answer")})
    other = load_policy({"name": "other", "rules": named("request_to_user", "turn_leak")})
    difference = what_if(many_rules, one, other, tmp_path / "out")
    dropped, kept = set(), set()
    for row in rows_of(many_rules, "id", "findings"):
        rules = {finding["rule"] for finding in row["findings"]}
        before, after = "question_in_answer" in rules, bool(rules & {"request_to_user", "turn_leak"})
        dropped |= {row["id"]} if after and not before else set()
        kept |= {row["id"]} if before and not after else set()
    changed = pq.read_table(tmp_path / "out" / "difference.parquet").to_pylist()
    told = {(row["before"], row["after"]): set[str]() for row in changed}
    for row in changed:
        told[row["before"], row["after"]].add(row["id"])
    assert told["kept", "dropped"] == dropped
    assert told["dropped", "kept"] == kept
    assert (difference.newly_dropped, difference.newly_kept) == (len(dropped), len(kept))
    by_rule = {change.rule: change for change in difference.rules}
    assert by_rule["question_in_answer"].newly_kept == len(kept)
    assert by_rule["request_to_user"].newly_dropped + by_rule["turn_leak"].newly_dropped >= len(dropped)
    for example in difference.examples:
        assert example.id in (dropped if example.change == "newly_dropped" else kept)
        assert example.text


def test_two_policies_are_compared_on_any_conversations(tmp_path: Path) -> None:
    lines = ["犬です。何歳ですか？", "猫です。", "看板に「営業中ですか？」とあります。"]
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join(f'{{"id": "{n}", "question": "何ですか？", "answer": "{line}"}}' for n, line in enumerate(lines)),
        encoding="utf-8",
    )
    quoted = {"rule": "question_in_answer", "settings": {"quoted": "drop"}}
    difference = what_if(
        path,
        load_policy({"name": "kept", "rules": ["question_in_answer"]}),
        load_policy({"name": "quoted", "rules": [quoted]}),
        tmp_path / "out",
    )
    assert (difference.newly_dropped, difference.newly_kept) == (1, 0)
    assert difference.examples[0].text == "営業中ですか？"


def test_the_page_of_a_difference_marks_what_the_other_policy_finds(many_rules: Path, tmp_path: Path) -> None:
    repetition = {"rule": "repetition", "settings": {"times": 3}}
    policy = load_policy({"name": "loops", "rules": [repetition]})
    difference, _ = recut(many_rules, policy, None)
    assert difference.newly_dropped > 0
    assert difference.newly_kept > 0
    write_difference_page(difference, tmp_path / "page.html", many_rules, many_rules)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    dropped, kept = page.count('data-state="newly_dropped"'), page.count('data-state="newly_kept"')
    assert dropped > 1
    assert kept > 1
    assert re.search(r'<mark class="c\d" title="repetition">[^<]*手前には人が立っています。', page)
    assert re.search(r'<mark class="c\d" title="question_in_answer">ほかに知りたいことはありますか？</mark>', page)


def test_two_runs_are_compared_by_id_with_rows_that_one_of_them_lacks(many_rules: Path, tmp_path: Path) -> None:
    shutil.copytree(many_rules, tmp_path / "less")
    manifest = json.loads((tmp_path / "less" / "manifest.json").read_text(encoding="utf-8"))
    manifest["shards"] = [shard for shard in manifest["shards"] if shard["state"] != "failed"]
    (tmp_path / "less" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    difference = compare_runs(many_rules, tmp_path / "less", None)
    assert difference.rows("failed", "absent") == manifest["counts"]["failed"]
    assert difference.newly_dropped == difference.newly_kept == 0
