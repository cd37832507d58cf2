"""Alerts to the Head (clause 17): delivered at once, in the background, through apprise.

The landing transaction writes the alert; this module carries it. Everything that must survive a crash is a claim or a
result in the store, so a deliverer that dies leaves claims that expire and are taken up by the next one: at least once.
A dead or hanging channel costs its own thread `alerts.timeout` seconds and nobody else anything.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from desk.rights import everyone
from desk.text import NETWORKS, link, plain, plural, quoted, when
from settings import ConfigError, OtklikError, Secret, Settings, remember_secret, scrub
from store.values import AlertJob, utcnow

if TYPE_CHECKING:
    from store import Store

log = logging.getLogger("otklik.alerts")

CLAIM_TIMEOUTS = 6
"""A claim lasts this many channel timeouts: one slow round, and soon free again after a crash."""
MAX_ERROR = 300


# --- channels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to the Head. `key` names it in the store and in tables and tells nothing of its address.

    `level`: "head" or "escalation". `problem`: why it can't be used (Russian); the address is then unknown.
    """

    key: str
    level: str
    secret: Secret
    problem: str | None = None


def channels(settings: Settings) -> list[Channel]:
    """The configured channels; escalation goes to `alerts.escalate`, or once more to the head when that is empty."""
    alerts = settings.alerts
    found: dict[tuple[str, str], Channel] = {}
    for level, secrets in (("head", alerts.head), ("escalation", alerts.escalate or alerts.head)):
        for secret in secrets:
            channel = channel_of(secret, level)
            found.setdefault((channel.level, channel.key), channel)
    return list(found.values())


def channel_of(secret: Secret, level: str) -> Channel:
    """The channel behind an address of the configuration; `problem` tells why it can't be used."""
    scheme, problem = "канал", None
    try:
        url = secret.reveal()
        scheme = _scheme(url)
    except ConfigError as e:
        problem = str(e)
    return Channel(f"{scheme}#{_digest(secret)}", level, secret, problem)


def _scheme(url: str) -> str:
    found = re.match(r"^([A-Za-z][A-Za-z0-9]{0,15})://", url)
    if not found:
        raise ConfigError("адрес канала оповещения должен начинаться с вида канала, например tgram:// или mailto://")
    return found.group(1).lower()


def _digest(secret: Secret) -> str:
    """A name that stays when the token in a variable is renewed, and that nobody can turn back into an address.

    What the file says is hashed, not the address: "${ALERT_TELEGRAM}" is no secret. An address written into the file
    itself may hold a guessable password, so that one is hashed slowly.
    """
    raw = secret.raw.strip().encode()
    if secret.literal:
        return hashlib.scrypt(raw, salt=b"otklik alert channel", n=2**12, r=8, p=1, dklen=4).hex()
    return hashlib.blake2b(raw, key=b"otklik alert channel", digest_size=4).hexdigest()


# --- the words -------------------------------------------------------------------------------------------------------


def compose(job: AlertJob, tz: str, page: str = "", *, named: bool = False) -> tuple[str, str]:
    """Title and text of one alert for the Head: what, where, when, why, the words, the link, how to acknowledge.

    `page`: its title; times in the zone `tz`; `named`: whoever acknowledges has to say who it is. Plain text; the
    resident's words carry no live link, mention or control character.
    """
    message: Mapping[str, Any] = job.message or {}
    drill = bool(job.drill)
    if job.message is None and not drill:
        return _compose_rise(job, named)
    kind = plain(message.get("emergency_kind"), 80) or "Возможно ЧП"
    places = plain(", ".join(str(p.get("name")) for p in message.get("places") or () if isinstance(p, Mapping)), 120)
    again = job.level == "escalation"

    title = "УЧЕБНАЯ ТРЕВОГА" if drill else f"{kind[:1].upper()}{kind[1:]}" + (f": {places}" if places else "")
    lines: list[str] = []
    if again:
        title = f"ПОВТОРНО: {title}"
        lines.append("Тревогу никто не подтвердил вовремя.")
    if drill:
        lines.append("Это проверка оповещения, ничего не случилось.")
        if words := quoted(job.text, 300):
            lines.append(words)
    else:
        text = quoted(message.get("text"), 500)
        lines.append(f"«{text}»" if text else "Сообщение без текста (фото, видео или наклейка).")
        lines.append(f"Место: {places or 'не названо'}")
        if said := _asking(job.asking, tz):
            lines.append(said)
        page = page or plain(message.get("page"))
        network = NETWORKS.get(str(message.get("network")), plain(message.get("network"), 20))
        lines.append(f"Страница: {plain(page, 100)} ({network})")
        lines.append(
            f"Написано: {when(message.get('published_at'), tz)}, получено: {when(message.get('collected_at'), tz)}"
        )
        reasons = "; ".join(plain(r, 120) for r in (message.get("reasons") or ())[:5])
        if reasons:
            lines.append(f"Почему тревога: {reasons}")
        if message.get("url"):
            lines.append(f"Открыть: {link(message.get('url'))}")
    lines.append(_acknowledge(job, named))
    return title, "\n".join(lines)


