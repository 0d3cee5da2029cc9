"""The recipe: one YAML file that says what to make, from what, with which models, and where it goes.

Everything is validated when it enters; a message names the field, the value, what is allowed and what to do.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, Self, TypeVar

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from datagen.engine_settings import EngineSettings, Section, known
from filters.errors import nearest, sentence
from prompts import Prompt, PromptError, Sampling, load_prompt

Entry = TypeVar("Entry")
DUPLICATE, BENCHMARK_OVERLAP, IN_JAPAN = "duplicate", "benchmark_overlap", "in_japan"
"""The scores that a survey of all pictures makes."""
_ROUNDED = 1e-6


class SourceSettings(Section):
    """Where the images come from.

    Attributes:
        name: recorded in every row.
        path: a folder of pictures, a table of paths or URLs (.csv, .jsonl, .parquet), Parquet files or a saved
            `datasets` directory with an image column, WebDataset archives (.tar), stored conversations, the name of a
            data set on the Hugging Face hub, or the URL of pictures or Parquet in a cloud (s3://, gs://, hf://).
        kind: how to read `path`: folder, table, parquet, dataset (a saved `datasets` directory), webdataset, hub,
            cloud, conversations, or a class of your own as `package.module:Class`; `auto` decides by looking at it,
            once. Of a hub's Parquet only the rows that are used are fetched.
        column: the column with the image, path or URL; found by itself when it is named image, path, file_name or url.
            Of WebDataset archives, the extension of the pictures (`seg.png`); without it, all pictures.
        split: the split of a hub data set.
        slice: `k/n` is every n-th image from the k-th on, counted from 0: one of n jobs that share a source.
        limit: only the first so many images of the listing, or of its slice. A run may go on with a higher one.
        license: recorded in every row that has none of its own.
        allow_private_hosts: host names whose images may be fetched although they resolve to private addresses.
    """

    name: str = "images"
    path: str
    kind: str = "auto"
    column: str | None = None
    split: str = "train"
    slice: str | None = None
    limit: int | None = Field(None, ge=1)
    license: str = ""
    allow_private_hosts: tuple[str, ...] = ()

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        return known(kind, "datagen.sources", "source", "auto")

    @field_validator("slice")
    @classmethod
    def _one_of_several(cls, text: str | None) -> str | None:
        if text is not None:
            found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
            if found is None or int(found[1]) >= int(found[2]):
                raise ValueError("write it as k/n with k from 0 to n - 1, for example 0/16")
        return text

    def chosen(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Return those of a source's entries that are meant.

        >>> list(SourceSettings(path=".", slice="1/3", limit=2).chosen("abcdefgh"))
        ['b', 'e']
        """
        first, step = map(int, self.slice.split("/")) if self.slice else (0, 1)
        return islice(islice(entries, first, None, step), self.limit)


class SurveySettings(Section):
    """What is found out about all pictures together before the first call; the policy decides by the scores.

    Attributes:
        duplicates: bits of 64 by which the perceptual hashes of near duplicates may differ, -1 for the same files
            alone; they get the score `duplicate` 1, all others 0. Not looked for if not given.
        benchmarks: files that `datagen fingerprint` has written; pictures that are in one get the score
            `benchmark_overlap`, 1 for the same photo or file, and less by a 64th for each bit that differs.
        places: whether pictures of which the columns `latitude` and `longitude` of the source, or else the camera, say
            where they were taken get the score `in_japan`, 1 there and 0 elsewhere; all others have no such score, and
            pass a bound on it.
    """

    duplicates: int | None = Field(None, ge=-1, le=16)
    benchmarks: tuple[str, ...] = ()
    places: bool = False

    @model_validator(mode="after")
    def _something_to_find(self) -> Self:
        if not self.scores:
            raise ValueError("it looks for nothing; give duplicates (6 is good), benchmarks or places")
        return self

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores that it makes."""
        asked = (
            (DUPLICATE, self.duplicates is not None),
            (BENCHMARK_OVERLAP, bool(self.benchmarks)),
            (IN_JAPAN, self.places),
        )
        return tuple(name for name, is_asked in asked if is_asked)


class Images(Section):
    """Limits on pictures.

    Attributes:
        max_bytes: a larger file fails.
        max_pixels: a larger picture fails, before it is decoded.
        min_side: pixels; a picture with a shorter side fails.
        send_pixels: a picture with more is shrunk once, and so sent and published; all others stay as they are.
        phash: whether rows get the perceptual hash of their pictures, which takes more time than all else together.
    """

    max_bytes: int = Field(64 * 2**20, ge=1)
    max_pixels: int = Field(100_000_000, ge=1)
    min_side: int = Field(16, ge=1)
    send_pixels: int = Field(1536 * 1536, ge=1)
    phash: bool = False


class Stage(Section):
    """One step of the conversation: a prompt, put to an engine, `repeat` times.

    Attributes:
        prompt: a shipped prompt's name, or the path of a prompt file.
        engine: the name of one of `engines`.
        repeat: how often it is asked, one after the other in the same conversation.
        purpose: of the recipe's mix: the stage is put for rows of this purpose alone; for all rows if empty.
        as_turn: for a caption stage, whether the caption also becomes the first turn of the dialogue.
        attempts: how often an unusable answer (cut off, empty, unparsable) is asked for in all.
        on_drop: `retry` takes an answer for unusable, too, that the policy would drop the row for, and asks for it
            again with another seed; `keep` leaves it to the policy. The score `asked_again` tells of it.
        sampling: overrides of the prompt's own sampling: temperature, top_p, max_tokens.
    """

    prompt: str
    engine: str
    repeat: int = Field(1, ge=1, le=20)
    purpose: str = ""
    as_turn: bool = False
    attempts: int = Field(3, ge=1, le=10)
    on_drop: Literal["keep", "retry"] = "keep"
    sampling: dict[Literal["temperature", "top_p", "max_tokens"], float] = Field({})


class Mix(Section):
    """How many kept rows there are to be of each purpose; every image serves one of them.

    Attributes:
        shares: of the kept rows, by purpose; together they are 1.
        rows: how many rows are kept in all; the run ends when it has them. Without it, all images are used.
        numbers: of kept rows, by purpose, instead of shares; the run ends when it has them.
    """

    shares: dict[str, float] = Field({})
    rows: int | None = Field(None, ge=1)
    numbers: dict[str, int] = Field({})

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.shares) == bool(self.numbers):
            raise ValueError("give shares of the kept rows, or numbers of them, one of the two")
        if self.shares and (min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > _ROUNDED):
            total = sum(self.shares.values())
            raise ValueError(f"the shares are {total:g} together; write positive ones that are 1 together")
        if self.numbers and (min(self.numbers.values()) < 1 or self.rows is not None):
            raise ValueError("numbers are 1 or more each, and rows goes with shares alone")
        return self

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes, in their order."""
        return tuple(self.shares or self.numbers)

    def quotas(self) -> dict[str, int]:
        """Return how many kept rows are asked for of each purpose; nothing where all images are used.

        >>> Mix(shares={"a": 0.25, "b": 0.75}, rows=10).quotas()
        {'a': 2, 'b': 8}
        """
        if self.rows is None:
            return dict(self.numbers)
        return {purpose: round(share * self.rows) for purpose, share in self.shares.items()}


class StopWhen(Section):
    """When a run stops by itself, because too much of it goes wrong.

    Attributes:
        failed: the largest share of failed images, 0 to 1.
        dropped: the largest share of dropped images.
        after: images done in this session before the shares count.
        alike: so many images, the first that reached a model, that all failed for one reason; 0 never stops for that.
    """

    failed: float | None = Field(None, ge=0, le=1)
    dropped: float | None = Field(None, ge=0, le=1)
    after: int = Field(500, ge=1)
    alike: int = Field(12, ge=0)


class Output(Section):
    """How the run is written.

    Attributes:
        shard_bytes: about how large a shard is.
        row_group_rows: the most rows of a row group, which is what a trainer reads at once.
        part_rows: images a part, the unit of work that a worker takes.
        pictures: `embed` copies the pictures into the shards; `reference` leaves those where they are that are files of
            the source and need no change, and the shards hold their paths.
    """

    shard_bytes: int = Field(500 * 10**6, ge=1)
    row_group_rows: int = Field(256, ge=1)
    part_rows: int = Field(256, ge=1)
    pictures: Literal["embed", "reference"] = "embed"


class Recipe(Section):
    """What to make.

    Attributes:
        task: names the product and stands in every row.
        source: where the images come from.
        images: limits on pictures.
        engines: the models, by name.
        stages: the conversation, step by step.
        mix: how many rows of each purpose are to be kept, if the stages have purposes.
        policy: a shipped policy's name, or the path of a policy file.
        one_after_the_other: whether the engine of the first stages works on all images first, and the next one then
            gets its GPUs; else all engines are served at once.
        seed: every draw depends on it and on the row alone.
        workers: Ray workers; none means one a CPU, at most four.
        in_flight: images in conversation at once, a worker.
        survey: what is found out about all pictures together before the first call, if anything.
        checks: what is measured of every picture before the first call, by name; the policy decides by the scores.
        stop_when: the guards of a run that goes wrong.
        output: how the run is written.
    """

    task: str = "visual_instruction"
    source: SourceSettings
    images: Images = Images()
    engines: dict[str, EngineSettings] = Field(min_length=1)
    stages: tuple[Stage, ...] = Field(min_length=1)
    mix: Mix | None = None
    policy: str = "standard"
    one_after_the_other: bool = False
    seed: int = 0
    workers: int | None = Field(None, ge=1)
    in_flight: int = Field(128, ge=1)
    survey: SurveySettings | None = None
    checks: tuple[str, ...] = ()
    stop_when: StopWhen = StopWhen()
    output: Output = Output()
    _prompts: dict[str, Prompt] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        for number, stage in enumerate(self.stages):
            if stage.engine not in self.engines:
                raise ValueError(
                    f"stages.{number}.engine '{stage.engine}' is not an engine: {nearest(stage.engine, self.engines)}"
                )
            try:
                prompt = self._prompts[stage.prompt] = load_prompt(stage.prompt)
            except PromptError as error:
                raise ValueError(f"stages.{number}.prompt: {error}") from error
            if prompt.answer.reads_as == "caption" and stage.as_turn and not prompt.instructions:
                raise ValueError(f"stages.{number}.as_turn needs instructions in the prompt '{stage.prompt}'")
            try:
                known(prompt.answer.reads_as, "datagen.stages.readers", "reader")
            except ValueError as error:
                told = f"answer.reads_as of the prompt '{stage.prompt}' is '{prompt.answer.reads_as}', but {error}"
                raise ValueError(f"stages.{number}.prompt: {told}") from error
            try:
                self.sampling(stage)
            except ValidationError as error:
                raise ValueError(f"stages.{number}.sampling.{sentence(error, Sampling)}") from error
        return self

    @model_validator(mode="after")
    def _purposes_fit(self) -> Self:
        purposes = self.mix.purposes if self.mix else ()
        for number, stage in enumerate(self.stages):
            if stage.purpose and self.mix is None:
                raise ValueError(f"stages.{number}.purpose '{stage.purpose}' needs a mix; add mix: {{shares: …}}")
            if stage.purpose and stage.purpose not in purposes:
                raise ValueError(
                    f"stages.{number}.purpose '{stage.purpose}' is not in mix: {nearest(stage.purpose, purposes)}"
                )
        if unmade := [name for name in purposes if name not in {stage.purpose for stage in self.stages}]:
            raise ValueError(
                f"mix names the purpose '{unmade[0]}', and no stage has it; add purpose: {unmade[0]} to one"
            )
        return self

    @field_validator("checks")
    @classmethod
    def _known_checks(cls, checks: tuple[str, ...]) -> tuple[str, ...]:
        for name in checks:
            known(name, "datagen.stages.checks", "check")
        if repeated := next((name for name in checks if checks.count(name) > 1), None):
            raise ValueError(f"'{repeated}' stands there twice; name a check once")
        return checks

    def prompt(self, stage: Stage) -> Prompt:
        """Return the stage's prompt, as its file was when the recipe was read; it travels with the recipe."""
        return self._prompts[stage.prompt]

    def sampling(self, stage: Stage) -> Sampling:
        """Return the prompt's sampling with the stage's overrides."""
        base = self.prompt(stage).sampling
        return Sampling.model_validate({**base.model_dump(), **stage.sampling})
