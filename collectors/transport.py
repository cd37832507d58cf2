"""HTTP towards a network: where it may go, how long it may take, how much it may bring.

A `Gate` is opened once from the configuration. `requests_session` serves clients that bring their own URLs (vk_api),
`http_client` + `get_json` everything else. Both refuse redirects, read at most `MAX_BYTES` within the timeout as a
whole, take nothing from the environment when the address is loopback, and turn what is worth repeating into `Retry`.
No exception text here ever holds an address with a query, a header or a body.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from collectors.contract import Unavailable
from collectors.manners import Retry
from settings import ConfigError

if TYPE_CHECKING:
    import httpx
    import requests
    from requests.adapters import HTTPAdapter

    from collectors.contract import Collector
    from settings import Network

MAX_BYTES = 32 * 1024 * 1024
CHUNK = 64 * 1024
USER_AGENT = "otklik/0.1"
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class TooBig(Unavailable):
    """The answer is larger than `MAX_BYTES`: ask for less at once."""


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Gate:
    """The only address calls may go to. `own`: the prefix that third-party clients use, replaced by `base`."""

    own: str
    base: str
    host: str
    timeout: float
    proxy: str | None
    local: bool

    @classmethod
    def open(cls, config: Network, collector: type[Collector], where: Callable[[str], str] = str) -> Gate:
        """Checked against the collector's hosts; ConfigError names the key (`where("api")`) when it may not be."""
        base = config.api or collector.api
        try:
            parts = urlsplit(base)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            raise ConfigError(f"{where('api')}: это не адрес; пример: {collector.api}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"{where('api')}: нужен адрес с https://; пример: {collector.api}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(f"{where('api')}: в адресе не должно быть имени, пароля, ? и #; пример: {collector.api}")
        local = loopback(host)
        if not local and host not in collector.hosts and host not in config.trusted_hosts:
            raise ConfigError(
                f"{where('api')}: {host} не адрес сети {collector.network}; токен туда не уйдёт, "
                f"пока узел не назван в trusted_hosts"
            )
        if not local and parts.scheme != "https":
            raise ConfigError(f"{where('api')}: по http токен может прочесть посторонний; укажите https://")
        if not base.endswith("/"):
            base += "/"
        proxy = None if local or config.proxy is None else config.proxy.reveal()
        return cls(collector.api, base, host, config.timeout or 30.0, proxy, local)

    def address(self, url: str) -> str:
        """`url` of the network's own -> the address to call; any other address is refused."""
        if url.startswith(self.own):
            url = self.base + url[len(self.own) :]
        if not url.startswith(self.base):
            raise Unavailable(f"адрес {urlsplit(url).hostname or '?'} не относится к сети; запрос не отправлен")
        return url


# --- what came -------------------------------------------------------------------------------------------------------


def parse_json(body: bytes) -> Any:
    """JSON whatever its half emoji: lone surrogates become U+FFFD. `Retry` when it is no JSON (cut, empty, a page)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_LONE_SURROGATE.sub(lambda m: m[1] + (m[2] or b"\\ufffd"), body))
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8"), parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        raise Retry("ответ пуст" if not body.strip() else "ответ оборван или не JSON") from None


def judge_status(status: int, headers: Any) -> None:
    """`Retry` for statuses that mean "later" or "not the API at all"; silent for the rest."""
    if status == 429:
        raise Retry("HTTP 429", limited=True, after=retry_after(headers), code="429")
    if status >= 500:
        raise Retry(f"HTTP {status}", after=retry_after(headers), code=str(status))
    if 300 <= status < 400:
        raise Retry("ответ отсылает на другой адрес", code=str(status))


def judge_type(headers: Any) -> None:
    """`Retry` unless the answer calls itself JSON: a page of a filter or a login form is no answer."""
    if not is_json(headers):
        raise Retry("пришла страница вместо данных", code="page")


def is_json(headers: Any) -> bool:
    kind = (headers.get("content-type") or "").partition(";")[0].strip().lower()
    return "json" in kind or "javascript" in kind


def retry_after(headers: Any) -> float | None:
    """Seconds of Retry-After, given as a number or a date; None when absent or senseless."""
    value = (headers.get("retry-after") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
            seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), 86400.0) if seconds == seconds else None


def _gather(chunks: Iterator[bytes], timeout: float) -> bytes:
    """The body, within MAX_BYTES and within the timeout as a whole (a drip of bytes never ends otherwise)."""
    end = time.monotonic() + timeout
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise TooBig(f"ответ сети больше {MAX_BYTES >> 20} МБ; он отброшен")
        parts.append(chunk)
        if time.monotonic() > end:
            raise Retry("ответ приходит слишком медленно")
    return b"".join(parts)


# --- requests (for clients that bring their own URLs) ----------------------------------------------------------------


def requests_adapter(
    gate: Gate, address: Callable[[str], str] | None = None, *, plain: bool = False, **options: Any
) -> HTTPAdapter:
    """An adapter that goes only where `address` (by default the gate) lets it, and brings whole, bounded answers.

    They are parsed JSON, and what is worth repeating is `Retry`; `plain`: whatever came, with any status, is handed on.
    """
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            request.url = (address or gate.address)(request.url)
            kwargs |= {"stream": True, "timeout": (min(gate.timeout, 10.0), gate.timeout)}
            try:
                response = super().send(request, *args, **kwargs)
                try:
                    if not plain:
                        judge_status(response.status_code, response.headers)
                        if response.ok:
                            judge_type(response.headers)
                    body = _gather(self._chunks(response.raw), gate.timeout)
                except BaseException:
                    response.close()
                    raise
                response.raw.release_conn()
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as e:
                raise Retry(_network_reason(e)) from None
            response._content, response._content_consumed = body, True  # type: ignore[attr-defined]
            if plain:
                return response
            if not response.ok:
                raise Retry(f"HTTP {response.status_code}", code=str(response.status_code))
            data = parse_json(body)
            response.json = lambda **_: data  # type: ignore[method-assign]
            return response

        @staticmethod
        def _chunks(raw: Any) -> Iterator[bytes]:
            while chunk := raw.read1(CHUNK, decode_content=True):
                yield chunk

    return Adapter(**options)


def requests_session(gate: Gate) -> requests.Session:
    """A session that can only reach the gate's address and whose answers are whole, bounded, parsed JSON."""
    import requests

    session = requests.Session()
    if gate.local:
        session.trust_env = False
    else:
        # The environment may name a proxy, but never a password for the API (.netrc).
        session.proxies.update(
            {"https": gate.proxy} if gate.proxy else requests.utils.get_environ_proxies(gate.base) or {}
        )
        session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    adapter = requests_adapter(gate, pool_connections=2, pool_maxsize=4)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _network_reason(e: BaseException) -> str:
    name = type(e).__name__.lower()
    if "timeout" in name:
        return "сеть не ответила вовремя"
    if "ssl" in name:
        return "не установлено защищённое соединение"
    if "proxy" in name:
        return "прокси не отвечает"
    return "соединение не состоялось или оборвалось"


# --- httpx (for everything else) -------------------------------------------------------------------------------------


def http_client(gate: Gate, **options: Any) -> httpx.Client:
    """An httpx client that speaks to the gate's address only."""
    import logging

    import httpx

    logging.getLogger("httpx").disabled = True  # it would log addresses, and some networks want the token in them

    def guard(request: httpx.Request) -> None:
        gate.address(str(request.url))

    if gate.base.startswith("http://"):  # loopback alone may be so: no certificate to verify, and none to load
        options.setdefault("verify", False)
    return httpx.Client(
        base_url=gate.base,
        timeout=httpx.Timeout(gate.timeout, connect=min(gate.timeout, 10.0)),
        follow_redirects=False,
        trust_env=not gate.local and gate.proxy is None,
        proxy=gate.proxy,
        event_hooks={"request": [guard]},
        headers={"User-Agent": USER_AGENT},
        **options,
    )


def get_json(
    client: httpx.Client, gate: Gate, request: httpx.Request, judge: Callable[[int, Any], None] = judge_status
) -> tuple[int, Any, Any]:
    """(status, headers, parsed JSON; None of a 204) of a request; statuses that `judge` lets pass are the caller's."""
    import httpx

    try:
        response = client.send(request, stream=True)
        try:
            judge(response.status_code, response.headers)
            if response.status_code == 204:  # done, and nothing to say of it
                return 204, response.headers, None
            judge_type(response.headers)
            body = _gather(response.iter_bytes(), gate.timeout)
        finally:
            response.close()
    except (httpx.HTTPError, httpx.StreamError) as e:
        raise Retry(_network_reason(e)) from None
    return response.status_code, response.headers, parse_json(body)
