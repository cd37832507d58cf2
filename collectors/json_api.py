"""JSON over httpx for networks without a client library of their own: turns, retries, bounds, the network's clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from collectors.contract import Check, CollectError, Unavailable
from collectors.manners import Manners
from collectors.transport import get_json, http_client

T = TypeVar("T")


class JsonApi:
    """One token. `ask` sends a request in its turn and has the answer read.

    A network's errors travel in its answers, so `read(status, data)` gets every parsed body below HTTP 500 and returns
    a value, or raises `Retry` (later) or an error of the contract. `options`: of the httpx client.
    """

    def __init__(self, manners: Manners, title: str, **options: Any) -> None:
        if manners.gate is None:
            raise ValueError("JsonApi needs manners with a gate")
        self.manners = manners
        self._title = title
        self._gate = manners.gate
        self._client = http_client(manners.gate, **options)
        manners.on_close(self._client.close)
        self._clock: tuple[float, datetime] | None = None

    def ask(
        self,
        path: str,
        read: Callable[[int, Any], T],
        *,
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        verb: str | None = None,
        what: str = "",
        units: int = 1,
        tries: int | None = None,
    ) -> T:
        """The answer to `path` (below the gate's address), as `read` makes it. `units`, `tries`: see `Manners.call`."""

        def send() -> T:
            request = self._client.build_request(
                verb or ("GET" if form is None and body is None else "POST"),
                path,
                params=None if params is None else dict(params),
                data=None if form is None else dict(form),
                json=body,
                headers=None if headers is None else dict(headers),
            )
            status, got, data = get_json(self._client, self._gate, request)
            self._see_clock(got.get("date"))
            return read(status, data)

        return self.manners.call(send, what=what or path, units=units, tries=tries)

    def _see_clock(self, date: str | None) -> None:
        try:
            when = parsedate_to_datetime(date or "")
        except (ValueError, TypeError):
            return
        self._clock = (self.manners.now(), when if when.tzinfo else when.replace(tzinfo=UTC))

    def server_time(self, ask: Callable[[], Any]) -> datetime:
        """The network's clock by the Date header of its last answer; `ask` is called when there was none yet."""
        if self._clock is None:
            ask()
        if self._clock is None:
            raise Unavailable(f"{self._title}: сеть не сказала время; повторите позже")
        ours, theirs = self._clock
        return datetime.fromtimestamp(theirs.timestamp() + self.manners.now() - ours, UTC)


MAX_DRIFT = 60.0  # seconds our clock may differ from the network's


def clock_check(title: str, server_time: Callable[[], datetime]) -> Check:
    """The line of `otklik doctor` about our clock against the network's."""
    try:
        drift = (datetime.now(UTC) - server_time()).total_seconds()
    except CollectError as e:
        return Check("часы", None, str(e))
    ok = abs(drift) < MAX_DRIFT
    advice = "" if ok else "включите синхронизацию времени (NTP)"
    return Check("часы", ok, f"расхождение с сетью {title} {drift:+.0f} с", advice)
