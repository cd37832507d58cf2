"""The way out for webhooks: only to addresses of the public Internet, and to the very address that was checked.

The name is resolved once for each connection, every address it has must be allowed, and the socket goes to that address
(so a name that answers differently the second time gains nothing); TLS still verifies the name. Redirects are not
followed, nothing is taken from the environment, and what comes back is read no further than its head.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

from settings import OtklikError

Resolve = Callable[[str, int], list[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        # What the standard library of some versions calls global: relays, benchmarks, tunnels, a cloud's metadata.
        ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "168.63.129.16/32", "100.64.0.0/10", "::/96",
         "64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)  # fmt: skip


class Refused(OtklikError):
    """Nothing is sent to this address, now or later."""


def may_go(address: str, loopback: bool = False) -> bool:
    """Whether a socket may be opened to this IP address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if (ip.is_loopback and ip.version == 4) or ip == ipaddress.ip_address("::1"):
        return loopback
    if ip.version == 6:
        if ip.ipv4_mapped is not None:
            return may_go(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return may_go(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if any(ip in net for net in _CLOSED if net.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local)


def check_url(url: str, loopback: bool = False) -> tuple[str, str, int]:
    """(scheme, host, port) of an address that webhooks may have. Raises Refused; the address itself is not told."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("адрес вебхука не разбирается; нужен https://узел/путь") from None
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Refused("в адресе вебхука есть нелатинские или лишние знаки; имя узла запишите в punycode (xn--…)")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("в адресе вебхука не должно быть имени, пароля и #")
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise Refused("нужен адрес вебхука с https://")
    if parts.scheme == "http" and not loopback:
        raise Refused("по http события может прочесть посторонний; укажите https://")
    try:
        if not may_go(host, loopback):
            ipaddress.ip_address(host.partition("%")[0])
            raise Refused(_INNER)
    except ValueError:  # a name; one that ends in a number is an address in a disguise (0x7f.1, 017700000001)
        last = host.rstrip(".").rpartition(".")[2]
        if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", last) or not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", host):
            raise Refused("узел вебхука записан не именем и не обычным адресом") from None
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


_INNER = "узел вебхука во внутренней сети или на этой машине; туда события не отправляются"


def resolve(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(a[4][0]) for a in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE adds others), read once."""
    return ssl.create_default_context()


class _Timed(httpcore.NetworkStream):
    """A stream whose reads and writes share one deadline: a receiver that drips bytes gains no time."""

    def __init__(self, inner: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._inner, self._left = inner, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, self._left()), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Egress(httpcore.NetworkBackend):
    """POST to checked addresses. One connection at a time; usable by one thread."""

    def __init__(self, timeout: float, *, loopback: bool = False, resolve: Resolve = resolve) -> None:
        self._timeout, self._loopback, self._resolve, self._end = timeout, loopback, resolve, 0.0
        self._inner = httpcore.SyncBackend()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_connections=1, keepalive_expiry=5.0, network_backend=self
        )

    def close(self) -> None:
        self._pool.close()

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("deadline")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host.rstrip("."), port)
        if not addresses:
            raise httpcore.ConnectError("no address")
        if not all(may_go(a, self._loopback) for a in addresses):
            raise Refused(_INNER)
        if self._plain and not all(ipaddress.ip_address(a.partition("%")[0]).is_loopback for a in addresses):
            raise Refused("по http события может прочесть посторонний; укажите https://")
        for i, address in enumerate(addresses[:4], 1):
            try:
                return _Timed(self._inner.connect_tcp(address, port, self._left(), local_address), self._left)
            except httpcore.ConnectError:
                if i == len(addresses[:4]):
                    raise
        raise httpcore.ConnectError("no address")

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> Any:
        raise Refused("сюда события не отправляются")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        """(status, headers of the answer, lower case). Raises Refused; ConnectionError: it could not be reached."""
        scheme, _, _ = check_url(url, self._loopback)
        self._plain = scheme == "http"
        self._end = time.monotonic() + self._timeout
        limits = {"connect": self._timeout, "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        try:
            with self._pool.stream(
                "POST", url, headers=dict(headers), content=body, extensions={"timeout": limits}
            ) as answer:
                return answer.status, {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in answer.headers}
        except httpcore.TimeoutException:
            raise ConnectionError("не ответил вовремя") from None
        except ssl.SSLError:
            raise ConnectionError("шифрование не установлено: проверьте сертификат") from None
        except httpcore.ConnectError as e:
            tls = isinstance(e.__cause__ or e.__context__, ssl.SSLError)
            raise ConnectionError("сертификат не принят" if tls else "соединение не установлено") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise ConnectionError("связь оборвалась") from None
        except socket.gaierror:
            raise ConnectionError("имя узла не найдено") from None
        except (OSError, UnicodeError):
            raise ConnectionError("соединение не установлено") from None

    _plain = False