def _acknowledge(job: AlertJob, named: bool) -> str:
    return f"Подтвердите: otklik alerts ack {job.alert_id}" + (" --by ВАШ_ID" if named else "")


def _asking(asking: Mapping[str, Any] | None, tz: str) -> str:
    """How many write of the same; nothing when nobody else does."""
    n, people = (int((asking or {}).get(k) or 0) for k in ("messages", "authors"))
    if n < 2:
        return ""
    who = f", разных авторов: {people}" if people else ""
    first = when((asking or {}).get("first"), tz)
    return f"Об этом пишут: {plural(n, 'сообщение', 'сообщения', 'сообщений')}{who}; первое {first}"


def _compose_rise(job: AlertJob, named: bool) -> tuple[str, str]:
    """Raised activity (clause 17): its words were found when it was told; examples are quoted as they stand now."""
    kind = plain(job.kind, 80) or "Повышенная социальная активность"
    what = plain(job.text, 400)
    title = f"{kind[:1].upper()}{kind[1:]}: {what.partition('.')[0]}"
    lines = [f"{what}."]
    if job.level == "escalation":
        title = f"ПОВТОРНО: {title}"
        lines.insert(0, "Тревогу никто не подтвердил вовремя.")
    if job.examples:
        lines.append("Например:")
        lines += [
            f"— «{quoted(m.get('text'), 160) or 'сообщение без текста'}» {link(m.get('url'))}".rstrip()
            for m in job.examples
        ]
    lines.append(_acknowledge(job, named))
    return title, "\n".join(lines)


# --- one send --------------------------------------------------------------------------------------------------------


class _Hush(logging.Filter):
    """apprise tells its log what it posts and to whom; none of that is for our logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        return False


@lru_cache(maxsize=1)
def _load() -> Any:
    import apprise

    for name in ("apprise", "requests", "urllib3", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_Hush())
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    apprise.Apprise.instantiate("json://localhost")  # the first address makes it import its hundred services
    return apprise


_loading = threading.Lock()


def _apprise() -> Any:
    """The library, imported on first use (that takes seconds on a busy machine) and made silent."""
    with _loading:
        return _load()


def _service(url: str) -> Any:
    """The apprise service behind an address. Raises ConfigError, without the address."""
    apprise = _apprise()
    asset = apprise.AppriseAsset(app_id="otklik", app_desc="otklik", async_mode=False, interpret_emojis=False)
    # Its own time limit runs the send in a pool whose threads are joined at exit: a hanging one would hold the program.
    asset._service_timeout = 0
    try:
        service = apprise.Apprise.instantiate(url, asset=asset)
    except Exception as e:
        raise ConfigError(f"адрес канала не принят ({type(e).__name__}); проверьте его по справке apprise") from None
    if service is None:
        raise ConfigError("адрес канала не понят; проверьте вид канала и его части по справке apprise")
    return service


def understood(url: str) -> str | None:
    """Why apprise can't use this address (Russian, without the address); None when it can."""
    try:
        _service(url)
    except ConfigError as e:
        return str(e)
    return None


def send(url: str, title: str, body: str, timeout: float) -> str | None:
    """Deliver through one apprise address; None when it went, else why it didn't (Russian, no address in it).

    Blocks; each wait for the network is at most `timeout` seconds, but a peer that trickles can take longer, so the
    caller bounds the whole (`attempt`).
    """
    remember_secret(url)
    try:
        service = _service(url)
    except ConfigError as e:
        return str(e)
    service.socket_connect_timeout = service.socket_read_timeout = timeout
    apprise = _apprise()
    client = apprise.Apprise(asset=service.asset)
    client.add(service)
    try:
        ok = client.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT, interpret_escapes=False)
    except Exception as e:
        return f"канал ответил ошибкой ({type(e).__name__})"
    return None if ok else "канал не принял сообщение; проверьте адрес, ключ и связь"


