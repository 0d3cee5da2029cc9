"""How fast the rules are, as ratios to tagging and to HojiChar in the same run.

python benchmarks/filters.py                   # the ratios, on made-up answers of about 150 and 300 characters
python benchmarks/filters.py --answers FILE    # on real ones: JSON lines with a text under "text" or "answer"
python benchmarks/filters.py --rows 1000000    # memory while judging many rows
"""

import argparse
import json
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fugashi

PLACES = [
    "公園の広場",
    "駅前の商店街",
    "静かな住宅街",
    "海沿いの道路",
    "古い神社の境内",
    "明るい台所",
    "図書館の閲覧室",
    "山あいの村",
]
THINGS = [
    "赤い自転車",
    "木製のベンチ",
    "大きな看板",
    "白い猫",
    "色鮮やかな傘",
    "古びた郵便ポスト",
    "小さな噴水",
    "三脚のカメラ",
]
PEOPLE = ["帽子をかぶった男性", "着物姿の女性", "制服を着た学生", "幼い子ども", "年配の夫婦", "エプロンをつけた店員"]
ACTIONS = [
    "写真を撮っています",
    "ゆっくりと歩いています",
    "何かを指さしています",
    "楽しそうに話しています",
    "本を読んでいます",
]
SIGNS = [
    "営業中",
    "本日休業",
    "足元注意",
    "立入禁止",
    "出口",
    "準備中",
    "非常口",
    "駐輪禁止",
    "割引中",
    "何名様ですか？",
]
WEATHER = ["空は青く晴れわたり", "薄い雲が広がり", "夕日が差し込み", "小雨が降っているようで", "雪が積もっており"]
STATEMENTS: list[Callable[[random.Random], str]] = [
    lambda r: f"画像の中央には{r.choice(THINGS)}が写っており、その後ろに{r.choice(THINGS)}が見えます。",
    lambda r: f"{r.choice(PLACES)}で、{r.choice(PEOPLE)}が{r.choice(ACTIONS)}。",
    lambda r: f"{r.choice(WEATHER)}、全体として穏やかな雰囲気が感じられます。",
    lambda r: f"手前には{r.choice(THINGS)}がいくつか置かれていて、奥のほうには{r.choice(PEOPLE)}の姿があります。",
    lambda r: f"この写真は{r.choice(PLACES)}で撮影されたものかもしれません。",
    lambda r: f"{r.choice(PEOPLE)}がどこへ向かっているのかは、写真からは分かりません。",
    lambda r: f"影の長さから、{r.randint(1, 12)}月の午後{r.randint(1, 6)}時ごろだと考えられます。",
    lambda r: f"看板には「{r.choice(SIGNS)}」と書かれています。",
    lambda r: f"数は{r.randint(2, 9)}つで、どれも同じ形をしていますが、色は少しずつ異なります。",
    lambda r: f"背景の{r.choice(PLACES)}はぼけていて、{r.choice(THINGS)}がひときわ目立つ構図になっています。",
]
QUESTIONS: list[Callable[[random.Random], str]] = [
    lambda r: f"{r.choice(THINGS)}は何色ですか？",
    lambda r: f"ほかに{r.choice(THINGS)}は見えますか。",
    lambda r: f"{r.choice(PEOPLE)}は何をしているのでしょう。",
    lambda r: "季節はいつごろなのだろうか。",
    lambda r: f"\n質問：{r.choice(PLACES)}の様子",
]


def answers(count: int, seed: int = 0, asking: float = 0.07, length: int = 1) -> Iterator[str]:
    """Yields answer-like texts of about 150 characters times `length`, of which a share holds a question."""
    draw = random.Random(seed)
    for _ in range(count):
        sentences = [draw.choice(STATEMENTS)(draw) for _ in range(length * draw.choice([3, 4, 5, 5, 6, 6]))]
        if draw.random() < asking:
            sentences.insert(draw.randint(1, len(sentences)), draw.choice(QUESTIONS)(draw))
        yield "".join(sentences)


