"""Why an image can end as `failed`: one class and one sentence each.

A `Failure` is about one image and never stops a run. What stops a run is a `datagen.errors.DatagenError`.
"""

from typing import Literal, get_args

FailureClass = Literal[
    "unreadable",  # the bytes could not be read from the source
    "not_an_image",  # the bytes are no picture of a known format
    "corrupt_image",  # a picture that is cut short or broken
    "too_large",  # over the limit in bytes or pixels
    "too_small",  # under the limit in pixels
    "http_error",  # the server refused the request, or kept failing
    "timeout",  # the server did not answer in time, again and again
    "bad_response",  # the server's response is not a chat completion
    "length",  # the answer reached max_tokens
    "unfinished",  # the answer ended neither by itself nor there: content_filter, abort, …
    "empty_answer",  # the model said nothing, or only thought
    "unparsable_answer",  # the answer is not of the shape that was asked for
    "lost_structure",  # a translation without a turn, or a mark, of the original
    "refused_caption",  # a caption that says that the picture will not or cannot be described
    "unusable_caption",  # a caption with control strings, or caught in a loop
    "prompt_error",  # the prompt's template failed on what came before
    "check_error",  # a check raised on a picture
    "rule_error",  # a rule raised on the row; its answers are kept, and judged again at the next cut
    "bad_row",  # a row of `datagen filter` that has no conversation
    "internal",  # a defect of datagen; the message names the exception
]
OF_THE_PICTURE = frozenset({"unreadable", "not_an_image", "corrupt_image", "too_large", "too_small"})
"""What fails a row before anything is asked about it; no model and no recipe has to do with it."""
FAILURE_CLASSES: tuple[str, ...] = get_args(FailureClass)


class Failure(Exception):  # noqa: N818 (a failed row is an outcome, not a program error)
    """The end of one image: `failure_class` for the counts, the message (made valid Unicode) for the reader."""

    def __init__(self, failure_class: FailureClass, message: str) -> None:
        message = message.encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(message)
        self.failure_class: FailureClass = failure_class
        self.message = message
