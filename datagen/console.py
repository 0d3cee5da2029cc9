"""What is printed: text as it is, whatever a model, a file name or a server has put into it.

Rich reads `[old]` as markup, and a terminal obeys control characters: an answer could clear the screen, a file name
hide itself or turn a line around. On a `PlainConsole` text is only ever text, and what would steer the terminal is
written out; style goes beside the text, by `styled`.
"""

import io
import os
import re
import shlex
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# C0 but tab and line feed, C1, what changes the direction or breaks the line, and halves of surrogate pairs.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ud800-\udfff]"
)
_SHORT = {"\r": r"\r", "\n": r"\n", "\t": r"\t"}


def shown(text: str) -> str:
    r"""Return a text with all that would steer a terminal written out; line feeds and tabs stay.

    >>> shown("花\x1b[2J.png\r"), shown("cat\u202egnp.exe")
    ('花\\x1b[2J.png\\r', 'cat\\u202egnp.exe')
    """
    return _STEERING.sub(_written_out, text)


def on_one_line(text: str) -> str:
    r"""Return a name or a message as one line: as `shown`, and with line feeds and tabs written out too.

    >>> on_one_line("花\n桜.png")
    '花\\n桜.png'
    """
    return shown(text).replace("\n", _SHORT["\n"]).replace("\t", _SHORT["\t"])


def pasteable(path: object) -> str:
    r"""Return a path as a shell reads it, for commands that a reader pastes.

    >>> pasteable("runs/photos"), pasteable("my run [2]"), pasteable("it's\x1b")
    ('runs/photos', "'my run [2]'", "$'it\\'s\\x1b'")
    """
    text = str(path)
    if on_one_line(text) == text:
        return shlex.quote(text)
    # The quotation of bash and zsh in which characters can be written out; not UTF-8 are the bytes of a surrogate.
    return "$'" + "".join(_in_quotation(character) for character in text) + "'"


def styled(*pieces: str | tuple[str, str]) -> Text:
    """Return a text made of pieces, each a string or a string and its style.

    >>> styled(("[old]", "bold"), " holds 3 rows").plain
    '[old] holds 3 rows'
    """
    return Text.assemble(*(shown(piece) if isinstance(piece, str) else (shown(piece[0]), piece[1]) for piece in pieces))


class PlainConsole(Console):
    """A console that shows every string as it is, and falls silent when nobody reads it any more."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(
            stderr=stderr,
            soft_wrap=soft_wrap,
            quiet=quiet,
            markup=False,
            emoji=False,
            highlight=False,
            # FORCE_COLOR asks for colours where there is no terminal (notebooks set it), not for lines drawn over.
            force_interactive=None if stream and stream.isatty() else False,
        )

    def render_str(self, text: str, **options: object) -> Text:
        """Make the text of a string, as everything does that prints one."""
        return super().render_str(shown(text), **options)  # type: ignore[arg-type]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; nothing but Rich's own movements of the cursor leaves as a control character."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))

    def on_broken_pipe(self) -> None:
        """Go on without a word: the work counts, whoever has stopped reading (`datagen report … | head -1`)."""
        self.quiet = True
        discard_output(self.file.fileno())


def open_streams() -> None:
    """Make standard output and error take any text.

    What the encoding of a stream has no characters for is written out, and a stream that is closed goes nowhere:
    otherwise the next file to be opened would be taken for it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (open until the end)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output(stream: int) -> None:
    """Send what is written to a stream from now on nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    # Four digits from DEL on, so that the JSON of --json stays the same JSON.
    return _SHORT.get(character) or (f"\\x{ord(character):02x}" if character < "\x7f" else f"\\u{ord(character):04x}")


def _in_quotation(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return on_one_line(character)
