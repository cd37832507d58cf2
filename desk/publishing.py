"""Publishing approved answers (clause 7.7): intention, sending, reading back, the step; once, whatever breaks.

The order is what makes it safe. The intention is committed before anything leaves; so after a crash it is known that
the network may have the answer, and the next run looks for it there before it sends anything. A receipt is committed as
soon as it comes; from then on nothing is ever sent. The message moves to "published" only when the answer was read
back, seen as residents see it. One run at a time works on a message (a lock that dies with the process).

The network itself is an `Outlet`, handed in: this room knows none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from desk.checks.personal import speaks_to
from desk.rights import Actor, actor
from desk.states import Case, Refusal, load
from desk.verbs import NOTICES, apply
from desk.work import Refused, act, case_of, facts_of, known_actor
from settings import LOCKED, PARTLY, OtklikError, Settings, scrub
from store.values import Answer, Author, ByHand, PageRef, Publication, Receipt, utcnow

if TYPE_CHECKING:
    from store import Store

OWN = "administration"
"""`pages[].owner` of the pages that the administration itself writes as."""
UNDERWAY = ("intended", "sent", "seen")


class Outlet(Protocol):
    """What publishes: the networks. Whatever passes by itself is raised as an `OtklikError`."""

    def closed(self, network: str) -> str | None:
        """Why nothing can be published in this network (Russian); None when it can."""

    def send(self, answer: Answer) -> Receipt | ByHand:
        """Publish. The same `guid` again writes nothing."""

    def find(self, answer: Answer, since: datetime, besides: frozenset[str]) -> Receipt | None:
        """The answer as the network shows it, None when it shows none."""


class Busy(OtklikError):
    """Another run is publishing this message right now."""

    exit_code = LOCKED


@dataclass(frozen=True, slots=True)
class Published:
    """It stands there and is recorded. `message`: as it is now, with `version`."""

    id: str
    url: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handed:
    """A person has to publish `text` under `link` and say where: `queue publish ID --url`."""

    id: str
    reason: str
    link: str
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not done; the next run takes it up. `problem` is Russian; `exit_code` as of the error."""

    id: str
    problem: str
    exit_code: int = PARTLY


Outcome = Published | Handed | Waiting


def publish(
    store: Store,
    settings: Settings,
    outlet: Outlet,
    id: str,
    *,
    by: str,
    version: int | None = None,
    clock: Callable[[], datetime] = utcnow,
) -> Outcome:
    """Publish the approved answer of one message, or go on where an earlier run stopped.

    Raises `Refused`, `NotFound`, `Busy`, `StoreError`; nothing was sent then. `version` as in `desk.work.act`.
    """
    with alone(store, id):
        return _Publishing(store, settings, outlet, clock).run(id, by, version)


def notify(
    store: Store,
    settings: Settings,
    outlet: Outlet,
    id: str,
    kind: str,
    text: str,
    *,
    by: str,
    clock: Callable[[], datetime] = utcnow,
) -> Outcome:
    """Publish a notice that the author is owed (clauses 7.1, 7.9), with the same care; one under way is finished."""
    with alone(store, id):
        id = str(store.message(id)["id"])
        underway = {p.n: p for p in store.publications(id) if p.state in UNDERWAY}
        rows = [r for r in store.desk(id)["replies"] if r["kind"] == kind and r["state"] == "approved"]
        row = next((r for r in rows if r["n"] in underway), None) or next((r for r in rows if r["text"] == text), None)
        if row is None:
            act(store, settings, id, "notify", {"kind": kind, "text": text}, by=by, now=clock())
            n = store.desk(id)["replies"][-1]["n"]
        else:
            n = row["n"]
            message, desk = store.message(id), store.desk(id)
            case = case_of(message, desk["case"], settings)
            person = known_actor(settings, by, clock())
            refused = apply(case, facts_of(message), "notify", person, {"kind": kind}, clock(), settings)
            if isinstance(refused, Refusal):
                raise Refused(f"сообщение {id}: {refused.sentence}")
        work = _Publishing(store, settings, outlet, clock)
        return work.send(store.message(id), store.desk(id), n, known_actor(settings, by, clock()), None, kind)


