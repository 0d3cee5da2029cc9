"""Conversations: prefixes are byte-identical, the picture goes first and once, and seeds depend on the row alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from datagen.engines.openai import ChatClient, Replica, ReplicaLease
from datagen.engines.wire.chat import Completion
from datagen.failures import Failure
from datagen.pictures.picture import prepare
from datagen.recipe import Images, Recipe
from datagen.stages.runner import StageRunner
from datagen.stages.sample import Sample
from tests.conftest import picture

PICTURE = prepare(picture(1), Images())
CAPTION, PAIR = '{"caption": "桜が咲いています。"}', '{"question": "何の花ですか？", "answer": "桜です。"}'
DIALOGUE = '{"turns": [{"question": "一？", "answer": "一。"}, {"question": "二？", "answer": "二。"}]}'
STAGES = [{"prompt": "caption", "engine": "vlm"}, {"prompt": "question_answer", "engine": "vlm", "repeat": 3}]


class Script(ChatClient):
    """A client that answers from a list and keeps what was sent, byte for byte; no server can show its messages."""

    def __init__(self, *answers: str | Completion | Failure) -> None:
        super().__init__("scripted", [])
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.requests: list[dict[str, Any]] = []
        self.leases: list[ReplicaLease] = []

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[ReplicaLease]:
        yield ReplicaLease(Replica("scripted"))

    async def complete(self, lease: ReplicaLease, messages: Sequence[Any], **options: Any) -> Completion:
        self.sent.append(orjson.dumps(list(messages)))
        self.requests.append(options)
        self.leases.append(lease)
        answer = self.answers.pop(0)
        if isinstance(answer, Failure):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer, "stop", 100, 10)

    @property
    def seeds(self) -> list[int]:
        return [request["seed"] for request in self.requests]

    def messages(self, number: int) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = orjson.loads(self.sent[number])
        return messages


def recipe(stages: list[dict[str, Any]] | None = None, **changes: Any) -> Recipe:
    document = {
        "source": {"path": "none"},
        "engines": {"vlm": {"model": "v"}, "writer": {"model": "t", "vision": False}},
        "stages": stages or STAGES,
    }
    return Recipe.model_validate({**document, **changes})


def converse(made: Recipe, row_id: str = "row", **clients: Script) -> tuple[Sample, Failure | None]:
    dialogue = Sample(row_id, (PICTURE,))
    try:
        asyncio.run(StageRunner(made, clients).run(dialogue))
    except Failure as failure:
        return dialogue, failure
    return dialogue, None


def test_a_whole_conversation_becomes_caption_turns_and_calls() -> None:
    client = Script(CAPTION, PAIR, PAIR, PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is None
    assert dialogue.caption == "桜が咲いています。"
    assert [(message.role, message.content) for message in dialogue.messages] == [
        ("user", "何の花ですか？"),
        ("assistant", "桜です。"),
    ] * 3
    assert [(call.stage, call.prompt, call.attempt) for call in dialogue.calls] == [
        (0, "caption", 1),
        *[(1, "question_answer", 1)] * 3,
    ]
    assert [call.seed for call in dialogue.calls] == client.seeds
    assert all(
        call.request in client.messages(number)[-1]["content"] for number, call in enumerate(dialogue.calls) if number
    )
    assert {(call.prompt_tokens, call.completion_tokens, call.finish_reason) for call in dialogue.calls} == {
        (100, 10, "stop")
    }
    assert len({id(lease) for lease in client.leases}) == 1


def test_the_messages_of_a_turn_are_the_beginning_of_the_next_byte_for_byte() -> None:
    client = Script(CAPTION, PAIR, PAIR, PAIR)
    converse(recipe(), vlm=client)
    assert len(client.sent) == 4
    for earlier, later in pairwise(client.sent):
        assert later.startswith(earlier.removesuffix(b"]") + b",")


def test_the_picture_is_first_and_there_once_with_its_own_bytes() -> None:
    client = Script(CAPTION, PAIR, PAIR, PAIR)
    converse(recipe(), vlm=client)
    url = orjson.dumps(PICTURE.data_url)
    for sent in client.sent:
        assert sent.count(b"image_url") == 2  # the type and the field of one part
        assert sent.count(url) == 1
    system, first, *others = client.messages(-1)
    assert system["role"] == "system"
    assert [part["type"] for part in first["content"]] == ["image_url", "text"]
    assert all(isinstance(message["content"], str) for message in others)
    assert [message["role"] for message in others] == ["assistant", "user"] * 3


def test_answers_go_back_to_the_model_as_they_came() -> None:
    fenced = f"```json\n{CAPTION}\n```"
    client = Script(fenced, PAIR, PAIR, PAIR)
    converse(recipe(), vlm=client)
    assert client.messages(1)[2] == {"role": "assistant", "content": fenced}


def test_seeds_depend_on_recipe_row_stage_turn_and_attempt_and_on_nothing_else() -> None:
    def seeds(row_id: str, seed: int = 0, answers: tuple[str, ...] = (CAPTION, PAIR, PAIR, PAIR)) -> list[int]:
        client = Script(*answers)
        converse(recipe(seed=seed), row_id, vlm=client)
        return client.seeds

    base = seeds("row")
    assert base == seeds("row")
    other_words = PAIR.replace("桜", "梅")
    assert base == seeds("row", answers=(CAPTION, other_words, other_words, other_words))
    retried = seeds("row", answers=(CAPTION, "", "x", PAIR, PAIR, PAIR))
    assert [retried[place] for place in (0, 1, 4, 5)] == base
    everything = [*base, *seeds("other row"), *seeds("row", seed=1), *retried[2:4]]
    assert len(set(everything)) == 4 + 4 + 4 + 2
    assert all(0 <= seed < 2**31 for seed in everything)


def test_focuses_differ_from_turn_to_turn_and_their_order_from_row_to_row() -> None:
    made = recipe()
    focuses = made.prompt(made.stages[1]).focuses
    orders = set()
    for number in range(20):
        dialogue, _ = converse(made, f"row {number}", vlm=Script(CAPTION, PAIR, PAIR, PAIR))
        asked = tuple(
            next(focus for focus in focuses if call.request.endswith(f"観点：{focus}")) for call in dialogue.calls[1:]
        )
        assert len(set(asked)) == 3
        orders.add(asked)
    assert len(orders) > 5


def test_more_turns_than_focuses_begin_again() -> None:
    made = recipe([STAGES[0], {**STAGES[1], "repeat": 6}])
    dialogue, _ = converse(made, vlm=Script(CAPTION, *[PAIR] * 6))
    requests = [call.request.partition("観点：")[2] for call in dialogue.calls[1:]]
    assert len(set(requests)) == len(made.prompt(made.stages[1]).focuses)
    assert requests[4:] == requests[:2]


@pytest.mark.parametrize(
    ("unusable", "failure_class"),
    [
        (Completion(PAIR, "length", 1, 512), "length"),
        (Completion(PAIR, "content_filter", 1, 9), "unfinished"),
        (Completion(PAIR, "abort", 1, 9), "unfinished"),
        (Completion("", "tool_calls", 1, 9), "unfinished"),
        (Completion("", "stop", 1, 512, only_thought=True), "empty_answer"),
        ("<think>何の花だろう。</think>", "empty_answer"),
        ("", "empty_answer"),
        ('{"question": "何？", "answer": " "}', "empty_answer"),
        ("すみません、分かりません。", "unparsable_answer"),
    ],
)
def test_an_unusable_answer_is_asked_for_again_with_another_seed(unusable: Any, failure_class: str) -> None:
    client = Script(CAPTION, unusable, PAIR, PAIR, PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is None
    assert [call.attempt for call in dialogue.calls] == [1, 1, 2, 1, 1]
    assert client.sent[1] == client.sent[2]  # the unusable answer leaves no trace in the prompt
    assert client.seeds[1] != client.seeds[2]
    assert len(dialogue.turns) == 3


@pytest.mark.parametrize("reason", ["stop", "", "eos_token", "stop_sequence"])
def test_an_answer_that_ends_by_itself_is_whole_whatever_the_server_calls_it(reason: str) -> None:
    dialogue, failure = converse(recipe(), vlm=Script(CAPTION, *[Completion(PAIR, reason, 1, 9)] * 3))
    assert failure is None
    assert len(dialogue.turns) == 3


@pytest.mark.parametrize(
    ("unusable", "failure_class", "words"),
    [
        (Completion(PAIR, "content_filter", 1, 9), "unfinished", "content_filter"),
        (Completion("", "stop", 1, 512, only_thought=True), "empty_answer", "switch the model's thinking off"),
        ("申し訳ありませんが、この画像は説明できません。", "refused_caption", "申し訳ありませんが"),
    ],
)
def test_nothing_is_built_on_a_caption_that_is_none(unusable: Any, failure_class: str, words: str) -> None:
    client = Script(unusable, CAPTION, PAIR, PAIR, PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is None
    assert dialogue.caption == "桜が咲いています。"
    client = Script(*[unusable] * 3)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is not None
    assert failure.failure_class == failure_class
    assert words in failure.message
    assert (dialogue.caption, dialogue.turns, len(dialogue.calls)) == ("", [], 3)


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_answers_that_stay_unusable_are_a_failure_with_every_call_on_record(attempts: int) -> None:
    unusable = [Completion(f"cut {number}", "length", 1, 512) for number in range(attempts)]
    client = Script(CAPTION, PAIR, *unusable)
    dialogue, failure = converse(recipe([STAGES[0], {**STAGES[1], "attempts": attempts}]), vlm=client)
    assert failure is not None
    assert failure.failure_class == "length"
    assert "max_tokens (512)" in failure.message
    assert [call.answer for call in dialogue.calls[2:]] == [f"cut {number}" for number in range(attempts)]
    assert len({call.seed for call in dialogue.calls}) == 2 + attempts
    assert dialogue.caption == "桜が咲いています。"
    assert len(dialogue.turns) == 1


@pytest.mark.parametrize("failure_class", ["http_error", "timeout", "bad_response"])
def test_what_the_client_gives_up_on_is_not_asked_for_again(failure_class: Any) -> None:
    client = Script(CAPTION, Failure(failure_class, "m"), PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is not None
    assert failure.failure_class == failure_class
    assert len(client.sent) == 2
    assert len(dialogue.calls) == 1


def test_a_caption_as_turn_answers_an_instruction_of_the_prompt() -> None:
    made = recipe([{**STAGES[0], "as_turn": True}])
    drawn = set()
    for number in range(30):
        dialogue, _ = converse(made, f"row {number}", vlm=Script(CAPTION))
        (turn,) = dialogue.turns
        assert turn.answer == "桜が咲いています。"
        drawn.add(turn.question)
        assert converse(made, f"row {number}", vlm=Script(CAPTION))[0].turns == [turn]
    assert drawn == set(made.prompt(made.stages[0]).instructions)


def test_a_text_only_engine_gets_the_caption_through_its_template_and_no_picture() -> None:
    made = recipe([STAGES[0], {"prompt": "dialogue_from_caption", "engine": "writer"}])
    vlm, writer = Script(CAPTION), Script(DIALOGUE)
    dialogue, failure = converse(made, vlm=vlm, writer=writer)
    assert failure is None
    assert [turn.question for turn in dialogue.turns] == ["一？", "二？"]
    (sent,) = writer.sent
    assert b"image_url" not in sent
    assert b"base64" not in sent
    system, request = writer.messages(0)
    assert system["content"] == made.prompt(made.stages[1]).system
    assert request["role"] == "user"
    assert "桜が咲いています。" in request["content"]
    assert [call.engine for call in dialogue.calls] == ["vlm", "writer"]


def test_two_engines_that_see_have_histories_of_their_own() -> None:
    engines = {"vlm": {"model": "v"}, "second": {"model": "w"}}
    stages = [STAGES[0], {**STAGES[1], "engine": "second", "repeat": 1}, {**STAGES[1], "repeat": 1}]
    vlm, second = Script(CAPTION, PAIR), Script(PAIR)
    converse(recipe(stages, engines=engines), vlm=vlm, second=second)
    for client in (vlm, second):
        for sent in client.sent:
            assert sent.count(b"base64") == 1
    assert len(second.messages(0)) == 2
    assert vlm.sent[1].startswith(vlm.sent[0].removesuffix(b"]") + b",")


def test_earlier_turns_reach_a_template_by_name_and_a_template_that_fails_fails_its_image_alone(tmp_path: Path) -> None:
    document = {
        "name": "follow_up", "version": 1, "purpose": "p",
        "user": "{% for turn in turns %}{{ turn.question }}→{{ turn.answer }}\n{% endfor %}{{ turns[0].question }}",
        "answer": {"reads_as": "turn", "schema": {"type": "object"}},
    }  # fmt: skip
    path = tmp_path / "follow_up.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    follow_up = {"prompt": str(path), "engine": "vlm"}
    dialogue, failure = converse(recipe([{**STAGES[1], "repeat": 1}, follow_up]), vlm=Script(PAIR, PAIR))
    assert failure is None
    assert dialogue.calls[1].request == "何の花ですか？→桜です。\n何の花ですか？"
    dialogue, failure = converse(recipe([follow_up]), vlm=Script(PAIR))
    assert failure is not None
    assert failure.failure_class == "prompt_error"
    assert "Prompt 'follow_up' could not be rendered" in failure.message
    assert dialogue.calls == []


def test_sampling_and_schema_are_those_of_the_stage() -> None:
    client = Script(CAPTION, PAIR)
    made = recipe([STAGES[0], {**STAGES[1], "repeat": 1, "sampling": {"temperature": 0.1, "max_tokens": 64}}])
    dialogue, _ = converse(made, vlm=client)
    assert client.requests[1]["sampling"].temperature == 0.1
    assert client.requests[1]["schema"] == made.prompt(made.stages[1]).answer.json_schema
    assert orjson.loads(dialogue.calls[1].sampling) == {"temperature": 0.1, "top_p": 0.9, "max_tokens": 64}
    assert dialogue.calls[1].prompt_digest == made.prompt(made.stages[1]).digest


def test_a_system_text_is_merged_for_templates_that_know_no_such_role() -> None:
    client = Script(CAPTION, PAIR, PAIR, PAIR)
    made = recipe(engines={"vlm": {"model": "v", "system": "merge"}})
    converse(made, vlm=client)
    system = made.prompt(made.stages[0]).system
    assert system
    first, answer, second, *_ = client.messages(-1)
    assert first["role"] == "user"
    assert first["content"][-1]["text"].startswith(f"{system}\n\n")
    assert answer["role"] == "assistant"
    assert system not in second["content"]


def test_what_a_model_thought_is_kept_with_the_call_and_not_sent_back() -> None:
    thought = f"<think>桜か、それとも梅か。</think>{CAPTION}"
    client = Script(thought, PAIR, PAIR, PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is None
    assert dialogue.calls[0].answer == thought
    assert client.messages(1)[2] == {"role": "assistant", "content": CAPTION}


NO_ROOM = [
    "HTTP 400: This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 tokens",
    "HTTP 400: The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "HTTP 400: the request exceeds the available context size (8192 tokens)",
]


@pytest.mark.parametrize("said", NO_ROOM)
def test_a_picture_that_overflows_the_context_is_shrunk_once_and_that_is_told(said: str) -> None:
    client = Script(CAPTION, Failure("http_error", said), PAIR, PAIR, PAIR)
    dialogue, failure = converse(recipe(), vlm=client)
    assert failure is None
    (smaller,) = dialogue.pictures
    assert (smaller.width, smaller.height) == (PICTURE.width // 2, PICTURE.height // 2)
    assert [(score.name, score.value, score.reason) for score in dialogue.scores] == [("shrunk", 0.25, said)]
    urls = [client.messages(number)[1]["content"][0]["image_url"]["url"] for number in (1, 2, 4)]
    assert urls[0] != urls[1] == urls[2]
    assert client.seeds[1] == client.seeds[2]


def test_a_picture_that_overflows_when_it_is_smaller_too_fails_its_row() -> None:
    client = Script(*[Failure("http_error", NO_ROOM[0])] * 3)
    _, failure = converse(recipe(), vlm=client)
    assert failure is not None
    assert failure.failure_class == "http_error"
    assert len(client.sent) == 2


def test_other_refusals_shrink_nothing() -> None:
    client = Script(Failure("http_error", "HTTP 400: max_tokens=100000 cannot be greater"), CAPTION)
    _, failure = converse(recipe(), vlm=client)
    assert failure is not None
    assert len(client.sent) == 1
