"""The gates of an audit: how much a build may give away, and the file that says so."""

from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datagen.errors import DatagenError
from filters.errors import sentence


class Gates(BaseModel):
    """What an audit must find to pass; null switches a gate off.

    Attributes:
        confidence: of all intervals.
        blind_excess: the lower end of no blind player's interval may be more than this above one quarter, overall and
            in each subset; that interval allows for the number of players, since of many who guess some are lucky.
        ceiling_excess: the best that a player could do who knows every option set's answer frequencies may be at most
            this above one quarter.
        position_p: the smallest p value of the χ² test on the positions of the answers, which are left to chance.
        conflicting_names: how many questions may have two options that contain or spell one another.
        ambiguous: how many questions may have a wrong option that a model who saw the picture takes for true.
        twin_bits: pictures of different classes whose hashes differ in at most so many bits count as twins.
        twins: how many twins there may be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    confidence: float = Field(0.95, gt=0.5, lt=1)
    blind_excess: float | None = Field(0.02, ge=0)
    ceiling_excess: float | None = Field(0.02, ge=0)
    position_p: float | None = Field(0.0001, gt=0, lt=1)
    conflicting_names: int | None = Field(0, ge=0)
    ambiguous: int | None = Field(None, ge=0)
    twin_bits: int = Field(4, ge=0, le=16)
    twins: int | None = Field(None, ge=0)


class GateResult(NamedTuple):
    """One gate, whether it passed, and the sentence that says so."""

    gate: str
    passed: bool
    sentence: str


def load_gates(path: Path | None) -> Gates:
    """Read the gates from YAML, or return the default ones.

    Raises:
        DatagenError: the file cannot be read, or a field is wrong.
    """
    if path is None:
        return Gates()
    try:
        return Gates.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise DatagenError(f"The gates {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise DatagenError(f"{path}: {sentence(error, Gates)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date that is none
        raise DatagenError(f"The gates {path} are not valid YAML: {' '.join(str(error).split())}.") from error
