"""Blocked authors (clause 10): the term of a blocking, its end, the list of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import RenderableType
from rich.text import Text

from desk.calendar import calendar_of
from desk.clocks import due
from desk.clocks import term as term_of
from desk.rights import THE_PROGRAM
from desk.text import NETWORKS, link, moment, plain, when
from desk.verbs import BLOCK_GROUNDS
from desk.work import act
from settings import ConfigError, OtklikError, Settings
from store.values import Author, ByHand, PageRef

if TYPE_CHECKING:
    from store import Store

log = logging.getLogger("otklik.desk")


def end_of(text: str, now: datetime, settings: Settings) -> datetime:
    """When a blocking for the term `text` ("30d", "10wd") ends. Raises ConfigError for what is no term."""
    try:
        if not re.fullmatch(r"\d{1,4}(m|h|d|wm|wh|wd)", text.strip(), re.ASCII):
            raise ValueError
        return due(now, term_of(text.strip()), calendar_of(settings))
    except (ValueError, OverflowError):
        raise ConfigError(f"--for {text[:40]}: нужен срок, например 12h, 30d или 10wd (рабочие дни)") from None


def lift_due(store: Store, settings: Settings, now: datetime, gate: Gate) -> list[dict[str, Any]]:
    """Unblock those whose term has ended, each with its entry in the log; what was lifted, as `Store.blocks` lists it,
    with `by_hand`: why a person has to do it on the page, None: nothing is left to do.

    The network first: what it can't do just now stays in the list for the next run. One that fails (somebody was
    quicker, the message is gone) holds up no other.
    """
    lifted = []
    for found in store.blocks(due=now):
        id = found["message_id"]
        try:
            running = [b for b in store.blocks(author_of=id) if b["message_id"] != id and _later(b, now)]
            refused = None
            if not running and not gate.block_ends(found["network"]):
                refused = gate.block(_page(store, found), Author(**found["author"]), None, "")
            found["by_hand"] = None if refused is None else refused.reason
            act(store, settings, id, "unblock", {"reason": "срок вышел"}, by=THE_PROGRAM.id, now=now, actor=THE_PROGRAM)
        except OtklikError as e:
            log.warning("message %s: its author was not unblocked: %s", found["message_id"], e)
        else:
            lifted.append(found)
    return lifted


class Gate(Protocol):
    """What can keep an author from a page: the networks, handed in by the program (`collectors.outlet.Outlet`)."""

    def block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None = None
    ) -> ByHand | None: ...

    def block_ends(self, network: str) -> bool:
        """Whether a blocking ends there by itself when its term does."""


def _later(block: Mapping[str, Any], now: datetime) -> bool:
    until = moment(block["until"])
    return until is not None and until > now


def _page(store: Store, found: Mapping[str, Any]) -> PageRef:
    place = (found["network"], found["page"])
    return next((s.page for s in store.page_states() if (s.page.network, s.page.id) == place), PageRef(*place))


def carry_out(store: Store, gate: Gate, ids: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Have the networks do what the store says of the authors of these messages: (message, what came of it, whether
    nothing more is to be done). An author is blocked as long as one message says so; asking again does no harm."""
    seen: set[tuple[str, str, str]] = set()
    for id in ids:
        message = store.message(id)
        author, place = message["author"], (message["network"], message["page"])
        if author["id"] is None or (*place, author["id"]) in seen:
            continue
        seen.add((*place, author["id"]))
        page = _page(store, message)
        case = store.desk(id)["case"] or {}
        running = store.blocks(author_of=id)
        until, ground = None, ""
        hidden = message["external_id"] if case.get("hidden") else None
        if running:
            until, ground = moment(running[-1]["until"]), running[-1]["ground"]  # the list ends with the latest term
        try:
            refused = gate.block(page, Author(author["id"], author["name"], author["url"]), until, ground, hidden)
        except OtklikError as e:
            yield id, f"в сети не вышло: {e}; повторите: otklik queue blocks --send", False
            continue
        if refused is not None:
            yield id, f"в сети сделайте сами: {refused.reason}", False
        else:
            yield id, f"автор {'заблокирован' if running else 'разблокирован'} на странице", True


def told(found: Sequence[Mapping[str, Any]]) -> str:
    """One sentence on what was lifted, and what is left to do on the page."""
    ids = ", ".join(str(b["message_id"]) for b in found[:10]) + (" и других" if len(found) > 10 else "")
    said = f"срок блокировки вышел по сообщениям {ids}"
    left = {b["by_hand"]: b["message_id"] for b in reversed(found) if b["by_hand"]}
    if not left:
        return f"{said}: она снята"
    return f"{said}: снимите её на странице сами ({'; '.join(f'{id}: {why}' for why, id in left.items())})"


def table(
    found: Sequence[Mapping[str, Any]],
    titles: Mapping[tuple[str, str], str],
    *,
    zone: str,
    now: datetime,
    lifted: bool = False,
) -> RenderableType:
    """The list for a terminal: who, where, for what, until when, and what is to be done by hand."""
    from desk.show import _table

    if not found:
        return Text("Никого не разблокировано." if lifted else "Никто не заблокирован.", style="dim")
    out = _table(("№", {"justify": "right", "no_wrap": True}), ("До", {"no_wrap": True}), "Кто и где", "За что")
    for b in found:
        author, where = b["author"], (b["network"], b["page"])
        page = plain(titles.get(where) or b["page"])
        who = Text(plain(author["name"]) or "автор без имени")
        who.append(f"\n{page} ({NETWORKS.get(b['network'], plain(b['network']))})", style="dim")
        if address := link(author["url"]):
            who.append(f"\n{address}", style="dim")
        over = (end := moment(b["until"])) is not None and end <= now
        until = Text(when(b["until"], zone), style="bold red" if over else "")
        if lifted:
            until.append("\nснято; снимите на странице" if b.get("by_hand") else "\nснято", style="not bold")
        elif over:
            until.append("\nсрок вышел", style="not bold")
        out.add_row(plain(b["message_id"]), until, who, Text(BLOCK_GROUNDS.get(b["ground"], plain(b["ground"]))))
    return out
