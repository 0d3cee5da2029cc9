"""A check that asks a service of yours about every picture, before a model is paid for it."""

import json
import os

import urllib3

from datagen.errors import DatagenError
from datagen.pictures.picture import Picture
from datagen.stages.checks import Measurement

_CLIENT = urllib3.PoolManager(
    maxsize=32,
    timeout=urllib3.Timeout(connect=3, read=10),
    retries=urllib3.Retry(2, allowed_methods=None, backoff_factor=0.2),
)
"""The one client of this process; checks run in several threads at once, and share its connections."""


def unsafe(picture: Picture) -> Measurement:
    """Return what the service at CHECK_SERVICE says of a picture: `{"score": 0.03, "reason": "…"}`.

    Raises:
        DatagenError: the service is gone. The run stops with this sentence; the same command goes on.
        ValueError: it cannot say anything of this picture, whose row alone fails.
    """
    address = os.environ.get("CHECK_SERVICE", "http://127.0.0.1:9000/score")
    again = "Start it (CHECK_SERVICE says where it is), and run the same command again: what is done is kept."
    try:
        answer = _CLIENT.request("POST", address, body=picture.data, headers={"Content-Type": picture.media_type})
    except urllib3.exceptions.HTTPError as error:
        reason = type(getattr(error, "reason", None) or error).__name__
        raise DatagenError(f"The service {address} does not answer ({reason}). {again}") from error
    if answer.status >= 500:
        raise DatagenError(f"The service {address} is in trouble (HTTP {answer.status}). {again}")
    if answer.status != 200:
        raise ValueError(f"HTTP {answer.status}: {answer.data[:200].decode(errors='replace')}")
    said = json.loads(answer.data)
    return Measurement(float(said["score"]), str(said.get("reason", "")))
