"""The HTTP side: keep-alive, hostile input, steering from another process, starting and stopping."""

from __future__ import annotations

import email.utils
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
import requests

from emulator import USER_TOKEN, Clock, Emulator, World, generate, serve
from settings import ConfigError, OtklikError

FORM = f"v=5.199&access_token={USER_TOKEN}"
PING = (
    "POST /method/utils.getServerTime HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(FORM)}\r\n\r\n{FORM}"
).encode()


@pytest.fixture(scope="module")
def emulator():
    with Emulator(generate(2, 1, 5, 60)) as running:
        yield running


def raw(emulator: Emulator, data: bytes, *, half: bool = True) -> bytes:
    """Whatever comes back for these bytes until the server closes."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as sock:
        sock.sendall(data)
        if half:
            sock.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := sock.recv(65536):
                parts.append(part)
        except ConnectionError:
            pass
        return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"nonsense\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /method/x SPDY/9\r\n\r\n", 400),
        (b"GET http://evil/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5 + b"Z" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: 1\r\n" % i for i in range(500)) + b"\r\n", 400),
        (b"GET /method/wall.get HTTP/1.1\r\n\r\n", 403),
        (b"GET /method/wall.get HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /_otklik/ledger HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", 403),
        (b"GET /method/wall.get HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /method/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"DELETE /method/wall.get HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"POST /method/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /method/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        (b"POST /method/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", 0),
        (b"POST /method/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /method/%ff%fe%00?a=%ff&&&=;; HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /method/x?" + b"&".join([b"a=1"] * 2000) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /_otklik/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /_otklik/advance?seconds=5 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"POST /_otklik/advance?seconds=nan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /_otklik/advance?seconds=-5 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /_otklik/advance?to=never HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /_otklik/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nx:y", 400),
    ],
)  # fmt: skip
def test_hostile_bytes_are_refused_and_the_server_lives(emulator, data, expected):
    assert status(raw(emulator, data)) == expected
    assert status(raw(emulator, PING)) == 200
    assert emulator.failures == 0


@pytest.mark.parametrize(
    "code",
    [
        "return " + "[" * 100_000,
        "while(true){}",
        "var a=[1];a.push(a);return a;",
        "var a={};a.b=a;return a;",
        "var a='x';while(true){a=a+a;}",
        "\x00\x00",
        "return API.execute({code:'return 1;'});",
        "return API.wall.get({owner_id:{a:{b:[1]}}});",
        'return API.wall.get({"\\ud800":"\\udfff"});',
        "var a={};a.b=a;return API.wall.get({x:a});",
        "return 'x'" + "+'x'" * 50_000 + ";",
        "var i=0;while(i<99){API.utils.getServerTime({});i=i+1;}",
    ],
)
def test_hostile_programs_get_an_answer(emulator, code):
    answer = requests.post(emulator.url + "execute", data=f"{FORM}&code={urllib.request.quote(code)}", timeout=20,
                           headers={"Content-Type": "application/x-www-form-urlencoded"}).json()  # fmt: skip
    assert answer.get("error", {}).get("error_code") in (12, 13) or "execute_errors" in answer
    assert emulator.failures == 0


def test_connections_are_kept(emulator):
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as sock:
        reader = sock.makefile("rb")
        for _ in range(5):
            sock.sendall(PING)
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = {}
            while (line := reader.readline()) != b"\r\n":
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            assert headers["connection"] == "keep-alive"
            assert "response" in json.loads(reader.read(int(headers["content-length"])))
        reader.close()
    assert raw(emulator, PING + PING).count(b"HTTP/1.1 200 OK") == 2


def test_the_ways_to_pass_parameters(emulator):
    url = emulator.url + "utils.getServerTime"
    token = {"Authorization": f"Bearer {USER_TOKEN}"}
    for answer in (
        requests.get(url, params={"v": "5.199", "access_token": USER_TOKEN}, timeout=5),
        requests.post(url, data={"v": "5.199", "access_token": USER_TOKEN}, timeout=5),
        requests.post(url, data={"v": "5.199"}, headers=token, timeout=5),
    ):
        assert isinstance(answer.json()["response"], int)
    assert (
        requests.post(url, json={"v": "5.199", "access_token": USER_TOKEN}, timeout=5).json()["error"]["error_code"]
        == 5
    )


def test_many_clients_at_once(emulator):
    results: list[int] = []

    def one() -> None:
        with requests.Session() as session:
            for _ in range(20):
                answer = session.post(emulator.url + "wall.get", data={"v": "5.199", "access_token": USER_TOKEN,
                                                                      "owner_id": "-100001"}, timeout=20)  # fmt: skip
                results.append(answer.json()["response"]["count"])

    threads = [threading.Thread(target=one) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [5] * 200


# --- steering ---------------------------------------------------------------------------------------------------------


def test_another_process_steers_and_reads():
    world = World(clock=Clock(1_700_000_000.0, frozen=True))
    page = world.add_page("-1", "Страница")
    world.marks["later"] = 1_700_003_600.0
    world.schedule(1_700_003_000.0, lambda: world.add_comment(world.add_post(page, "п"), "потом", 5))
    with Emulator(world) as emulator:
        base = emulator.url.removesuffix("method/") + "_otklik/"
        assert requests.get(base + "ledger", timeout=5).text == ""
        answer = requests.post(base + "advance?to=later", timeout=5)
        assert answer.json()["now"] == "2023-11-14T23:13:20+00:00"
        assert email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() == 1_700_003_600
        lines = requests.get(base + "ledger", timeout=5).text.splitlines()
        assert [json.loads(x)["text"] for x in lines] == ["потом"]
        requests.post(base + "faults", data="utils.getServerTime:error=9", timeout=5)
        assert requests.post(emulator.url + "utils.getServerTime", data=FORM, timeout=5).json()["error"]
        calls = requests.get(base + "calls", timeout=5).json()
        assert calls == {"calls": {"utils.getServerTime": 1}, "inner_calls": {}}
        log = requests.get(base + "requests", timeout=5).text
        assert USER_TOKEN not in log
        assert json.loads(log)["method"] == "utils.getServerTime"
        assert requests.get(base + "clock", timeout=5).json()["marks"] == {"later": 1_700_003_600.0}
        answer = requests.post(base + "advance?to=nowhere", timeout=5)
        assert "отметки времени nowhere" in answer.json()["error"]


def test_the_log_names_token_kinds_and_faults_but_no_tokens(emulator):
    emulator.forget_calls()
    emulator.plan = type(emulator.plan).parse("wall.get:http=502@1")
    data = {"v": "5.199", "access_token": USER_TOKEN, "owner_id": "-100001"}
    requests.post(emulator.url + "wall.get", data=data, timeout=5)
    requests.post(emulator.url + "wall.get", data=data | {"access_token": "secret-but-wrong"}, timeout=5)
    first, second = emulator.requests
    assert first == {
        "method": "wall.get",
        "params": {"v": "5.199", "owner_id": "-100001"},
        "token": "user",
        "status": 502,
        "fault": "wall.get:http=502@1",
    }
    assert (second["token"], second["status"]) == ("none", 200)
    assert emulator.calls == {"wall.get": 2}


# --- life -------------------------------------------------------------------------------------------------------------


def test_stopping_frees_the_port_and_ends_the_connections():
    with Emulator(World()) as first:
        port = first.port
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        sock.sendall(PING)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert sock.recv(10) == b""
    sock.close()
    with Emulator(World(), port=port) as second:
        assert status(raw(second, PING)) == 200


def test_what_can_not_start_says_why():
    with Emulator(World()) as first:
        with pytest.raises(OtklikError, match="порт"):
            Emulator(World(), port=first.port).start()
    with pytest.raises(OtklikError, match="порт"):
        Emulator(World(), port=99999).start()
    with pytest.raises(ConfigError, match="только этот компьютер"):
        Emulator(World(), host="0.0.0.0").start()
    with pytest.raises(ConfigError, match="эмулятора сети myspace нет"):
        Emulator(World(), network="myspace")


def test_serve_prints_the_address_first_and_ends():
    stop = threading.Event()
    said: list[str] = []
    ready = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if "остановить" in line:
            ready.set()

    thread = threading.Thread(target=serve, kwargs={"say": say, "stop": stop, "at": "act1"})
    thread.start()
    assert ready.wait(20)
    answer = requests.post(said[0] + "wall.get", data=FORM + "&domain=akhty_adm", timeout=5,
                           headers={"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert answer.json()["response"]["count"] == 8
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


# A process started in the background of a shell ignores SIGINT.
_INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


def test_serving_ends_tidily_when_interrupted():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", _INTERRUPTIBLE + "from emulator import serve; serve()"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()  # comes at once though it is a pipe
        assert requests.get(url + "utils.getServerTime?" + FORM, timeout=5).json()["response"] > 0
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_the_package_is_light():
    code = "import emulator, sys; print([m for m in sys.modules if m in ('requests','pydantic','yaml','emulator.vk')])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
