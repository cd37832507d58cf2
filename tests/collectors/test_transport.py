"""Where calls may go, how much they may bring, how long they may take: against a real server on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import httpx
import pytest

from collectors import transport
from collectors.contract import Collector, Unavailable
from collectors.manners import Retry
from collectors.transport import Gate, TooBig, get_json, http_client, parse_json, requests_session, retry_after
from settings import ConfigError, Network, Secret


class Net(Collector):  # only its addresses are looked at
    network: ClassVar[str] = "net"
    api: ClassVar[str] = "https://api.net.example/v1/"
    hosts: ClassVar[frozenset[str]] = frozenset({"api.net.example"})


def gate(api: str | None = None, **more: object) -> Gate:
    return Gate.open(Network(api=api, **more), Net, where=lambda key: f"config.yaml:3: networks.net.{key}")  # type: ignore[arg-type]


@contextmanager
def serve(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request head a connection and lets `answer` write raw bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                try:
                    conn.recv(65536)
                    answer(conn)
                except OSError:
                    pass

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def reply(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", length: int | None = None, more: str = ""
) -> Callable[[socket.socket], None]:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}Connection: close\r\n\r\n"

    def answer(conn: socket.socket) -> None:
        conn.sendall(head.encode() + body)

    return answer


def by_requests(url: str, **more: object) -> object:
    with requests_session(gate(url, **more)) as session:
        return session.post(Net.api + "do", {"access_token": "canary-token"}).json()


def by_httpx(url: str, **more: object) -> object:
    g = gate(url, **more)
    with http_client(g) as client:
        return get_json(client, g, client.build_request("POST", "do", data={"access_token": "canary-token"}))[2]


both = pytest.mark.parametrize("call", [by_requests, by_httpx])


@both
def test_a_good_answer(call: Callable[..., object]) -> None:
    with serve(reply('{"a": ["ж"]}'.encode())) as url:
        assert call(url) == {"a": ["ж"]}


@both
def test_a_compressed_answer(call: Callable[..., object]) -> None:
    with serve(reply(gzip.compress(b'{"a": 1}'), more="Content-Encoding: gzip\r\n")) as url:
        assert call(url) == {"a": 1}


@both
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(b""), "пуст"),
        (reply(b"   \n"), "пуст"),
        (reply(b'{"a": 1'), "оборван"),
        (reply(b'{"a": 1}', length=500), ""),
        (reply(b"<html>502</html>", kind="text/html"), "страница"),
        (reply(b'{"a": 1}', kind="text/html; charset=utf-8"), "страница"),
        (reply(b"{}", status="500 No"), "HTTP 500"),
        (reply(b"{}", status="503 No"), "HTTP 503"),
        (reply(b"{}", status="429 No"), "HTTP 429"),
        (reply(b"", status="302 Found", more="Location: http://127.0.0.1:1/\r\n"), "другой адрес"),
        (reply(b"", status="307 Found", more="Location: https://evil.example/\r\n"), "другой адрес"),
        (lambda conn: conn.close(), ""),
        (lambda conn: conn.sendall(b"nonsense\r\n\r\n"), ""),
        (reply(b"\xff\xfe{}"), "JSON"),
        (reply(b"[" * 100_000), "JSON"),
        (reply(b"not gzip", more="Content-Encoding: gzip\r\n"), ""),
    ],
)
def test_what_is_worth_asking_again(
    call: Callable[..., object], answer: Callable[[socket.socket], None], reason: str
) -> None:
    with serve(answer) as url:
        with pytest.raises(Retry) as e:
            call(url)
    assert reason in e.value.reason
    assert "canary" not in f"{e.value!r}{e.value.__cause__!r}" and "127.0.0.1" not in e.value.reason


@both
def test_a_limit_says_how_long(call: Callable[..., object]) -> None:
    with serve(reply(b"{}", status="429 No", more="Retry-After: 17\r\n")) as url:
        with pytest.raises(Retry) as e:
            call(url)
    assert e.value.limited and e.value.after == 17.0


@both
def test_nobody_there(call: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        url = f"http://127.0.0.1:{s.getsockname()[1]}/v1/"
    with pytest.raises(Retry) as e:
        call(url)
    assert "соединение" in e.value.reason


@both
def test_an_answer_that_never_ends_is_cut(call: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BYTES", 1_000_000)

    def flood(conn: socket.socket) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(10_000):
            conn.sendall(b" " * 65536)

    with serve(flood) as url:
        with pytest.raises(TooBig):
            call(url)


@both
def test_a_bomb_is_not_unpacked(call: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BYTES", 1_000_000)
    with serve(reply(gzip.compress(b" " * 50_000_000), more="Content-Encoding: gzip\r\n")) as url:
        with pytest.raises(TooBig):
            call(url)


@both
def test_a_drip_ends_with_the_timeout(call: Callable[..., object]) -> None:
    finished = threading.Event()

    def drip(conn: socket.socket) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while not finished.wait(0.05):
            conn.sendall(b" ")

    with serve(drip) as url:
        with pytest.raises(Retry) as e:
            call(url, timeout=1.0)
        finished.set()
    assert "медленно" in e.value.reason or "вовремя" in e.value.reason


@both
def test_silence_ends_with_the_timeout(call: Callable[..., object]) -> None:
    finished = threading.Event()
    with serve(lambda conn: finished.wait(30) and None) as url:
        with pytest.raises(Retry) as e:
            call(url, timeout=0.3)
        finished.set()
    assert "вовремя" in e.value.reason


def test_no_other_address_is_called() -> None:
    with requests_session(gate("http://127.0.0.1:1/v1/")) as session:
        for url in ("https://evil.example/", "http://127.0.0.1:1/other/", "https://api.net.example.evil.example/v1/do"):
            with pytest.raises(Unavailable):
                session.get(url)
    g = gate("http://127.0.0.1:1/v1/")
    with http_client(g) as client, pytest.raises(Unavailable):
        get_json(client, g, client.build_request("GET", "https://evil.example/"))


def test_proxies_of_the_environment_are_not_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with serve(reply(b'{"a": 1}')) as url:
        assert by_requests(url) == {"a": 1}
        assert by_httpx(url) == {"a": 1}


def test_a_proxy_is_used_where_it_is_told() -> None:
    seen: list[bytes] = []

    def proxy(conn: socket.socket) -> None:
        seen.append(b"asked")
        conn.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with serve(proxy) as url:
        address = Secret(url.removesuffix("/v1/"))
        for call in (by_requests, by_httpx):
            with pytest.raises(Retry):
                call(Net.api, proxy=address)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("api", "more", "part"),
    [
        ("https://evil.example/", {}, "trusted_hosts"),
        ("https://api.net.example.evil.example/", {}, "trusted_hosts"),
        ("https://127.0.0.1.evil.example/", {}, "trusted_hosts"),
        ("http://api.net.example/v1/", {}, "https"),
        ("http://mirror.example/", {"trusted_hosts": ["mirror.example"]}, "https"),
        ("ftp://127.0.0.1/", {}, "https://"),
        ("127.0.0.1:8080", {}, "https://"),
        ("", {}, None),
        ("http://user:pass@127.0.0.1/", {}, "имени"),
        ("http://127.0.0.1/?x=1", {}, "?"),
        ("http://127.0.0.1:99999/", {}, "адрес"),
        ("http://[::1/", {}, "адрес"),
        ("http:///v1/", {}, "https://"),
        ("http://0.0.0.0:80/", {}, "trusted_hosts"),
        ("http://169.254.169.254/", {}, "trusted_hosts"),
    ],
)
def test_addresses_that_get_no_token(api: str, more: dict[str, object], part: str | None) -> None:
    if part is None:
        assert gate(api or None).base == Net.api
        return
    with pytest.raises(ConfigError) as e:
        gate(api, **more)
    assert str(e.value).startswith("config.yaml:3: networks.net.api: ") and part in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("api", "more", "local"),
    [
        (None, {}, False),
        ("https://api.net.example/v2", {}, False),
        ("https://mirror.example/x/", {"trusted_hosts": ["mirror.example"]}, False),
        ("http://127.0.0.1:8080/v1/", {}, True),
        ("http://127.1.2.3/v1", {}, True),
        ("http://localhost:1/", {}, True),
        ("http://[::1]:8080/v1/", {}, True),
    ],
)
def test_addresses_that_may_be_called(api: str | None, more: dict[str, object], local: bool) -> None:
    g = gate(api, **more)
    assert g.local is local and g.base.endswith("/")
    assert g.address(Net.api + "wall.get") == g.base + "wall.get"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"t": "\ud83d"}', {"t": "�"}),
        (rb'{"t": "a\udc00b\ud83d\ude00"}', {"t": "a�b\U0001f600"}),
        (rb'{"t": "\\ud83d"}', {"t": r"\ud83d"}),
        (rb'{"t": "\ud83d\ud83d\ude00"}', {"t": "�\U0001f600"}),
        (b'{"t": NaN, "u": [Infinity]}', {"t": None, "u": [None]}),
        (b"[]", []),
    ],
)
def test_json_with_half_an_emoji(body: bytes, value: object) -> None:
    got = parse_json(body)
    assert got == value
    str(got).encode("utf-8")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("3", 3.0),
        ("-5", 0.0),
        ("nan", None),
        ("soon", None),
        ("1e999", 86400.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"retry-after": value})) == seconds
