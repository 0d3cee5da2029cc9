"""The faults of training data by name, from `faults.yaml`: what each is, and what every trainer does with it.

Most trainers hide a bad row: they train on another one, or on nothing, and print at most a warning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

READERS: Mapping[str, tuple[str, ...]] = {
    "llava": ("LLaVA-NeXT", "VILA", "VILA-jp", "Qwen", "2U1", "LLM-jp-4-VL"),
    "internvl": ("InternVL",),
    "sharegpt": ("LLaMA-Factory", "ms-swift", "NeMo Automodel"),
    "messages": ("TRL", "Axolotl", "ms-swift"),
    "finevision": ("nanoVLM", "VILA"),
    "webdataset": ("webdataset", "datasets"),
    "energon": ("Energon", "Megatron-Bridge"),
}
"""The trainers that read a shape of data."""


class Fault(NamedTuple):
    """A fault.

    Attributes:
        says: what is wrong, and what to do.
        then: what a trainer does, by its name; of one that is not named nothing is known.
    """

    says: str
    then: Mapping[str, str]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    says: str
    everywhere: str = ""
    like: str = ""
    then: dict[str, str] = {}


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    usual: dict[str, dict[str, str]]
    faults: dict[str, _Entry]


def _read() -> dict[str, Fault]:
    catalogue = _Catalogue.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")))
    everyone = [trainer for trainers in READERS.values() for trainer in trainers]
    return {
        name: Fault(
            entry.says,
            (dict.fromkeys(everyone, entry.everywhere) if entry.everywhere else {})
            | (catalogue.usual[entry.like] if entry.like else {})
            | entry.then,
        )
        for name, entry in catalogue.faults.items()
    }


FAULTS: Mapping[str, Fault] = _read()
"""All faults that `datagen export --check` knows."""


def consequences(fault: str, shape: str) -> str:
    """Return what the trainers that read a shape do with a fault; those that do the same are named together.

    >>> consequences("text_not_string", "sharegpt")
    'LLaMA-Factory: stops; ms-swift: deletes the row; NeMo Automodel: trains on another row instead'
    """
    then = FAULTS[fault].then
    known = [trainer for trainer in READERS.get(shape, ()) if trainer in then]
    said = dict.fromkeys(then[trainer] for trainer in known)
    return "; ".join(f"{', '.join(it for it in known if then[it] == text)}: {text}" for text in said)