def attempt(channel: Channel, title: str, body: str, timeout: float) -> str | None:
    """One message through one channel within `timeout` seconds; None, or why not. Never raises.

    The sending runs in a daemon thread: one that hangs is left behind and ends with the process.
    """
    if channel.problem:
        return _clean(channel.problem)
    box: list[str | None] = []

    def run() -> None:
        try:
            box.append(send(channel.secret.reveal(), title, body, timeout))
        except OtklikError as e:
            box.append(str(e))
        except Exception as e:
            box.append(f"ошибка отправки ({type(e).__name__})")

    _apprise()  # loading it takes time that is not the channel's
    begun = time.monotonic()
    sender = threading.Thread(target=run, name=f"otklik send {channel.key}", daemon=True)
    sender.start()
    sender.join(timeout)
    if not box or (box[0] is not None and time.monotonic() - begun >= timeout):
        # The library's own wait for the network is as long as ours: whichever ends first, it was silence.
        return f"{_SILENT} {timeout:g} с"
    return None if box[0] is None else _clean(box[0])


def _clean(error: str) -> str:
    return plain(scrub(error), MAX_ERROR)


@dataclass(frozen=True, slots=True)
class Report:
    """How one channel did: `error` None = delivered."""

    channel: str
    level: str
    error: str | None

    @property
    def ok(self) -> bool:
        return self.error is None


# --- the deliverer ---------------------------------------------------------------------------------------------------


