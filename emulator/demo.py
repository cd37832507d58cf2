"""`otklik demo`: real commands on a pretend network, one after another, shown with what they print.

Nothing is staged: each step is the command a person would type, run in this process against the emulator, with a
database and a configuration in a temporary folder. The configuration is `config.yaml` with the addresses changed.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from emulator.vk import TOKENS

DEMO_TOKEN = next(token for token, kind in TOKENS.items() if kind == "user")
Run = Callable[[Sequence[str]], int]

ROOT = Path(__file__).resolve().parent


class _Plain(yaml.SafeLoader):
    """YAML whose keys are what is written, as in `settings`: "off" is a word, not false."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def demo_config() -> dict[str, Any]:
    """The project's config.yaml as plain data: from the checkout, else the copy inside the installed package."""
    for path in (ROOT.parent / "config.yaml", ROOT / "config.yaml"):
        if path.exists():
            return yaml.load(path.read_text(encoding="utf-8"), _Plain)
    raise FileNotFoundError("config.yaml")


class _Phone(ThreadingHTTPServer):
    """Where the demo's alerts go: a loopback address that keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PhoneHandler)
        self.heard: list[str] = []


class _PhoneHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1_000_000))
        try:
            self.server.heard.append(str(json.loads(body).get("message", "")))  # type: ignore[attr-defined]
            self.send_response(200)
        except (ValueError, AttributeError):
            self.send_response(400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[ThreadingHTTPServer]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {k: os.environ.get(k) for k in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _write_config(folder: Path, api: str, phone: int) -> Path:
    config = demo_config()
    config["store"]["url"] = f"sqlite:///{folder / 'otklik.db'}"
    config["networks"] = {"vk": {"token": "${VK_TOKEN}", "api": api, "requests_per_second": 1000}}
    config["alerts"]["head"] = [f"json://127.0.0.1:{phone}"]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


class _Stage:
    """Prints the steps; colours on a terminal only."""

    def __init__(self, pause: float) -> None:
        self.pause = pause if sys.stdout.isatty() else 0.0
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def title(self, text: str) -> None:
        sys.stdout.flush()
        print(f"\n{self._paint('1;36', '── ' + text)}", flush=True)

    def note(self, text: str) -> None:
        print(self._paint("2", text), flush=True)

    def good(self, ok: bool, text: str) -> None:
        print(self._paint("1;32" if ok else "1;31", ("✓ " if ok else "✗ ") + text), flush=True)

    def command(self, run: Run, config: Path, words: Sequence[str]) -> int:
        shown = " ".join(w if w.replace("-", "").isalnum() else f"'{w}'" for w in words)
        print(self._paint("1", f"$ otklik {shown}"), flush=True)
        code = run(["--config", str(config), *words])
        sys.stdout.flush()
        time.sleep(self.pause)
        return code


def run_demo(run: Run, *, pause: float = 0.0) -> int:
    """Play the demo; `run` executes one command line in this process. 0 when all that was shown agrees."""
    from emulator.scenario import load
    from emulator.server import Emulator

    stage = _Stage(pause)
    started = time.perf_counter()
    world = load(None)
    agreed = True
    with tempfile.TemporaryDirectory(prefix="otklik-demo-") as name, _serving(_Phone()) as phone:
        folder = Path(name)
        with Emulator(world) as vk, _environment({"VK_TOKEN": DEMO_TOKEN}):
            config = _write_config(folder, vk.url, phone.server_address[1])

            stage.title("1. Первый сбор: прежние комментарии — архив, без сроков и тревог")
            stage.command(run, config, ["collect"])

            stage.title("2. Проходит час, жители пишут: о чрезвычайном Глава узнаёт сразу")
            world.advance_to("act1")
            stage.command(run, config, ["collect"])
            for text in [t for t in phone.heard if t.endswith("alerts ack 1")]:
                stage.note("Телефон Главы:")
                for line in text.splitlines():
                    print(f"    {line}")
            stage.note(f"Всего тревог доставлено: {len(phone.heard)}")

            stage.title("3. Тревоги и очередь: чрезвычайные и срочные сверху")
            stage.command(run, config, ["alerts"])
            stage.command(run, config, ["queue", "--limit", "12"])
            first = next(iter(_listed(run, config, ["queue", "--emergency", "--limit", "1", "--json"])), None)
            if first is not None:
                stage.title("4. Одно сообщение целиком; Глава подтверждает тревогу")
                stage.command(run, config, ["queue", "show", first["id"]])
                stage.command(run, config, ["alerts", "ack", "1", "--by", "глава"])

            stage.title("5. Лента событий для других систем")
            stage.command(run, config, ["feed", "read", "--after", "1", "--limit", "1"])

            stage.title("6. Ещё один сбор: ничего не удваивается")
            before = _stored(run, config)
            stage.command(run, config, ["collect"])
            after = _stored(run, config)
            stage.good(after == before, f"комментариев было {before}, стало {after}")
            agreed &= after == before

            stage.title("7. Новые комментарии, правки и удаления")
            world.advance_to("act2")
            stage.command(run, config, ["collect", "--full"])

            stage.title("8. Полнота по страницам; база сверяется с журналом сети")
            stage.command(run, config, ["pages"])
            truth = folder / "ledger.ndjson"
            truth.write_text(world.ledger_ndjson(), encoding="utf-8")
            code = stage.command(run, config, ["store", "verify", "--ledger", str(truth)])
            stage.good(code == 0, "в базе ровно то, что было в сети: ничего не потеряно и не удвоено")
            agreed &= code == 0
    stage.note(
        f"Готово за {time.perf_counter() - started:.0f} с. Дальше: otklik init, затем README, «A real VK token»."
    )
    return 0 if agreed else 1


def _stored(run: Run, config: Path) -> int:
    """How many comments the database has, by its own account."""
    return sum(page["stored"] for page in _listed(run, config, ["pages", "--json"]))


def _listed(run: Run, config: Path, words: Sequence[str]) -> Any:
    """What a command with --json prints, as a value."""
    caught = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(caught):
        run(["--config", str(config), "--quiet", *words])
        caught.flush()
    return json.loads(caught.buffer.getvalue() or b"[]")  # type: ignore[attr-defined]