def alone(store: Store, id: str) -> Any:
    """The lock of whoever publishes this message; `Busy` when somebody else does. Raises `NotFound`."""
    id = str(store.message(id)["id"])  # "07" is 7, and one message has one lock
    lock = store.try_lock(f"publish:{id}")
    if lock is None:
        raise Busy(f"ответ на сообщение {id} сейчас размещает другой запуск; повторите позже")
    return lock


def resume(
    store: Store, settings: Settings, outlet: Outlet, *, clock: Callable[[], datetime] = utcnow
) -> Iterator[Outcome]:
    """Take up everything that a crash, an outage or a slow network has left, in the name of who began it."""
    for left in store.unfinished():
        try:
            with alone(store, left.message_id):
                work = _Publishing(store, settings, outlet, clock)
                if not work.outdated(left):
                    yield work.run(left.message_id, left.by, None, begun=left)
        except Busy:
            continue
        except OtklikError as e:
            yield Waiting(left.message_id, str(e), e.exit_code)


class _Publishing:
    def __init__(self, store: Store, settings: Settings, outlet: Outlet, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.settings = settings
        self.outlet = outlet
        self.clock = clock

    def outdated(self, p: Publication) -> bool:
        """A notice that the answer has overtaken is not sent any more; whether it went out then does not matter."""
        desk = self.store.desk(p.message_id)
        kind = next((r["kind"] for r in desk["replies"] if r["n"] == p.n), None)
        if kind not in NOTICES or kind in load(desk["case"]).owed:
            return False
        self.store.drop_publication(p.message_id, p.n, self.clock())
        return True

    def run(self, id: str, by: str, version: int | None, begun: Publication | None = None) -> Outcome:
        message, desk = self.store.message(id), self.store.desk(id)
        id = str(message["id"])
        case = case_of(message, desk["case"], self.settings)
        kinds = {r["n"]: r["kind"] for r in desk["replies"]}
        notice = kinds[begun.n] if begun is not None and kinds[begun.n] in NOTICES else None
        # Whose right counts is decided when the person decides: an absence may end before a network comes back.
        # Somebody who is gone from the configuration decides nothing any more; another person can go on.
        person = actor(self.settings, by, begun.at if begun else self.clock())
        if person is None and begun is not None:
            raise Refused(
                f"сообщение {id}: размещение начал {by[:60]}, которого больше нет в настройках; "
                f"доведите его до конца: {self._command(id, notice)} --by ВАШ_ID"
            )
        person = person or known_actor(self.settings, by, self.clock())
        verb, args = ("notify", {"kind": notice}) if notice else ("publish", {})
        refused = apply(case, facts_of(message), verb, person, args, self.clock(), self.settings)
        if isinstance(refused, Refusal):
            raise Refused(f"сообщение {id}: {refused.sentence}")
        if notice is not None and begun is not None:
            return self.send(message, desk, begun.n, person, version, notice)
        assert case.reply is not None  # an approved case has one
        return self.send(message, desk, case.reply.n, person, version)

    @staticmethod
    def _command(id: str, notice: str | None) -> str:
        return f"otklik queue notify {id} --kind {notice} --send" if notice else f"otklik queue publish {id}"

    def send(
        self,
        message: Mapping[str, Any],
        desk: Mapping[str, Any],
        n: int,
        person: Actor,
        version: int | None,
        notice: str | None = None,
    ) -> Outcome:
        """Publish reply `n`; `person`: who decided it, now or before; `notice`: which one it is, None for an answer."""
        id = str(message["id"])
        text = next(r["text"] for r in desk["replies"] if r["n"] == n)
        known = {p.n: p for p in self.store.publications(id)}
        begun = known.get(n)
        answer = answer_to(self.store, self.settings, message, n, text)
        closed = answer.reason if isinstance(answer, ByHand) else self.outlet.closed(message["network"])
        if closed is not None:
            if begun is not None and begun.state in UNDERWAY:
                return Waiting(id, f"ответ, возможно, уже размещён, а проверить нельзя: {closed}")
            return Handed(id, closed, message["url"], text)
        assert isinstance(answer, Answer)
        p = self.store.intend(id, n, answer.guid, by=person.id, now=self.clock(), version=version)
        besides = frozenset(q.receipt.external_id for q in known.values() if q.n != n and q.receipt is not None)
        return self._deliver(p, answer, besides, message["url"], person, notice)

    def _deliver(
        self,
        p: Publication,
        answer: Answer,
        besides: frozenset[str],
        link: str,
        person: Actor,
        notice: str | None,
    ) -> Outcome:
        """From a committed intention to the step."""
        id, n = p.message_id, p.n
        try:
            receipt = p.receipt
            if receipt is None and p.attempts > 1:  # an earlier try may have succeeded unnoticed
                receipt = self.outlet.find(answer, p.at, besides)
            if receipt is None:
                sent = self.outlet.send(answer)
                if isinstance(sent, ByHand):
                    self.store.troubled(id, n, sent.reason, self.clock(), by_hand=True)
                    return Handed(id, sent.reason, link, answer.text)
                receipt = sent
            if p.receipt is None:
                self.store.received(id, n, receipt, self.clock())
            if p.state != "seen":
                shown = self.outlet.find(answer, p.at, besides)
                if shown is None:
                    raise OtklikError(
                        f"сеть приняла ответ ({receipt.url}), но пока его не показывает; "
                        "повторите позже или посмотрите сами"
                    )
                receipt = shown
                self.store.seen(id, n, receipt, self.clock())
        except OtklikError as e:
            self.store.troubled(id, n, scrub(str(e)), self.clock())
            return Waiting(id, str(e), e.exit_code)
        verb, done = ("notify", {"kind": notice, "n": n}) if notice else ("publish", {})
        said = {**done, "url": receipt.url}
        message = act(self.store, self.settings, id, verb, said, by=person.id, now=self.clock(), actor=person)
        return Published(id, receipt.url, message)


# --- what is published where ------------------------------------------------------------------------------------------


def answer_to(store: Store, settings: Settings, message: Mapping[str, Any], n: int, text: str) -> Answer | ByHand:
    """The answer number `n` to this message, ready to leave; `ByHand` when nobody can speak there.

    Clause 7.7: answers are published from the administration's own page in the network where the message stands: that
    page itself when the message stands there, else the first of the administration's pages of this network.
    """
    network = message["network"]
    seen = {s.page.id: s.page for s in store.page_states() if s.page.network == network}
    ours = list(_own_pages(store, settings, network))
    page = seen.get(message["page"])
    if page is None or not ours:
        return ByHand(f"среди страниц сети {network} нет своей (pages, owner: administration)")
    author = message["author"]
    return Answer(
        page=page,
        post_id=message["post_id"],
        external_id=message["external_id"],
        author=Author(author["id"], author["name"], author["url"]),
        text=text,
        speaker=next((p for p in ours if p.id == page.id), ours[0]),
        guid=guid_of(network, message["external_id"], message["id"], n, text),
    )


def _own_pages(store: Store, settings: Settings, network: str) -> Iterator[PageRef]:
    """The administration's pages in the order of the configuration, as far as they have been found in the network."""
    for page in settings.pages:
        if page.network == network and page.owner == OWN:
            known = store.resolved(page.network, page.id)
            if known is not None:
                yield known[0]


def guid_of(network: str, external_id: str, message_id: str, n: int, text: str) -> str:
    """The same for every attempt to publish this reply in this thread, and for nothing else."""
    said = "\x1f".join((network, external_id, str(message_id), str(n), text))
    return "otklik-" + hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


# --- one answer for a whole question ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """Another message of the same question. `why` it is left out (Russian); None: it gets the answer."""

    id: str
    message: Mapping[str, Any]
    joined: bool = False
    why: str | None = None


def members(store: Store, settings: Settings, id: str) -> list[Member]:
    """The other messages of this message's question, and which of them the answer goes to (clause 7.11)."""
    return list(_members(store, settings, store.message(id)["id"]))


def _members(store: Store, settings: Settings, id: str) -> Iterator[Member]:
    for message in store.repeats(id, limit=100_000):
        if message["id"] == id:
            continue
        status, data = message["status"], None
        joined = False
        if status == "approved":
            data = store.desk(message["id"])["case"]
            case = case_of(message, data, settings)
            joined = case.reply is not None and case.reply.of == id
        why = None
        if message["deleted_at"] is not None:
            why = "удалено автором"
        elif message["historical"]:
            why = "написано до начала работы программы"
        elif status in ("published", "closed"):
            why = "уже отвечено или закрыто"
        elif status == "refusal":
            why = "отказ ждёт второго решения"
        elif status == "approved" and not joined:
            why = "согласован свой ответ; разместите его отдельно"
        yield Member(message["id"], message, joined, why)


def publish_to_all(
    store: Store,
    settings: Settings,
    outlet: Outlet,
    id: str,
    *,
    by: str,
    version: int | None = None,
    clock: Callable[[], datetime] = utcnow,
) -> Iterator[Outcome | Member]:
    """The approved (or already published) answer of `id`, to its own thread and to each of its question's.

    Rights are checked for every message; what fails with one holds up none of the others and is taken up by the next
    call. `Member`s come for the messages that are left out. Raises as `publish`, before anything was sent.
    """
    message = store.message(id)
    id = message["id"]
    case, text = _shared(store, settings, message)
    if speaks_to(text, message["author"]["name"]):
        raise Refused(
            f"сообщение {id}: ответ обращён к его автору по имени, а уйдёт всем; уберите имя (queue rework, "
            "в новом проекте --set 'обращение=Здравствуйте!') или разместите его только здесь"
        )
    if message["status"] == "approved":
        yield publish(store, settings, outlet, id, by=by, version=version, clock=clock)
    for member in members(store, settings, id):
        if member.why is not None:
            yield member
            continue
        try:
            if not member.joined:
                assert case.reply is not None
                r = case.reply
                said = {"kind": r.kind, "until": r.until, "condition": r.condition, "body": r.body}
                args = {**said, "of": id, "text": text, "division": case.division}
                act(store, settings, member.id, "join", args, by=by, now=clock())
            yield publish(store, settings, outlet, member.id, by=by, clock=clock)
        except OtklikError as e:
            yield Waiting(member.id, str(e), e.exit_code)


def preview(store: Store, settings: Settings, id: str, *, cluster: bool = False) -> list[dict[str, Any]]:
    """What `publish` would send and where, without sending: id, link, text, `reason` why it would be left out."""
    message = store.message(id)
    _, text = _shared(store, settings, message)
    out = message["status"] == "approved"
    rows = [{"id": message["id"], "link": message["url"], "text": text, "reason": None if out else "уже размещён"}]
    for member in members(store, settings, message["id"]) if cluster else ():
        rows.append({"id": member.id, "link": member.message["url"], "text": text, "reason": member.why})
    return rows


def _shared(store: Store, settings: Settings, message: Mapping[str, Any]) -> tuple[Case, str]:
    """The case with the answer that may go to everybody, and its text."""
    desk = store.desk(message["id"])
    case = load(desk["case"]) if desk["case"] else None
    reply = case.reply if case is not None else None
    row = next((r for r in desk["replies"] if reply is not None and r["n"] == reply.n), None)
    if case is None or row is None or row["state"] not in ("approved", "published"):
        raise Refused(f"сообщение {message['id']}: согласованного ответа ещё нет; сначала согласуйте его")
    return case, row["text"]
