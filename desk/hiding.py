"""Hiding comments (clause 10's grounds): carried out where a network can, and shown again; nothing is deleted.

Hiding is the step at the desk first, then the network: what is left undone is asked for again and does no harm. Showing
again goes the other way round: as long as the store says "hidden", a comment that the network does not show is not
taken for deleted, so the store forgets it last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import RenderableType
from rich.text import Text

from desk.states import Refusal
from desk.text import NETWORKS, link, plain
from desk.verbs import BLOCK_GROUNDS, apply
from desk.work import Refused, act, case_of, facts_of, known_actor
from settings import OtklikError, Settings
from store.values import ByHand, PageRef

if TYPE_CHECKING:
    from store import Store


class Gate(Protocol):
    """What can hide a comment: the networks, handed in by the program (`collectors.outlet.Outlet`)."""

    def hide(self, page: PageRef, external_id: str, hidden: bool) -> ByHand | None: ...


def carry_out(store: Store, gate: Gate, ids: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Have the networks hide these comments, as far as the store says that they are hidden: (message, what came of it,
    whether nothing more is to be done)."""
    for id in dict.fromkeys(ids):
        message, case = store.message(id), store.desk(id)["case"] or {}
        if not case.get("hidden") or message["deleted_at"] is not None:
            continue
        try:
            refused = gate.hide(_page(store, message), message["external_id"], True)
        except OtklikError as e:
            yield id, f"в сети не вышло: {e}; повторите: otklik queue hidden --send", False
            continue
        if refused is not None:
            yield id, f"в сети сделайте сами: {refused.reason}", False
        else:
            yield id, "комментарий скрыт на странице", True


def show_again(
    store: Store, settings: Settings, gate: Gate | None, id: str, reason: str | None, *, by: str, now: datetime
) -> tuple[dict[str, Any], str | None]:
    """Show a comment in the network (no `gate`: a person does it), then record it: (the message, what is left to do).

    Raises `Refused`, and what stands in the way of the network; nothing is recorded then.
    """
    message, data = store.message(id), store.desk(id)["case"]
    case, args = case_of(message, data, settings), {"reason": reason}
    found = apply(case, facts_of(message), "unhide", known_actor(settings, by, now), args, now, settings)
    if isinstance(found, Refusal):
        raise Refused(f"сообщение {message['id']}: {found.sentence}")
    left = None
    if case.hidden is not None and gate is not None and message["deleted_at"] is None:
        refused = gate.hide(_page(store, message), message["external_id"], False)
        left = None if refused is None else f"в сети сделайте сами: {refused.reason}"
    return act(store, settings, id, "unhide", args, by=by, now=now), left


def _page(store: Store, message: Mapping[str, Any]) -> PageRef:
    place = (message["network"], message["page"])
    return next((s.page for s in store.page_states() if (s.page.network, s.page.id) == place), PageRef(*place))


def table(found: Sequence[Mapping[str, Any]], titles: Mapping[tuple[str, str], str]) -> RenderableType:
    """The list for a terminal."""
    from desk.show import _table

    if not found:
        return Text("Скрытых комментариев нет.", style="dim")
    out = _table(("№", {"justify": "right", "no_wrap": True}), "Кто и где", "За что")
    for h in found:
        where = (h["network"], h["page"])
        who = Text(plain(h["author"]["name"]) or "автор без имени")
        who.append(
            f"\n{plain(titles.get(where) or h['page'])} ({NETWORKS.get(h['network'], plain(h['network']))})", "dim"
        )
        if address := link(h["url"]):
            who.append(f"\n{address}", "dim")
        ground = BLOCK_GROUNDS.get(h["ground"], plain(h["ground"]))
        out.add_row(plain(h["message_id"]), who, ground + ("; автор удалил его" if h["deleted_at"] else ""))
    return out
