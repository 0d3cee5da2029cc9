"""Whatever is wrong in a recipe is said in one sentence: the field, the value, what is allowed, what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from datagen.engine_settings import EngineSettings, api_key
from datagen.errors import DatagenError
from datagen.recipe import Recipe
from datagen.recipe_file import load_recipe

GOOD = """
task: test
source: {path: pictures}
images: {min_side: 16}
engines:
  vlm: {model: m, endpoints: ["http://127.0.0.1:8000/v1/"], server: {args: [--port, "1"]}}
stages:
  - {prompt: caption, engine: vlm}
  - {prompt: question_answer, engine: vlm, repeat: 2, sampling: {temperature: 0.5}}
output: {part_rows: 8}
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def sentence_of(path: Path, *overrides: str, **replace: Any) -> str:
    with pytest.raises(DatagenError) as caught:
        load_recipe(path, overrides, {key.replace("__", "."): value for key, value in replace.items()})
    message = str(caught.value)
    assert message.endswith(".") or "YAML" in message
    assert "pydantic" not in message
    assert "validation error" not in message.lower()
    assert "Value error" not in message
    return message


def test_a_good_recipe_is_read_with_its_defaults(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    assert recipe.task == "test"
    assert recipe.policy == "standard"
    assert recipe.engines["vlm"].endpoints == ("http://127.0.0.1:8000/v1",)
    assert [stage.repeat for stage in recipe.stages] == [1, 2]


def test_a_stage_overrides_the_sampling_of_its_prompt_field_by_field(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    prompt = recipe.prompt(recipe.stages[1])
    sampling = recipe.sampling(recipe.stages[1])
    assert sampling.temperature == 0.5
    assert (sampling.top_p, sampling.max_tokens) == (prompt.sampling.top_p, prompt.sampling.max_tokens)


@pytest.mark.parametrize(
    ("place", "value", "wanted"),
    [
        ("polcy", "strict", "there is no field 'polcy': did you mean 'policy'?"),
        ("source.pth", "x", "there is no field 'pth' in source: did you mean 'path'?"),
        ("images.min_sid", 3, "there is no field 'min_sid' in images: did you mean 'min_side'?"),
        ("engines.vlm.modle", "m", "there is no field 'modle' in engines.vlm: did you mean 'model'?"),
        ("engines.vlm.server.arg", [], "there is no field 'arg' in engines.vlm.server: did you mean 'args'?"),
        ("stages.1.repaet", 2, "there is no field 'repaet' in stages.1: did you mean 'repeat'?"),
        ("output.shard_byte", 5, "there is no field 'shard_byte' in output: did you mean 'shard_bytes'?"),
        ("output.xyz", 5, "known: part_rows, pictures, row_group_rows, shard_bytes"),
    ],
)
def test_a_misspelt_key_names_its_place_and_the_nearest_name(
    recipe_file: Path, place: str, value: Any, wanted: str
) -> None:
    message = sentence_of(recipe_file, **{place: value})
    assert wanted in message
    assert str(recipe_file) in message


def test_a_misspelt_key_of_an_engine_called_server_names_the_fields_of_an_engine(recipe_file: Path) -> None:
    message = sentence_of(recipe_file, **{"engines.server": {"model": "m", "endpoint": []}})
    assert "did you mean 'endpoints'?" in message


@pytest.mark.parametrize(
    ("place", "value", "wanted"),
    [
        ("images.min_side", "wide", "images.min_side is 'wide', but input should be a valid integer"),
        ("images.min_side", 0, "images.min_side is 0, but input should be greater than or equal to 1"),
        ("images.min_side", None, "images.min_side is empty, but input should be a valid integer"),
        ("seed", 1.5, "seed is 1.5, but input should be a valid integer"),
        ("source", "pictures", "source is 'pictures', but input should be a valid dictionary"),
        ("source", None, "source is empty, but input should be a valid dictionary"),
        ("source.path", 7, "source.path is 7, but input should be a valid string"),
        ("source.path", ["a"], "source.path is ['a'], but input should be a valid string"),
        ("source.kind", "folders", "source.kind is 'folders', but it is no source: did you mean 'folder'? "),
        ("source.limit", -1, "source.limit is -1, but input should be greater than or equal to 1"),
        ("engines", {}, "engines is {}, but dictionary should have at least 1 item"),
        ("engines", [], "engines is [], but input should be a valid dictionary"),
        ("engines.vlm", "m", "engines.vlm is 'm', but input should be a valid dictionary"),
        ("engines.vlm.timeout", 0, "engines.vlm.timeout is 0, but input should be greater than 0"),
        ("engines.vlm.endpoints", ["host:80"], "'host:80' is no base URL; write it as http://host:port/v1"),
        ("engines.vlm.endpoints", "http://h/v1", "engines.vlm.endpoints is 'http://h/v1', but input"),
        ("engines.vlm", {"vision": True}, "engines.vlm: name a model, or give endpoints that serve one"),
        ("stages", [], "stages is [], but tuple should have at least 1 item"),
        ("stages.0", "caption", "stages.0 is 'caption', but input should be a valid dictionary"),
        ("stages.0", {"prompt": "caption"}, "the field stages.0.engine is missing; add it"),
        ("stages.1.repeat", 99, "stages.1.repeat is 99, but input should be less than or equal to 20"),
        ("stages.1.engine", "vml", "stages.1.engine 'vml' is not an engine: did you mean 'vlm'? (known: vlm)"),
        ("stages.1.prompt", "qestion_answer", "\"qestion_answer\" is no prompt; did you mean 'question_answer'?"),
        ("stages.1.prompt", "no/such.yaml", "stages.1.prompt: There is no prompt 'no/such.yaml'"),
        ("stages.1.sampling", {"temperature": 9}, "stages.1.sampling.temperature is 9"),
        ("stages.1.sampling", {"max_tokens": 1.5}, "stages.1.sampling.max_tokens is 1.5, but input should be"),
        ("stages.1.sampling", {"temprature": 1}, "'temperature', 'top_p' or 'max_tokens'"),
        ("output.part_rows", 0, "output.part_rows is 0, but input should be greater than or equal to 1"),
        ("workers", 0, "workers is 0, but input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_shown_with_its_field_and_what_is_allowed(
    recipe_file: Path, place: str, value: Any, wanted: str
) -> None:
    assert wanted in sentence_of(recipe_file, **{place: value})


@pytest.mark.parametrize("name", ["source", "engines", "stages"])
def test_a_missing_section_is_named(recipe_file: Path, name: str) -> None:
    document = yaml.safe_load(GOOD)
    del document[name]
    recipe_file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert f"the field {name} is missing; add it." in sentence_of(recipe_file)


def test_a_value_that_is_very_long_is_cut(recipe_file: Path) -> None:
    assert len(sentence_of(recipe_file, source__kind="x" * 100_000)) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"source: [",
        b"a: b: c",
        b"\xff\xfe\x00\x01",
        b"when: 2024-99-99",
        b"[" * 5000,
        b"source: !!python/object/apply:os.system ['touch owned']",
        b"source: !!python/name:os.system",
        b"source: !mine x",
        b"*undefined",
    ],
)
def test_what_is_no_plain_yaml_is_a_sentence_and_builds_no_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_bytes(content)
    assert "is not valid YAML" in sentence_of(tmp_path / "recipe.yaml")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"- source\n", b"just text\n", b"5\n", b"~\n"])