def read_answers(path: Path) -> list[str]:
    """Reads the Japanese texts of a file of JSON lines, each once."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    texts = dict.fromkeys(row.get("text") or row.get("answer") or "" for row in rows)
    return [text for text in texts if re.search("[ぁ-ん]{2}", text)]


def samples(texts: list[str]) -> list[dict[str, Any]]:
    """Puts each text into a conversation of one turn."""
    return [
        {
            "messages": [
                {"role": "user", "content": "この画像について教えてください。"},
                {"role": "assistant", "content": text},
            ]
        }
        for text in texts
    ]


def tag_with_fugashi(tagger: fugashi.Tagger, texts: list[str]) -> int:
    return sum(word.feature.pos1 == "助詞" for text in texts for word in tagger(text))


def judge(policy: Any, conversations: list[dict[str, Any]]) -> int:
    return sum(not verdict.kept for verdict in policy.judge(conversations))


NG_WORDS = [
    "申し訳ありませんが",
    "お答えできません",
    "画像が見えません",
    "キャプションによると",
    "教えてください",
    "質問：",
]


def comparable_hojichar(morphology: bool) -> Any:
    """The filters of HojiChar that do what rules of `standard` do.

    Length, language, full stops and ellipses (truncated answers), leftovers of pages (tags), three measures of
    repetition, personal data, a word list (refusals, mentions, markers); with morphology the one filter that tags.
    """
    from hojichar import Compose, document_filters

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as words:
        words.write("\n".join(NG_WORDS) + "\n")
        words.flush()
        filters = [
            document_filters.DocumentLengthFilter(min_doc_len=1, max_doc_len=1000),
            document_filters.AcceptJapanese(),
            document_filters.DiscardRareKuten(),
            document_filters.DiscardTooManyEndingEllipsis(),
            document_filters.HeaderFooterTagsRemover(),
            document_filters.CharRepetitionRatioFilter(),
            document_filters.WordRepetitionRatioFilter(),
            document_filters.SingleCharacterRepetitionFilter(),
            document_filters.MaskPersonalInformation(),
            document_filters.NgWordsFilterJa(words.name),
        ]
        if morphology:
            filters.append(document_filters.DiscardTooManyNouns())
        return Compose(filters)


def timed(name: str, texts: int, work: Callable[[], object], repeat: int = 3) -> float:
    best = min(_once(work) for _ in range(repeat))
    print(f"{name:<44}{texts / best:>12,.0f} texts/s{best / texts * 1e6:>10.1f} µs a text")
    return texts / best


def _once(work: Callable[[], object]) -> float:
    started = time.process_time()  # what other processes do on the machine does not count
    work()
    return time.process_time() - started


def compare(texts: list[str]) -> None:
    from filters import load_policy

    count = len(texts)
    conversations = samples(texts)
    print(f"{count:,} texts, {sum(map(len, texts)) / count:.0f} characters on average, one core")
    few = texts[: max(100, count // 10)]
    tagger = fugashi.Tagger()
    tagging = timed("fugashi, reading feature.pos1", len(few), lambda: tag_with_fugashi(tagger, few))
    only = load_policy({"name": "only", "rules": [{"rule": "question_in_answer"}]})
    question = timed("question_in_answer", count, lambda: judge(only, conversations))
    standard_policy = load_policy("standard")
    standard = timed("policy standard", count, lambda: judge(standard_policy, conversations))
    plain, tagging_too = comparable_hojichar(morphology=False), comparable_hojichar(morphology=True)
    hojichar = timed("HojiChar, 11 filters, one of them tags", len(few), lambda: [tagging_too(text) for text in few])
    untagged = timed("HojiChar, the same without that one", len(few), lambda: [plain(text) for text in few])
    print(f"question rule / tagging       {question / tagging:>8.1f}")
    print(f"policy standard / tagging     {standard / tagging:>8.1f}")
    print(f"policy standard / HojiChar    {standard / hojichar:>8.1f}")
    print(f"the same without that filter  {standard / untagged:>8.1f}")
    print(f"dropped by the question rule  {judge(only, conversations) / count:>8.1%}")
    print("seconds by rule, three runs:")
    for name, spent in sorted(standard_policy.statistics.items(), key=lambda item: -item[1].seconds):
        print(f"  {name:<34}{spent.seconds:>8.2f}{spent.hits:>8} hits")


def watch_memory(rows: int) -> None:
    from filters import load_policy

    policy = load_policy("standard")
    stream = ({"messages": [{"role": "assistant", "content": text}]} for text in answers(rows))
    started = time.perf_counter()
    for count, _ in enumerate(policy.judge_stream(stream), 1):
        if count % max(1, rows // 10) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{count:>10,} rows {time.perf_counter() - started:>7.1f} s   peak memory {peak:>7.1f} MiB", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=20_000, help="texts to compare on")
    parser.add_argument("--answers", type=Path, help="compare on the texts of this file instead")
    parser.add_argument("--rows", type=int, help="judge this many rows and report memory instead")
    arguments = parser.parse_args()
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # where this file's own name does not hide the package
    if arguments.rows:
        watch_memory(arguments.rows)
    elif arguments.answers:
        compare(read_answers(arguments.answers))
    else:
        compare(list(answers(arguments.texts)))
        compare(list(answers(arguments.texts // 2, length=2)))


if __name__ == "__main__":
    main()
