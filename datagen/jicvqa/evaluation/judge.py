"""The judge: a language model that says which option an answer means that the rules cannot read."""

from collections.abc import Sequence
from pathlib import Path

from datagen.engines.openai import ChatClient
from datagen.errors import DatagenError
from datagen.failures import Failure
from datagen.jicvqa.choosing import Chooser, OutsideTheListError
from datagen.jicvqa.evaluation.items import Item
from datagen.jicvqa.evaluation.scoring import Outcome
from datagen.jicvqa.models import AnswerJournal, ModelServer, ShowProgress, checked, request_key, run_all
from datagen.jicvqa.templates import load_template
from datagen.stages.frames import without_thinking

NO_OPTION = "どれでもない"


def judged(items: Sequence[Item], server: ModelServer, journal_path: Path, show: ShowProgress) -> list[Item]:
    """Return the items, those that name none or several options read by a model.

    The judge sees the options and the answer, and neither the picture nor which option is right. Where it finds no
    option the outcome stays.

    Args:
        items: the answers.
        server: the judge.
        journal_path: where its answers are kept.
        show: shows progress.

    Raises:
        DatagenError: the judge cannot be asked.
    """
    unread = [number for number, item in enumerate(items) if item.outcome in ("none", "several")]
    found = list(items)
    if not unread:
        return found
    server = checked(server)
    template = load_template("judge")
    chooser = Chooser()
    with AnswerJournal(journal_path) as journal, show("asking the judge", len(unread)) as advance:

        async def ask(client: ChatClient, number: int) -> None:
            item = items[number]
            said = without_thinking(item.response)
            text = template.render(choices=item.choices, answer=said, none=NO_OPTION)
            allowed = [*item.choices, NO_OPTION]
            key = request_key(server.model, template.digest, text)
            if (chosen := journal.answers.get(key)) not in allowed:
                try:
                    chosen = await chooser.choose(client, text, allowed, 0)
                except OutsideTheListError:
                    return
                except Failure as failure:
                    raise DatagenError(
                        f"The judge {server.model} could not be asked ({failure.message}). Run the same command again: "
                        "the answers so far are kept."
                    ) from failure
                journal.add(key, chosen)
            if chosen != NO_OPTION:
                outcome: Outcome = "correct" if chosen == item.category else "wrong"
                found[number] = item._replace(outcome=outcome, chosen=chosen, read_by="judge")

        run_all(server, lambda client: (ask(client, number) for number in unread), advance)
    return found
