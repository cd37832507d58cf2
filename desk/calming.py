"""An alert that a person calls false (`correct --no-emergency`): what the Head has been told of is over, what nobody
has been told of yet goes on.

One person's word must not keep an emergency from the Head (clauses 9, 17): it ends the ringing, not the telling. What
the same person had raised may be taken back: then nobody else has called it an emergency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store import Store


@dataclass(frozen=True, slots=True)
class Calmed:
    """An alert of the message; `over`: it is acknowledged now."""

    alert_id: str
    over: bool


def calm(store: Store, id: str, *, by: str, now: datetime) -> list[Calmed]:
    """End the alert of this message as far as it has been delivered; one that was acknowledged before is not listed."""
    waiting = {a["id"] for a in store.message(id, full=True)["alerts"] if not a["acknowledged_at"]}
    mine = {
        e["at"]
        for e in (store.desk(id)["log"] if waiting else ())
        if e["verb"] == "correct" and e["actor"] == by and e["details"].get("emergency") is True
    }
    found = []
    for alert in store.alerts(("raised", "escalated")) if waiting else ():
        if alert["id"] in waiting:
            over = alert["created_at"] in mine or any(d["delivered_at"] for d in alert["deliveries"])
            if over:
                store.acknowledge(alert["id"], by, now)
            found.append(Calmed(alert["id"], over))
    return found


def told(found: Sequence[Calmed]) -> list[str]:
    """What to tell the person, a line an alert."""
    return [
        f"тревога {c.alert_id} снята"
        if c.over
        else f"тревога {c.alert_id} ещё никому не доставлена и остаётся; снять и её: otklik alerts ack {c.alert_id}"
        for c in found
    ]
