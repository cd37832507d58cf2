"""A consumer's copy against the log: what is missing, extra, different, out of order; what should have been removed.

A copy is NDJSON (from `read`, HTTP or webhooks) or the CSV of `export`. Webhooks keep the order of each message's
events only, and deliver at least once: so order is compared within a message, and a repeated event is told but no
fault. A consumer may remove the events of a message after its tombstone: they are not missing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from feed.scope import DELETED, FORGOTTEN, View
from settings import ConfigError

if TYPE_CHECKING:
    from store import Store

NAMED = 20
RESTORED = "otklik.message.restored"
_COMPARED = ("seq", "id", "type", "time", "data")
_MOST = 64 * 1024 * 1024


@dataclass(slots=True)
class Found:
    """How many, and the first of them by number."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(number)


@dataclass(slots=True)
class Verdict:
    """Faults: missing, extra, different, disorder, forgotten (erased here, still in the copy), unreadable (lines).
    No faults: equal; behind (not yet read), removed (after a tombstone), repeated, older (no longer kept here), kept
    (events of deleted messages that the copy still has)."""

    equal: int = 0
    missing: Found = field(default_factory=Found)
    extra: Found = field(default_factory=Found)
    different: Found = field(default_factory=Found)
    disorder: Found = field(default_factory=Found)
    forgotten: Found = field(default_factory=Found)
    unreadable: Found = field(default_factory=Found)
    behind: int = 0
    removed: int = 0
    repeated: int = 0
    older: int = 0
    kept: int = 0

    @property
    def same(self) -> bool:
        faults = (self.missing, self.extra, self.different, self.disorder, self.forgotten, self.unreadable)
        return not any(f.count for f in faults)


Event = Mapping[str, Any]


def events_of(file: BinaryIO) -> Iterator[tuple[int, Event | None]]:
    """(number of the line, the event; None when it is none)."""
    head = file.read(4)
    file.seek(0)
    if head.startswith((b"\xef\xbb\xbfs", b"seq,")):
        yield from _from_csv(file)
        return
    for n, line in enumerate(iter(lambda: file.readline(_MOST), b""), 1):
        if not line.strip():
            continue
        try:
            yield n, _event(orjson.loads(line))
        except orjson.JSONDecodeError:
            yield n, None


def _from_csv(file: BinaryIO) -> Iterator[tuple[int, Event | None]]:
    csv.field_size_limit(_MOST)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", errors="replace")
    reader = csv.DictReader(text)
    try:
        if not set(_COMPARED) <= set(reader.fieldnames or ()):
            raise ConfigError(f"в первой строке CSV нужны столбцы {', '.join(_COMPARED)}: его пишет otklik feed export")
        for found in reader:
            try:
                event = {"seq": int(found["seq"]), **{k: found[k] for k in ("id", "type", "time", "subject")}}
                yield reader.line_num, _event({**event, "data": orjson.loads(found["data"])})
            except (ValueError, TypeError, KeyError):
                yield reader.line_num, None
    except csv.Error:
        yield reader.line_num, None
    finally:
        text.detach()  # the file is its opener's to close


def _event(value: Any) -> Event | None:
    ok = isinstance(value, dict) and isinstance(value.get("seq"), int) and isinstance(value.get("data"), dict)
    return value if ok else None


def _same(a: Event, b: Event) -> bool:
    return all(a.get(k) == b.get(k) for k in _COMPARED)


def compare(store: Store, copy: Iterator[tuple[int, Event | None]], view: View) -> Verdict:
    """Two passes over the log, one over the copy; memory for the messages and for what is missing, not for events."""
    first, last_kept = store.first_seq(), store.last_seq()
    gone = _tombstones(store)
    log = (e for raw in store.events_raw(0, 2**62) if (e := view.event(orjson.loads(raw))) is not None)
    told, lacking, at = Verdict(), {}, 0
    latest: dict[str, int] = {}
    here = next(log, None)

    def judge(copied: Event, ours: Event) -> None:
        if _same(copied, ours):
            told.equal += 1
            if ours["type"] not in (DELETED, FORGOTTEN) and gone.get(ours.get("subject") or "", 0) > ours["seq"]:
                told.kept += 1
        elif ours["type"] == FORGOTTEN:
            told.forgotten.add(ours["seq"])
        else:
            told.different.add(ours["seq"])

    for line, event in copy:
        if event is None:
            told.unreadable.add(line)
            continue
        seq, subject = event["seq"], str(event.get("subject") or "")
        if seq in lacking or seq <= at:
            if seq not in lacking:
                told.repeated += 1
                continue
            del lacking[seq]
            ours = view.event(store.events(seq - 1, 1)[0])
            if subject and latest.get(subject, 0) > seq:
                told.disorder.add(seq)
            judge(event, ours or {})
        else:
            while here is not None and here["seq"] < seq:
                lacking[here["seq"]] = here.get("subject") or ""
                here = next(log, None)
            if here is not None and here["seq"] == seq:
                judge(event, here)
                here = next(log, None)
            elif seq < first:
                told.older += 1
            else:
                told.extra.add(seq)
                if seq > last_kept:
                    continue  # nothing of ours stands behind it
            at = seq
        latest[subject] = max(latest.get(subject, 0), seq)
    while here is not None:
        told.behind += 1
        here = next(log, None)
    for seq, subject in lacking.items():
        if gone.get(subject, 0) > seq:
            told.removed += 1
        else:
            told.missing.add(seq)
    return told


def _tombstones(store: Store) -> dict[str, int]:
    """Message -> the number of its last tombstone that still holds."""
    gone: dict[str, int] = {}
    for event in (orjson.loads(raw) for raw in store.events_raw(0, 2**62)):
        subject = event.get("subject")
        if subject is None:
            continue
        if event["type"] in (DELETED, FORGOTTEN):
            gone[subject] = event["seq"]
        elif event["type"] == RESTORED:
            gone.pop(subject, None)
    return gone