def test_a_file_that_is_no_mapping_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    assert "must be a mapping with source, engines and stages" in sentence_of(tmp_path / "recipe.yaml")


def test_keys_that_are_no_text_are_a_sentence(recipe_file: Path) -> None:
    recipe_file.write_text(GOOD + "7: x\nnull: y\n", encoding="utf-8")
    assert str(recipe_file) in sentence_of(recipe_file)


def test_a_recipe_that_multiplies_itself_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 5)]
    (tmp_path / "recipe.yaml").write_text("\n".join([*lines, "policy: *a4"]), encoding="utf-8")
    assert len(sentence_of(tmp_path / "recipe.yaml")) < 2000


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    assert "cannot be read: No such file or directory. Give the path of a YAML file." in sentence_of(
        tmp_path / "none.yaml"
    )
    assert "cannot be read: Is a directory" in sentence_of(tmp_path)


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__ }}", "{{ turns.__init__ }}", "{% include '/etc/passwd' %}", "{{ captoin }}", "{{"]
)
def test_a_template_that_reaches_out_or_fails_is_refused_with_the_recipe(
    tmp_path: Path, recipe_file: Path, template: str
) -> None:
    document = {
        "name": "mine", "version": 1, "purpose": "p", "user": template,
        "answer": {"reads_as": "turn", "schema": {"type": "object"}},
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    message = sentence_of(recipe_file, stages__1__prompt="mine.yaml")
    assert "stages.1.prompt: " in message
    assert "mine.yaml" in message


# --set


def test_set_reads_values_as_yaml_and_reaches_every_level(recipe_file: Path) -> None:
    overrides = [
        "stages.1.repeat=4",
        "engines.vlm.endpoints=[http://a/v1, http://b/v1]",
        "source.license=CC0",
        "seed=7",
    ]
    recipe = load_recipe(recipe_file, [*overrides, "policy=a=b"])
    assert recipe.stages[1].repeat == 4
    assert recipe.engines["vlm"].endpoints == ("http://a/v1", "http://b/v1")
    assert (recipe.source.license, recipe.seed, recipe.policy) == ("CC0", 7, "a=b")


def test_a_star_stands_for_every_engine(recipe_file: Path) -> None:
    two = {"a": {"model": "x"}, "vlm": {"model": "y"}}
    recipe = load_recipe(recipe_file, ["engines.*.timeout=5"], {"engines": two, "engines.*.model": "z"})
    assert {(engine.model, engine.timeout) for engine in recipe.engines.values()} == {("z", 5.0)}
    assert "there is no field 'modle' in engines.vlm" in sentence_of(recipe_file, "engines.*.modle=z")


def test_overrides_win_over_replacements(recipe_file: Path) -> None:
    assert load_recipe(recipe_file, ["seed=2"], {"seed": 1}).seed == 2


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("seed", "--set seed: write it as key=value, for example stages.1.repeat=4."),
        ("seed=[", "--set seed=[: the value is not valid YAML"),
        ("seed=2024-99-99", "the value is not valid YAML"),
        ("stages.9.repeat=4", "--set stages.9.repeat: the recipe has no such field"),
        ("stages.one.repeat=4", "--set stages.one.repeat: the recipe has no such field"),
        ("stages.*.repeat=4", "the recipe has no such field"),
        ("task.name=4", "--set task.name: the recipe has no such field"),
        ("stages.1.reapet=4", "there is no field 'reapet' in stages.1: did you mean 'repeat'?"),
        ("=4", "there is no field ''"),
        ("source.nothing.deeper=4", "there is no field 'nothing' in source"),
        ("seed=!!python/object:os.system x", "the value is not valid YAML"),
    ],
)
def test_a_wrong_set_is_a_sentence(recipe_file: Path, override: str, wanted: str) -> None:
    assert wanted in sentence_of(recipe_file, override)


