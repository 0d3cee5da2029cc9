"""The conversation about one sample: all stages in order, all turns close together at one replica.

Every engine has its own chat history: the pictures first, then each request and answer in turn, so that the prefix of
one turn is, byte for byte, the beginning of the next and the server's caches hit. A stage that uses another engine, and
a judge, start a history of their own, and reach what came before through their template (`caption`, `turns`).
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from datagen.engines import Engine
from datagen.recipe import Recipe
from datagen.stages.asking import Asking
from datagen.stages.chat_history import ChatHistory
from datagen.stages.sample import Sample
from datagen.stages.step import steps
from filters import Policy


class StageRunner:
    """Puts the stages of a recipe to its engines; one instance serves any number of samples at once.

    Args:
        recipe: the stages and the seed.
        engines: an open engine for each name that the stages have.
        stages: the numbers of those that are put; all if not given.
        policy: by which a stage with `on_drop: retry` takes an answer for unusable; none if not given.
    """

    def __init__(
        self,
        recipe: Recipe,
        engines: Mapping[str, Engine],
        stages: range | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._recipe = recipe
        self._engines = engines
        self._policy = policy
        self._steps = [step for step in steps(recipe) if stages is None or step.number in stages]

    async def run(self, sample: Sample, purpose: str = "") -> None:
        """Put all stages, or those of a purpose and those of none; the sample grows as answers come in.

        Raises:
            Failure: an answer stayed unusable, or a server refused; the sample holds what came before.
            EndpointsGoneError: an engine is out of reach.
        """
        histories: dict[tuple[str, int], ChatHistory] = {}
        async with AsyncExitStack() as leases:
            for step in self._steps:
                if step.stage.purpose not in ("", purpose):
                    continue
                name = step.stage.engine
                engine = self._engines[name]
                key = (name, step.number if step.reader.own_history else -1)
                if key not in histories:
                    lease = await leases.enter_async_context(engine.lease())
                    histories[key] = ChatHistory.opened(lease, step.prompt.system, self._recipe.engines[name].system)
                asking = Asking(
                    self._recipe,
                    step.number,
                    step.stage,
                    step.prompt,
                    step.sampling,
                    engine,
                    histories[key],
                    sample,
                    self._policy,
                )
                await step.reader.put(asking, sample)
