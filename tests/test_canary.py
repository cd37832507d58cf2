"""Secrets that sing when they get out: token, password of the database, passwords in alert addresses, a proxy's.

Every command runs as a real process, at its most talkative, against a network that repeats the token in its errors;
afterwards nothing that was written, anywhere, may hold one of them, in any spelling.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest

from collectors.manners import Retry
from collectors.vk_client import as_error
from emulator import Behaviour, Emulator
from emulator.faults import Plan
from emulator.world import World
from settings import HIDDEN, Token, remember_secret, scrub
from tests.desk.receivers import dead_port, receiver
from tests.rig import PROGRAM, config, environment, forked, two_pages

TOKEN = "vk1.a.CANARY-token_0123456789abcdef"
ALERT = "CANARY+alert/pass word&=%"
PROXY = "http://canary-user:CANARY-proxy@127.0.0.1:9"
FIRE = "Горит жилой дом в Луткуне, внутри люди!"


def spellings(secret: str) -> set[bytes]:
    """A secret as it may stand in a text, an address, a header, a log of bytes."""
    plain = {secret, quote(secret), quote(secret, safe=""), secret.replace(" ", "+"), repr(secret)[1:-1]}
    found = {text.encode() for text in plain}
    found |= {text.encode("utf-16-le") for text in plain}
    return found | {base64.b64encode(secret.encode()).rstrip(b"=")}


class Ears:
    """Everything that was written, to be searched."""

    def __init__(self, *secrets: str) -> None:
        self.bad = {spelling: secret for secret in secrets for spelling in spellings(secret)}
        self.heard = 0

    def listen(self, where: str, data: bytes) -> None:
        self.heard += len(data)
        for spelling, secret in self.bad.items():
            at = data.find(spelling)
            assert at < 0, f"{where}: {secret} got out: …{data[max(0, at - 60) : at]!r}"

    def files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            self.listen(str(path.name), str(path).encode())
            if path.is_file():
                self.listen(path.name, path.read_bytes())


class Program:
    """Runs commands as processes, listens to what they say and to how `ps` shows them."""

    def __init__(self, folder: Path, ears: Ears, **env: str) -> None:
        self.folder = folder
        self.ears = ears
        self.env = environment(OTKLIK_DEBUG="1", **env)
        self.said = ""
        self.form = "text"
        self.tried: set[str] = set()

    def run(self, *argv: str, code: set[int] | None = None) -> str:
        """A command: of the same verb the first one is a program of its own and seen by `ps`, later ones are forked."""
        options = ["--config", str(self.folder / "config.yaml"), "--log-level", "debug"]
        options += ["--log-format", self.form, *argv]
        shown = b""
        if argv[0] in self.tried:
            code_, out, err = forked(*options, cwd=self.folder, env=self.env)
        else:
            self.tried.add(argv[0])
            code_, out, err, shown = self._start(options)
        name = " ".join(argv[:2])
        for what, data in (("ps", shown), ("stdout", out), ("stderr", err)):
            self.ears.listen(f"{what} of {name}", data)
        assert code is None or code_ in code, (code_, out, err)
        self.said = (out + err).decode("utf-8", "replace")
        return out.decode("utf-8", "replace")

    def _start(self, options: list[str]) -> tuple[int, bytes, bytes, bytes]:
        """(exit code, output, errors, how `ps` showed it)."""
        command = [*PROGRAM, *options]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip
        shown = b""
        while process.poll() is None and not shown:
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            time.sleep(0.01)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err, shown


FAULTS = ("*:error=5", "execute:error=13; wall.getComments:error=15", "*:html")
"""What the network does while it repeats the token; each a run of its own."""


def network(**more: Any) -> str:
    return ", retries: 0, max_wait: 0.2s" + "".join(f", {k}: {v}" for k, v in more.items())


@contextmanager
def loud_network(world: World) -> Iterator[Emulator]:
    with Emulator(world, behaviour=Behaviour(echo_token=True), tokens={TOKEN: "user"}) as emulator:
        yield emulator


def everything(program: Program, emulator: Emulator, world: World) -> None:
    """The life of an installation, well and ill."""
    program.run("doctor", code={0, 1})
    program.run("collect", code={0})
    world.advance(60)
    world.add_comment(next(iter(world.pages["-1"].posts.values())), FIRE, 1001)
    program.run("collect", "--json", code={0})
    for plan in FAULTS:
        emulator.plan = Plan.parse(plan)
        program.form = "json" if plan == FAULTS[1] else "text"
        program.run("collect", "--full", code={1, 3, 4})
        if program.form == "json":
            logged = [json.loads(line) for line in program.said.splitlines() if line.startswith("{")]
            about = [line for line in logged if "page" in line]
            assert {line["run"] for line in about} and {line["page"] for line in about} == {"-1", "-2"}, program.said
            assert {"network", "level", "time", "logger", "message"} <= about[0].keys()
        else:
            assert "DEBUG" in program.said or "WARNING" in program.said
    program.form = "text"
    program.run("doctor", "--json", code={1})
    emulator.plan = Plan.parse(None)
    for argv in (("pages",), ("queue", "--json", "--historical"), ("feed", "read"), ("alerts", "--all")):
        program.run(*argv)
    program.run("alerts", "test", code={1})
    program.run("alerts", "drill", code={1})
    program.run("store", "backup", str(program.folder / "copy"), code={0})


def test_nothing_gets_out_with_sqlite(tmp_path: Path) -> None:
    world = two_pages(posts=2)
    ears = Ears(TOKEN, ALERT, "CANARY-proxy")
    token_file = tmp_path.parent / f"{tmp_path.name}.secret"
    token_file.write_text(f"{TOKEN}\n")
    with loud_network(world) as emulator, receiver() as phone, receiver(status=500) as broken:
        heads = [
            f"json://head:${{ALERT_PASSWORD}}@127.0.0.1:{phone.server_port}",
            f"json://head:${{ALERT_PASSWORD}}@127.0.0.1:{broken.server_port}/${{ALERT_PASSWORD}}",
            f"json://127.0.0.1:{dead_port()}/?+X-Token=${{ALERT_PASSWORD}}",
        ]
        text = config(
            f"sqlite:///{tmp_path}/otklik.db",
            emulator.url,
            token="${VK_TOKEN}",
            head=heads,
            network=network(proxy='"${VK_PROXY}"'),
        )
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        program = Program(
            tmp_path, ears, VK_TOKEN_FILE=str(token_file), ALERT_PASSWORD=quote(ALERT, safe=""), VK_PROXY=PROXY
        )
        everything(program, emulator, world)
        ears.listen("alerts", repr(phone.heard).encode())
        assert any("Луткун" in t for t in phone.texts), "the alert did ring"
    ears.files(tmp_path)
    assert ears.heard > 100_000


def test_nothing_gets_out_with_postgresql(postgres_url: str, tmp_path: Path) -> None:
    world = two_pages(posts=2)
    password = postgres_url.split("otklik:", 1)[1].split("@", 1)[0]
    assert len(password) >= 16
    ears = Ears(TOKEN, password)
    with loud_network(world) as emulator:
        text = config(
            postgres_url.replace(password, "${DB_PASSWORD}"), emulator.url, token="${VK_TOKEN}", network=network(),
            head=[f"json://127.0.0.1:{dead_port()}"],
        )  # fmt: skip
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        program = Program(tmp_path, ears, VK_TOKEN=TOKEN, DB_PASSWORD=password)
        program.run("collect", code={0})
        emulator.plan = Plan.parse("*:error=100")
        program.run("collect", "--full", code={4})
        program.run("doctor", code={1})
        program.run("feed", "read", code={0})
        program.run("store", "backup", str(tmp_path / "copy"), code={0})
        wrong = Program(tmp_path, ears, VK_TOKEN=TOKEN, DB_PASSWORD="CANARY-not-the-password")
        wrong.ears = Ears(TOKEN, password, "CANARY-not-the-password")
        for argv in (("pages",), ("collect",), ("doctor",)):
            wrong.run(*argv, code={1, 2, 3})
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(tables) > 8
        for (name,) in tables:
            rows = conn.execute(f'SELECT * FROM "{name}"').fetchall()  # type: ignore[call-overload]
            ears.listen(f"table {name}", repr(rows).encode())
    ears.files(tmp_path)


def test_a_token_that_cannot_be_one_is_not_repeated(tmp_path: Path) -> None:
    """What stands in the variable by mistake (spaces, another alphabet) may be a secret all the same."""
    for value in ("CANARY one two", "КАНАРЕЙКА-секрет"):
        ears = Ears(value)
        text = config(f"sqlite:///{tmp_path}/otklik.db", "http://127.0.0.1:9/method/", token="${VK_TOKEN}")
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        Program(tmp_path, ears, VK_TOKEN=value).run("collect", code={1, 2, 3, 4})
        ears.files(tmp_path)


def test_a_secret_written_into_the_file_is_found_by_doctor_and_not_shown(tmp_path: Path) -> None:
    ears = Ears(TOKEN)
    text = config(f"sqlite:///{tmp_path}/otklik.db", "http://127.0.0.1:9/method/", token=TOKEN, network=network())
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    program = Program(tmp_path, ears)
    out = program.run("doctor", code={1})
    assert "секрет записан прямо в файле" in out
    (tmp_path / "config.yaml").write_text(text.replace("retries: 0", "retries: x"), encoding="utf-8")
    program.run("doctor", code={2})
    (tmp_path / "config.yaml").unlink()
    ears.files(tmp_path)


def test_the_ears_hear() -> None:
    for spelling in spellings(ALERT):
        with pytest.raises(AssertionError):
            Ears(ALERT).listen("x", b"before " + spelling + b" after")


def test_a_networks_own_words_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", TOKEN)
    Token("${CANARY_TOKEN}").reveal()
    remember_secret(ALERT)
    found = as_error(777, f"no user for access_token={TOKEN} and {quote(ALERT)}", "wall.get")
    assert not isinstance(found, Retry)
    assert TOKEN not in str(found) and quote(ALERT) not in str(found) and HIDDEN in str(found)
    for text in (
        ALERT,
        quote(ALERT),
        quote(ALERT, safe=""),
        quote_plus(ALERT),
        json.dumps({"x": ALERT}),
        repr([ALERT]),
    ):
        assert "CANARY" not in scrub(f"<{text}>"), text