class Deliverer:
    """Carries alerts from the store to the channels.

    `start()` runs it in the background, `poke()` says an alert was written, `finish(wait_s)` lets it end within
    `wait_s` seconds. Only the deliverer's own thread touches the store; each channel is a daemon thread that may hang.
    """

    def __init__(self, store: Store, settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> None:
        self.store = store
        self.settings = settings
        self.channels = channels(settings)
        self._clock = clock
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_success = 0.0  # of time.monotonic()

    # in the background

    def start(self) -> None:
        """Deliver what is due now and whatever comes, until `finish`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="otklik-alerts", daemon=True)
            self._thread.start()

    def poke(self) -> None:
        """There is a new alert: look at once."""
        self._wake.set()

    def finish(self, wait_s: float) -> bool:
        """Deliver what is still due, at most `wait_s` seconds; False when something was left to the next run.

        A slow channel that does deliver is waited for as long as a claim lasts; one that is silent is not.
        """
        if self._thread is None:
            return True
        self._stop.set()
        self._wake.set()
        begun = time.monotonic()
        self._thread.join(wait_s)
        while self._thread.is_alive() and time.monotonic() - begun < CLAIM_TIMEOUTS * self.settings.alerts.timeout:
            if time.monotonic() - max(self._last_success, begun - wait_s) > wait_s:
                break
            self._thread.join(0.2)
        done = not self._thread.is_alive()
        if not done:
            log.warning("alert delivery did not end in %.0f s; the next run takes up what is left", wait_s)
        return done

    def _run(self) -> None:
        pause = min(max(self.settings.alerts.retry_every, 1.0), 30.0)
        while True:
            last = self._stop.is_set()
            self._wake.clear()
            try:
                while self.deliver_due() and not last:
                    pass  # what was raised meanwhile, and what one claim did not hold
            except OtklikError as e:
                log.error("alerts: %s", scrub(str(e)))
            except Exception:
                log.exception("alerts: delivery failed, will try again")
            if last:
                return
            self._wake.wait(pause)

    # once

    def deliver_due(self, now: datetime | None = None, *, only: str | None = None) -> list[Report]:
        """Deliver what is due, once, all channels at the same time; what each sending did. `only`: of this alert.

        Takes at most about `CLAIM_TIMEOUTS` channel timeouts. Raises `StoreError` of the store.
        """
        alerts = self.settings.alerts
        claim_s = CLAIM_TIMEOUTS * alerts.timeout + 5
        deadline = time.monotonic() + claim_s - alerts.timeout - 1
        work: list[tuple[Channel, Sequence[AlertJob]]] = []
        for channel in self.channels:
            # One claim a channel: a claim is limited, and a dead channel's backlog must not crowd out the others.
            jobs = self.store.claim_alerts(
                now or self._clock(),
                claim_s,
                [(channel.key, channel.level)],
                alerts.escalate_after,
                max(alerts.retry_every, 1.0),
                alerts.max_attempts,
                only,
            )
            if jobs:
                work.append((channel, jobs))
        if not work:
            return []
        reports = []
        for job, channel, error in self._carry(work, deadline):
            if error is _UNTRIED:
                self.store.release_alert(job, now or self._clock())
                continue
            if error is None:
                self._last_success = time.monotonic()
            self.store.alert_result(job, error is None, error, now or self._clock())
            reports.append(Report(channel.key, channel.level, error))
            if error:
                log.warning("alert %s was not delivered through %s: %s", job.alert_id, channel.key, error)
        return reports

    def _carry(
        self, work: Sequence[tuple[Channel, Sequence[AlertJob]]], deadline: float
    ) -> Iterator[tuple[AlertJob, Channel, str | None]]:
        """Each channel in its own thread, one alert after the other; results as they come.

        A channel that stays silent once is given no more in this round: it would only hold the round open. What was not
        tried comes back as `_UNTRIED`.
        """
        results: queue.Queue[tuple[AlertJob, Channel, str | None] | None] = queue.Queue()
        titles = {(s.page.network, s.page.id): s.page.title for s in self.store.page_states()}
        zone = self.settings.organisation.timezone
        named = bool(everyone(self.settings))

        def carry(channel: Channel, jobs: Sequence[AlertJob]) -> None:
            try:
                silent = False
                for job in jobs:
                    if silent or time.monotonic() > deadline:  # the claim would run out while sending
                        results.put((job, channel, _UNTRIED))
                        continue
                    message = job.message or {}
                    page = titles.get((message.get("network"), message.get("page")), "")
                    error = attempt(channel, *compose(job, zone, page, named=named), self.settings.alerts.timeout)
                    silent = bool(error and error.startswith(_SILENT))
                    results.put((job, channel, error))
            finally:
                results.put(None)

        for channel, jobs in work:
            threading.Thread(target=carry, args=(channel, jobs), name=f"otklik {channel.key}", daemon=True).start()
        ended = 0
        while ended < len(work):
            item = results.get()
            if item is None:
                ended += 1
            else:
                yield item


_UNTRIED = "не пробовали"
_SILENT = "канал не ответил за"


# --- by hand ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`: ok True/False, None = could not be checked; `advice` in Russian."""

    name: str
    ok: bool | None
    detail: str = ""
    advice: str = ""


def check_channels(settings: Settings) -> list[Check]:
    """Can each channel's address be read and understood? Nothing is sent."""
    if not settings.alerts.head:
        return [Check("тревоги", False, "главу никто не известит", "добавьте хотя бы один канал в alerts.head")]
    found = []
    for channel in _unique(channels(settings)):
        error = channel.problem or understood(channel.secret.reveal())
        advice = "" if error is None else "исправьте адрес, затем otklik alerts test"
        found.append(Check(f"тревоги: {channel.key}", error is None, _clean(error or "адрес понятен"), advice))
    return found


def test_channels(settings: Settings) -> list[dict[str, Any]]:
    """Send a test message through every channel, all at once; `Check`s as dicts. Nothing is written to the store."""
    title, body = "otklik: проверка связи", "Проверка канала оповещения. Ничего не случилось, отвечать не нужно."
    unique = _unique(channels(settings))
    if not unique:
        return [asdict(c) for c in check_channels(settings)]
    with ThreadPoolExecutor(len(unique)) as pool:  # each call is bounded by `alerts.timeout`
        errors = list(pool.map(lambda c: attempt(c, title, body, settings.alerts.timeout), unique))
    return [
        asdict(Check(f"тревоги: {c.key}", e is None, e or "сообщение отправлено"))
        for c, e in zip(unique, errors, strict=True)
    ]


test_channels.__test__ = False  # type: ignore[attr-defined]  # its name is the command's, not a test's


def _unique(found: Sequence[Channel]) -> list[Channel]:
    return list({c.key: c for c in found}.values())
