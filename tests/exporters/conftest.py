from pathlib import Path

import pytest

from tests.exporters.rows import judged, wild_row


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 rows in several shards: 30 each without, with one, and with up to three pictures."""
    rows = [wild_row(number, (0, 1, 2 + number % 2)[number % 3]) for number in range(90)]
    return judged(rows, tmp_path_factory.mktemp("mixed") / "run")


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 rows in several shards with one picture each."""
    return judged([wild_row(number, 1) for number in range(60)], tmp_path_factory.mktemp("single") / "run")
