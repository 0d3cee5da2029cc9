"""One row of one entry: read, prepare, check, converse, judge."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NamedTuple, Self

from datagen.engines import open_engine
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.pictures.picture import Picture, passed_through, prepare
from datagen.pipeline.phases import Phase
from datagen.recipe import Recipe
from datagen.records import ErrorRecord, FindingRecord, MessageRecord, RepairRecord, Row, ScoreRecord
from datagen.sources import Entry, local_file, open_source
from datagen.stages.checks import CHECKS, measured
from datagen.stages.runner import StageRunner
from datagen.stages.sample import Sample
from datagen.store.index import IndexEntry
from datagen.store.mix_plan import NOT_NEEDED
from datagen.store.policies import CarriedPolicy, mark_of
from filters.mending import Repair, repaired

_LOG = logging.getLogger(__name__)


class Known(NamedTuple):
    """What is known of an image before it is read.

    Attributes:
        purpose: of the mix, that the row serves; empty for none of them; None without a mix.
        scores: what a survey of all pictures says of it.
    """

    purpose: str | None = None
    scores: list[ScoreRecord] | None = None


_NOTHING = Known()


class RowMaker:
    """Makes rows, any number of them at once. Use it as an asynchronous context manager.

    Args:
        recipe: with the endpoints of every engine filled in.
        policy: that judges.
        keys: API keys by engine.
        phase: the stages that are put; all, if none is given.
    """

    def __init__(
        self, recipe: Recipe, policy: CarriedPolicy, keys: dict[str, str | None], phase: Phase | None = None
    ) -> None:
        self._recipe = recipe
        self._policy = policy.load()
        surveyed = recipe.survey.scores if recipe.survey else ()
        self._before_calls = self._policy.of_scores((*recipe.checks, *surveyed))
        self._checks = [(name, CHECKS.find(name, "checks")) for name in recipe.checks]
        self._source = open_source(recipe.source, recipe.images.max_bytes)
        used = recipe.engines if phase is None else phase.engines
        self.engines = {name: open_engine(recipe.engines[name], keys.get(name)) for name in used}
        self._runner = StageRunner(recipe, self.engines, None if phase is None else phase.stages, self._policy)
        self._judges = phase is None or phase.is_last
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for engine in self.engines.values():
            await self._open.enter_async_context(engine)
        self._open.push_async_callback(self._source.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def make(
        self, listed: IndexEntry, earlier: tuple[Row, tuple[Picture, ...]] | None = None, known: Known = _NOTHING
    ) -> tuple[Row, tuple[Picture, ...]]:
        """Return the finished row, in whichever state, with its pictures.

        Args:
            listed: what it is made from.
            earlier: the row as an earlier phase has left it; the source is read if there is none.
            known: before the image is read.

        Raises:
            DatagenError: something is wrong that is not about this row.
        """
        sample = Sample(listed.id)
        error: ErrorRecord | None = None
        asked = True
        try:
            if earlier is None:
                loaded = await self._source.read(listed.entry)
                if not self._look_at(loaded.pictures, sample):
                    await asyncio.to_thread(self._prepare, loaded.pictures, sample)
                sample.pictures = self._referred(listed.entry, loaded.pictures, sample.pictures)
                sample.messages, sample.caption = list(loaded.messages), loaded.caption
                sample.scores = [*(known.scores or ()), *sample.scores]
            else:
                sample, error = _taken_up(*earlier), earlier[0].error
            asked = self._is_worth_calls(sample)
            if error is None and asked:
                await self._runner.run(sample, known.purpose or "")
        except Failure as failure:
            error = _record(failure)
        except DatagenError:
            raise
        except Exception as defect:  # one bad row never stops a job
            _LOG.exception("The row %s failed in a way that is a defect of datagen", listed.entry.key)
            error = _record(Failure("internal", f"{type(defect).__name__}: {defect}"))
        row = self._row(listed, sample, error, asked=asked)
        row.task = known.purpose or row.task
        return row, sample.pictures

    def unneeded(self, listed: IndexEntry) -> Row:
        """Return the row of an image that no purpose of the mix has taken; nothing is read, and nothing asked."""
        row = self._row(listed, Sample(listed.id), None, asked=False, judged=False)
        evidence = "no purpose of the mix has taken it; nothing was asked about it"
        row.findings = [FindingRecord(rule=NOT_NEEDED, message=None, start=0, end=0, text="", evidence=evidence)]
        row.policy = mark_of(self._policy)
        return row

    def _look_at(self, pictures: tuple[bytes, ...], sample: Sample) -> bool:
        """Take the pictures as they are, if that needs no decoding, which is no work for the event loop."""
        if self._checks:
            return False
        looked_at = [passed_through(data, self._recipe.images) for data in pictures]
        sample.pictures = tuple(picture for picture in looked_at if picture is not None)
        return len(sample.pictures) == len(pictures)

    def _referred(self, entry: Entry, loaded: tuple[bytes, ...], pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
        """Let pictures that are files of the source, and as they were, stay where they are, if the recipe wants it."""
        if self._recipe.output.pictures == "embed" or len(pictures) != 1 or pictures[0].data is not loaded[0]:
            return pictures
        file = local_file(entry)
        return (replace(pictures[0], file=file),) if file else pictures

    def _prepare(self, pictures: tuple[bytes, ...], sample: Sample) -> None:
        """Prepare and measure the pictures; what is asked of them later is worked out here, not in the event loop."""
        sample.pictures = ()
        for data in pictures:
            picture = prepare(data, self._recipe.images)
            _ = picture.sha256, picture.data_url
            sample.pictures = (*sample.pictures, picture)
        sample.scores = measured(self._checks, sample.pictures)

    def _is_worth_calls(self, sample: Sample) -> bool:
        """Whether the policy, by the scores of the checks alone, may keep the row."""
        if not self._before_calls.rules:
            return True
        return self._before_calls.judge([{**sample.judged(), "messages": [], "caption": ""}])[0].kept

    def _row(
        self, listed: IndexEntry, sample: Sample, error: ErrorRecord | None, *, asked: bool, judged: bool = True
    ) -> Row:
        row = Row(
            id=listed.id,
            key=listed.entry.key,
            pictures=[picture.record for picture in sample.pictures],
            source=self._recipe.source.name,
            url=listed.entry.url,
            license=listed.entry.license or self._recipe.source.license,
            task=self._recipe.task,
            caption=sample.caption,
            messages=sample.messages,
            original=sample.original,
            scores=sample.scores,
            state="failed" if error else "kept" if asked else "dropped",
            error=error,
            calls=sample.calls,
        )
        if error is None and self._judges and judged:
            said = sample.judged()
            verdict = self._policy.judge([said])[0]
            if verdict.repairs:
                row = _repaired(row, said, verdict.repairs)
            row.state = "failed" if verdict.error else "kept" if verdict.kept else "dropped"
            row.error = _record(Failure("rule_error", verdict.error)) if verdict.error else None
            row.findings = [FindingRecord(**finding._asdict()) for finding in verdict.findings]
            row.policy = mark_of(self._policy)
        return row


def _taken_up(row: Row, pictures: tuple[Picture, ...]) -> Sample:
    """Return the sample that a row was made of."""
    return Sample(
        row.id, pictures, row.caption, list(row.messages), list(row.original), list(row.scores), list(row.calls)
    )


def _repaired(row: Row, sample: dict[str, object], repairs: Sequence[Repair]) -> Row:
    """Return a row as the policy's repairs leave it."""
    left = repaired(sample, repairs)
    return row.model_copy(
        update={
            "messages": [MessageRecord(**message) for message in left["messages"]],
            "caption": left["caption"],
            "scores": [ScoreRecord(**score) for score in left["scores"]],
            "repairs": [RepairRecord(**repair._asdict()) for repair in repairs],
        }
    )


def _record(failure: Failure) -> ErrorRecord:
    return ErrorRecord(class_=failure.failure_class, message=failure.message)
