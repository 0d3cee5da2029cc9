"""The clock of the chat client."""

import asyncio
from typing import Any

import pytest

from datagen.engines import openai as client_module
from datagen.engines.wire import replicas as replicas_module
from tests.engines.chat_server import (
    Clock,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    sleep = asyncio.sleep

    async def pass_at_once(seconds: float, *arguments: Any) -> None:
        if seconds > 0:
            await clock.wait(seconds)
        await sleep(0, *arguments)

    monkeypatch.setattr(asyncio, "sleep", pass_at_once)
    monkeypatch.setattr(client_module, "time", clock)
    monkeypatch.setattr(replicas_module, "time", clock)
    return clock