# Paths


def test_paths_are_looked_up_from_here_and_then_from_the_folder_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "recipes", tmp_path / "here"
    for place in (folder / "pictures", folder / "weights", here):
        place.mkdir(parents=True)
    prompt = Path(__file__).parent.parent / "prompts" / "caption.yaml"
    (folder / "mine.yaml").write_bytes(prompt.read_bytes())
    (folder / "policy.yaml").write_text("rules: []\n", encoding="utf-8")
    recipe_file = folder / "recipe.yaml"
    recipe_file.write_text(GOOD, encoding="utf-8")
    changes = {"stages.0.prompt": "mine.yaml", "policy": "policy.yaml", "engines.vlm.weights": "weights"}
    monkeypatch.chdir(here)
    recipe = load_recipe(recipe_file, (), changes)
    assert recipe.source.path == str(folder / "pictures")
    assert recipe.stages[0].prompt == str(folder / "mine.yaml")
    assert recipe.policy == str(folder / "policy.yaml")
    assert recipe.engines["vlm"].weights == str(folder / "weights")
    (here / "pictures").mkdir()
    assert load_recipe(recipe_file, (), changes).source.path == str(here / "pictures")


def test_names_of_shipped_prompts_and_policies_are_not_taken_for_folders(tmp_path: Path, recipe_file: Path) -> None:
    for name in ("caption", "standard", "question_answer"):
        (tmp_path / name).mkdir()
    recipe = load_recipe(recipe_file)
    assert recipe.policy == "standard"
    assert [stage.prompt for stage in recipe.stages] == ["caption", "question_answer"]


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "no/such/place", ""])
def test_a_path_that_leads_nowhere_is_left_to_the_source(recipe_file: Path, path: str) -> None:
    assert load_recipe(recipe_file, (), {"source.path": path}).source.path == path


