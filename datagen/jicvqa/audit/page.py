"""The audit as one HTML page that needs nothing else."""

from typing import NamedTuple

from datagen.jicvqa.audit.gates import Gates
from datagen.jicvqa.audit.scopes import CHANCE, Audit, Scope
from datagen.pages import Pages

_PAGES = Pages("datagen.jicvqa", "audit.css")

_LEFT, _WIDTH = 220.0, 240.0  # of the bars, in units of the drawing; the width stands for 100 %


class _Bar(NamedTuple):
    player: str
    value: float
    width: float
    low_x: float
    high_x: float
    high: bool


def audit_page(audit: Audit, gates: Gates) -> str:
    """Return the page; every name in it is escaped."""
    return _PAGES.render(
        "audit.html",
        audit=audit,
        confidence=gates.confidence,
        charts={name: _bars(scope) for name, scope in audit.scopes.items()},
        chance_x=_LEFT + _WIDTH * CHANCE,
        few=_few,
    )


def _bars(scope: Scope) -> list[_Bar]:
    return [
        _Bar(
            player,
            share.value,
            round(_WIDTH * share.value, 1),
            round(_LEFT + _WIDTH * share.low, 1),
            round(_LEFT + _WIDTH * share.high, 1),
            share.low > CHANCE,
        )
        for player, share in scope.players.items()
    ]


def _few(names: tuple[str, ...]) -> str:
    listed = "、".join(names[:6])
    return f"{listed} +{len(names) - 6}" if len(names) > 6 else listed or "none"
