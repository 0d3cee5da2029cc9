"""The pages that are made from the code say what the code says, and every field has a description."""

import pytest

from docs.reference import data_page, prompts_page, recipe_page
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("name", "made"), [("data.md", data_page()), ("recipe.md", recipe_page()), ("prompts.md", prompts_page())]
)
def test_a_page_is_the_one_that_the_code_makes(name: str, made: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run python -m docs.reference"


@pytest.mark.parametrize("made", [data_page(), recipe_page()])
def test_every_field_is_described(made: str) -> None:
    rows = [line.split(" | ") for line in made.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row[-1].strip(" |") == ""] == []