# Keys


def test_the_api_key_is_read_from_the_environment_without_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EngineSettings(model="m", api_key_env="TEST_KEY")
    monkeypatch.setenv("TEST_KEY", "secret\n")
    assert api_key(engine) == "secret"
    assert api_key(EngineSettings(model="m")) is None
    for value in ("", " \n"):
        monkeypatch.setenv("TEST_KEY", value)
        with pytest.raises(DatagenError, match=r"TEST_KEY \(api_key_env\) is not set; export the API key in it\."):
            api_key(engine)


def test_a_recipe_comes_back_from_its_own_dump(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    dumped = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True)
    assert Recipe.model_validate(yaml.safe_load(dumped)) == recipe


@pytest.mark.parametrize("value", ["two lines\nof secret", "secret\x00", "Bearer secret", "se\u3000cret", "sécret"])
def test_a_key_that_no_header_can_carry_is_one_line_without_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    if "\0" in value:
        monkeypatch.setattr("os.environ", {"TEST_KEY": value})
    else:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(DatagenError, match=r"TEST_KEY \(api_key_env\) holds more than an API key: .*Export") as caught:
        api_key(EngineSettings(model="m", api_key_env="TEST_KEY"))
    assert "cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_in_place_of_the_name_of_its_variable_is_not_shown(recipe_file: Path) -> None:
    message = sentence_of(recipe_file, **{"engines.vlm.api_key_env": "sk-pa55-word"})
    assert "engines.vlm: api_key_env takes the name of an environment variable" in message
    assert "pa55" not in message


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        (["http://user:pa55@host:8000/v1"], "carries a user name or a password"),
        (["https://pa55@host/v1"], "carries a user name or a password"),
        (["http://good/v1", "http://user:pa55@host/v1"], "carries a user name or a password"),
        (["user:pa55@host:8000/v1"], "carries a user name or a password"),
        (["ftp://user:pa55@host/v1"], "carries a user name or a password"),
        (["http://user:pa55@host:port/v1"], "carries a user name or a password"),
        (["http://host/v1?key=pa55"], "carries a query"),
        (["http://host/v1#pa55"], "carries a query"),
        ("http://user:pa55@host/v1", "input should be a valid tuple"),
        ({"http://user:pa55@host/v1": 1}, "input should be a valid"),
    ],
)
def test_a_secret_in_an_endpoint_is_refused_and_not_shown(recipe_file: Path, endpoints: Any, wanted: str) -> None:
    message = sentence_of(recipe_file, **{"engines.vlm.endpoints": endpoints})
    assert wanted in message
    assert "pa55" not in message


@pytest.mark.parametrize(
    "url", ["http://", "http://host:port/v1", "http://host:99999/v1", "http://a b/v1", "host/v1\n"]
)
def test_what_is_no_base_url_is_refused(recipe_file: Path, url: str) -> None:
    message = sentence_of(recipe_file, **{"engines.vlm.endpoints": [url]})
    assert "is no base URL; write it as http://host:port/v1" in message
    assert "\n" not in message


@pytest.mark.parametrize("url", ["http://[::1]:8000/v1", "https://gateway.example/v1/@cf/llama", "http://host"])
def test_usual_base_urls_are_taken(url: str) -> None:
    assert EngineSettings(model="m", endpoints=(url,)).endpoints == (url,)
