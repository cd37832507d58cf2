"""Webhooks go nowhere inside: no hostile address is ever connected to."""

from __future__ import annotations

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from feed.egress import Egress, Refused, may_go

INNER = [
    *(f"127.0.0.{n}" for n in (1, 2, 53, 254)), "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3",
    *(f"10.{n}.{n}.1" for n in range(0, 255, 16)), *(f"172.{n}.0.1" for n in range(16, 32)),
    *(f"192.168.{n}.1" for n in range(0, 255, 16)), "169.254.169.254", "169.254.170.2", "169.254.0.1",
    "100.64.0.1", "100.100.100.200", "100.127.255.254", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "192.88.99.1",
]  # fmt: skip
INNER6 = ["::", "::1", "fe80::1", "fe80::1%25eth0", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "ff02::1", "fec0::1",
          "2001:db8::1", "100::1", "2001::1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b:1::7f00:1", "3fff::1",
          "5f00::1", "::127.0.0.1", "::10.0.0.1"]  # fmt: skip


def disguises(address: str) -> list[str]:
    """Ways to write an IPv4 address that something may understand."""
    ip = ipaddress.IPv4Address(address)
    n, parts = int(ip), address.split(".")
    return [
        str(n), hex(n), oct(n).replace("o", ""), ".".join(oct(int(p)).replace("o", "") for p in parts),
        ".".join(hex(int(p)) for p in parts), f"{parts[0]}.{n & 0xFFFFFF}", f"{parts[0]}.{parts[1]}.{n & 0xFFFF}",
        f"[::ffff:{address}]", f"[::ffff:{n >> 16:x}:{n & 0xFFFF:x}]", f"[64:ff9b::{address}]",
        f"[0:0:0:0:0:ffff:{address}]",
        f"{address}.", "。".join(parts), f"{address}%00.example.com", f"{address}#.example.com",
        f"{address}\\.example.com",
    ]  # fmt: skip


def hostile() -> list[str]:
    hosts = [*INNER, *(f"[{a}]" for a in INNER6)]
    for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.0.1", "0.0.0.0"):
        hosts += disguises(address)
    hosts += ["localhost", "LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①", "127.0.0.1:22", "[::1]:5432", "0", "0x0", "1",
              "127.1",
              "user@127.0.0.1", "user:pw@example.com", "example.com@127.0.0.1", "", ".", "..", "-", "ex ample.com",
              "example.com:0", "example.com:99999", "[::1", "[v1.x]", "пример.рф", "a\r\nb", "a\tb"]  # fmt: skip
    urls = [f"https://{h}/hook" for h in hosts]
    urls += [f"{scheme}://93.184.216.34/x" for scheme in ("http", "ftp", "file", "gopher", "unix", "ws", "javascript")]
    return [*urls, "", "//93.184.216.34/x", "https:/93.184.216.34", "https:93.184.216.34", "/etc/passwd"]


NAMES = ("inner.example", "mixed.example", "metadata.google.internal")


@pytest.fixture
def connections(monkeypatch):
    made: list[object] = []

    def connect(self, address):
        made.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "create_connection", lambda address, *_, **__: connect(None, address))
    return made


def test_no_hostile_address_is_connected_to(connections):
    urls = list(dict.fromkeys(hostile()))
    assert len(urls) >= 200
    way = Egress(2)
    open_ = []
    for url in urls:
        try:
            way.post(url, {}, b"{}")
            open_.append(url)
        except (Refused, ConnectionError) as e:  # the second: a name that does not resolve
            if "127.0.0.1" in url and isinstance(e, ConnectionError):
                open_.append(url)
            assert "\n" not in str(e) and "hook" not in str(e)
    assert (open_, connections) == ([], [])


@pytest.mark.parametrize("address", [*INNER, *(a.replace("%25", "%") for a in INNER6), "::ffff:10.0.0.1",
                                     "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "x", ""])  # fmt: skip
def test_a_name_that_leads_inside_is_refused(connections, address):
    for found in ([address], ["93.184.216.34", address]):  # one bad address among good ones is enough
        way = Egress(2, resolve=lambda host, port, found=found: found)
        with pytest.raises(Refused):
            way.post("https://inner.example/x", {}, b"{}")
        if address not in ("127.0.0.1", "::1") and not address.startswith("127."):
            with pytest.raises(Refused):  # what is allowed for this machine is allowed for nothing else
                Egress(2, loopback=True, resolve=lambda host, port, found=found: found).post(
                    "https://inner.example/x", {}, b"{}"
                )
    assert connections == []


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2a02:6b8::1", "64:ff9b::5db8:d822"])
def test_the_internet_is_open(address):
    assert may_go(address)


def test_the_socket_goes_to_the_address_that_was_checked(connections):
    answers = [["93.184.216.34"], ["127.0.0.1"]]  # rebinding: the second answer would be another one
    way = Egress(2, resolve=lambda host, port: answers.pop(0))
    with pytest.raises(ConnectionError):
        way.post("https://rebind.example/x", {}, b"{}")
    assert [a[0] for a in connections] == ["93.184.216.34"] and len(answers) == 1


def test_http_to_this_machine_only_when_allowed_and_nowhere_else(connections):
    with pytest.raises(Refused):
        Egress(2).post("http://127.0.0.1/x", {}, b"")
    with pytest.raises(Refused):
        Egress(2, loopback=True, resolve=lambda h, p: ["93.184.216.34"]).post("http://x.example/", {}, b"")
    assert connections == []


def test_redirects_are_not_followed_and_drips_end():
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.path)
            if self.path == "/drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                try:
                    for n in range(100):
                        self.wfile.write(b"X%d: y\r\n" % n)
                        self.wfile.flush()
                        threading.Event().wait(0.1)
                except OSError:
                    pass
                return
            self.send_response(302)
            self.send_header("Location", "/other")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        way = Egress(1, loopback=True)
        base = f"http://127.0.0.1:{server.server_port}"
        assert way.post(f"{base}/a", {}, b"{}")[0] == 302
        with pytest.raises(ConnectionError, match="вовремя"):
            way.post(f"{base}/drip", {}, b"{}")
        way.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen == ["/a", "/drip"]
