"""The worked example of one's own checks: a real service, a real classifier, and what happens when one is gone."""

import re
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw, ImageFont

from datagen.errors import DatagenError
from tests.conftest import ROOT, FakeServer, MakeRecipe, free_port
from tests.pipeline.test_growing import asked
from tests.without_ray import run_here, shard_digests, states

EXAMPLE = ROOT / "examples" / "own_checks"
MODULES = ("service", "classifier", "serve")
CHECKS = ["service:unsafe", "classifier:turned"]
CALLS_AN_IMAGE = 3


class Service:
    """The service of the example, in a thread, until it has answered so often."""

    def __init__(self, port: int, answers: int | None = None) -> None:
        import serve  # type: ignore[import-not-found]  # of the example

        self.asked = 0
        service = self

        class Counted(serve.Scorer):  # type: ignore[misc]
            def do_POST(self) -> None:  # noqa: N802
                service.asked += 1
                if answers is not None and service.asked > answers:
                    self.connection.close()
                    self.close_connection = True
                else:
                    super().do_POST()

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Counted)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port for the service, where the example's modules look for it."""
    found = free_port()
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setenv("CHECK_SERVICE", f"http://127.0.0.1:{found}/score")
    yield found
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    """Two lines of text, one of them upside down, and four red pictures."""
    folder = tmp_path / "signs"
    folder.mkdir()
    for name, turn in {"upright": 0, "turned": 180}.items():
        image = Image.new("RGB", (420, 64), "white")
        ImageDraw.Draw(image).text((10, 6), "Open daily 9-17", fill="black", font=ImageFont.load_default(40))
        image.rotate(turn).save(folder / f"{name}.png")
    for number in range(4):
        pixels = np.full((64, 420, 3), (200, 10 + number, 20), np.uint8)
        Image.fromarray(pixels).save(folder / f"red {number}.png")
    return folder


def test_bounds_on_a_service_and_a_classifier_decide_before_any_call(
    port: int, signs: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    service = Service(port)
    recipe = make_recipe(signs, fake_server.endpoint, checks=CHECKS, policy=str(EXAMPLE / "policy.yaml"))
    run_here(recipe, tmp_path / "out")
    service.stop()
    assert asked(fake_server) == 2 * CALLS_AN_IMAGE
    found = {row["key"]: row for path in shard_digests(tmp_path / "out") for row in rows(tmp_path / "out" / path)}
    assert {key for key, row in found.items() if not row["calls"]} == {f"red {number}.png" for number in range(4)}
    scores = {key: {score["name"]: score for score in row["scores"]} for key, row in found.items()}
    assert scores["red 0.png"]["service:unsafe"]["reason"] == "100% of it is red"
    upright, turned = (scores[key]["classifier:turned"]["value"] for key in ("upright.png", "turned.png"))
    assert upright < 0.1 < 0.9 < turned
    assert "classifier:turned" in {each["rule"] for each in found["turned.png"]["findings"]}
    assert sys.modules["classifier"]._session.cache_info().misses == 1


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def test_a_service_that_dies_is_one_sentence_and_the_same_command_goes_on(
    port: int, signs: Path, fake_server: FakeServer, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    for number in range(4):
        Image.effect_noise((64, 64), 90).convert("RGB").save(signs / f"other {number}.png")
    recipe = make_recipe(
        signs,
        fake_server.endpoint,
        checks=CHECKS,
        policy=str(EXAMPLE / "policy.yaml"),
        in_flight=1,
    )
    dying = Service(port, answers=5)
    with pytest.raises(
        DatagenError, match=r"The service \S+ does not answer \(\w+\)\. Start it .*what is done"
    ) as told:
        run_here(recipe, tmp_path / "out")
    dying.stop()
    assert "\n" not in str(told.value)
    before = asked(fake_server)
    service = Service(port)
    run_here(recipe, tmp_path / "out")
    assert service.asked == 10 - 5
    assert asked(fake_server) == 6 * CALLS_AN_IMAGE
    assert 0 < before < 6 * CALLS_AN_IMAGE
    run_here(recipe, tmp_path / "undisturbed")
    service.stop()
    assert shard_digests(tmp_path / "out") == shard_digests(tmp_path / "undisturbed")


def test_a_picture_that_the_service_cannot_read_fails_alone(
    port: int,
    signs: Path,
    fake_server: FakeServer,
    make_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import serve

    opened = Image.open

    def refusing(file: Any) -> Any:
        image = opened(file)
        if image.size == (64, 64):
            raise OSError("too small for me")
        return image

    Image.effect_noise((64, 64), 90).convert("RGB").save(signs / "small.png")
    service = Service(port)
    monkeypatch.setattr(serve, "Image", type("Stand", (), {"open": staticmethod(refusing)}))
    recipe = make_recipe(signs, fake_server.endpoint, checks=CHECKS, policy=str(EXAMPLE / "policy.yaml"))
    manifest = run_here(recipe, tmp_path / "out")
    service.stop()
    assert manifest["failures"] == {"check_error": 1}
    assert states(tmp_path / "out")["small.png"] == "failed"


def test_both_readmes_have_the_same_commands() -> None:
    commands = [
        re.findall(r"```bash\n(.*?)```", (EXAMPLE / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("README.md", "README.ja.md")
    ]
    assert commands[0] == commands[1] != []
