"""The pages in a real browser: filtering, opening a card, marking and exporting a review, and hostile text."""

import csv
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datagen.inspection.difference_page import write_difference_page
from datagen.inspection.marks import keep_marks, read_marks
from datagen.inspection.recutting import recut
from datagen.inspection.report_page import write_report_page
from datagen.inspection.reviews import write_sheet
from filters import load_policy
from tests.inspection.conftest import HOSTILE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not CHROMIUM or not DRIVER, reason="chromium and chromedriver are not installed (Debian: chromium chromium-driver)"
)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-prefers-reduced-motion --lang=ja --window-size=1280,900"
)


class Browser:
    """Chromium with a page from disk."""

    def __init__(self, downloads: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS.split(), f"--user-data-dir={downloads / 'profile'}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.downloads = downloads
        self.driver: Any = webdriver.Chrome(options=options, service=Service(str(DRIVER), env=dict(os.environ)))

    def open(self, page: Path) -> None:
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def type(self, keys: str) -> None:
        self.driver.find_element("css selector", "body").send_keys(keys)

    def visible_cards(self) -> list[dict[str, Any]]:
        """The state and the rules of the cards that are shown."""
        cards: list[dict[str, Any]] = self.run(
            "return [...document.querySelectorAll('#cards .card')].filter(card => card.offsetParent)"
            ".map(card => ({state: card.dataset.state, rules: card.dataset.rules.split(' ').filter(Boolean)}))"
        )
        return cards

    def downloaded(self, name: str) -> Path:
        for _ in range(100):
            if (self.downloads / name).exists():
                return self.downloads / name
            time.sleep(0.05)
        raise AssertionError(f"{name} was not downloaded: {list(self.downloads.iterdir())}")

    def requested(self) -> set[str]:
        """The addresses that the page asked for, without those inside itself and the browser's own."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {url for url in sent if not url.startswith(("data:", "blob:", "chrome:", "chrome-untrusted:"))}

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    started = Browser(tmp_path)
    yield started
    started.driver.quit()


@pytest.fixture(scope="module")
def report_file(many_rules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report_page(many_rules, path)
    return path


def test_cards_are_filtered_by_rule_and_state_and_open(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    assert len(browser.visible_cards()) == 24
    browser.press("#filters [data-state='failed']")
    assert {card["state"] for card in browser.visible_cards()} == {"failed"}
    browser.run("document.querySelector('button.rule[data-rule=\"too_long\"]').click()")
    cards = browser.visible_cards()
    assert cards
    assert all("too_long" in card["rules"] for card in cards)
    browser.run("document.getElementById('alone').click()")
    assert all(card["rules"] == ["too_long"] for card in browser.visible_cards())
    browser.run("[...document.querySelectorAll('#cards .card')].find(card => card.offsetParent).click()")
    opened = browser.driver.find_element("id", "dialog")
    assert opened.is_displayed()
    assert "ends the sentence" in opened.text
    assert "datagen explain" in opened.text
    assert opened.find_element("css selector", "mark").text == "ほかに知りたいことはありますか？"
    browser.press("#close")
    assert not opened.is_displayed()
    assert browser.complaints() == []


def test_the_report_asks_the_network_for_nothing(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    assert browser.requested() == {report_file.as_uri()}


def test_the_page_speaks_japanese_and_english(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    browser.run("document.documentElement.dataset.language = 'ja'")
    heading = browser.driver.find_element("css selector", "#rules h2")
    assert heading.text == "どのルールが何を落としたか"
    browser.press("#language")
    assert heading.text == "Which rule caught what"


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_no_wider_than_the_window(browser: Browser, report_file: Path, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.open(report_file)
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_rows_that_a_policy_changes_are_filtered(browser: Browser, many_rules: Path, tmp_path: Path) -> None:
    difference, _ = recut(many_rules, load_policy({"name": "fewer", "rules": ["template_tag"]}), None)
    write_difference_page(difference, tmp_path / "difference.html", many_rules, many_rules)
    browser.open(tmp_path / "difference.html")
    browser.press("#filters [data-state='newly_kept']")
    assert {card["state"] for card in browser.visible_cards()} == {"newly_kept"}
    browser.press("button.rule[data-rule='too_long']")
    assert all("too_long" in card["rules"] for card in browser.visible_cards())
    assert browser.complaints() == []


def test_a_review_is_marked_by_keys_kept_and_exported(browser: Browser, copied_run: Path, tmp_path: Path) -> None:
    sheet = write_sheet(copied_run, "question_in_answer", 6, 0, tmp_path / "sheets")
    browser.open(sheet.page)
    browser.type("ttfu")
    browser.press("[data-mark='true']")
    assert browser.driver.find_element("id", "place").text == "6 / 6"
    browser.open(sheet.page)
    assert browser.driver.find_element("id", "place").text == "6 / 6"
    assert browser.driver.find_element("id", "tally").text.startswith("75 % (30–95 %), n = 4")
    browser.driver.find_element("id", "note").send_keys('=1+1, "quoted"')
    browser.press("#export")
    exported = browser.downloaded(sheet.csv.name)
    assert sorted(read_marks(exported).values()) == ["false", "true", "true", "true", "unsure"]
    with (
        exported.open(encoding="utf-8-sig", newline="") as file,
        sheet.csv.open(encoding="utf-8-sig", newline="") as own,
    ):
        lines, drawn = list(csv.DictReader(file)), list(csv.DictReader(own))
    assert lines[5]["note"] == '\'=1+1, "quoted"'
    assert [line["id"] for line in lines] == [line["id"] for line in drawn]
    assert keep_marks(copied_run, exported) == 5
    assert browser.complaints() == []


def test_text_from_a_model_never_runs(browser: Browser, filtered: Path, tmp_path: Path) -> None:
    write_report_page(filtered, tmp_path / "report.html")
    sheet = write_sheet(filtered, "question_in_answer", 4, 0, tmp_path / "sheets")
    for page, scripts in ((tmp_path / "report.html", 1), (sheet.page, 2)):
        browser.open(page)
        assert browser.run("return window.owned") is None
        assert browser.run("return document.querySelectorAll('script').length") == scripts
        assert HOSTILE in browser.run("return document.querySelector('.card').textContent")
        assert browser.complaints() == []
