"""What `otklik demo` plays with: the nine networks on loopback, a configuration for them, a telephone for alerts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from emulator.face import NETWORKS

if TYPE_CHECKING:
    from emulator.server import Emulator
    from emulator.world import World

ROOT = Path(__file__).resolve().parent


class _Plain(yaml.SafeLoader):
    """YAML whose keys are what is written, as in `settings`: "off" is a word, not false."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def demo_config(*networks: str) -> dict[str, Any]:
    """The project's config.yaml as plain data: from the checkout, else the copy inside the installed package.

    `networks`: only these and their pages; none named: all of it.
    """
    for path in (ROOT.parent / "config.yaml", ROOT / "config.yaml"):
        if path.exists():
            found = yaml.load(path.read_text(encoding="utf-8"), _Plain)
            if networks:
                found["networks"] = {n: v for n, v in found["networks"].items() if n in networks}
                found["pages"] = [p for p in found["pages"] if p["network"] in networks]
            return found
    raise FileNotFoundError("config.yaml")


def secrets() -> dict[str, str]:
    """The environment that the configuration's `${…}` are read from: what the pretend networks accept."""
    from emulator import facebook, instagram, max, ok, telegram, vk, x, youtube

    return {
        "VK_TOKEN": vk.USER_TOKEN,
        "OK_TOKEN": ok.TOKEN,
        "OK_SECRET": ok.SESSION_SECRET,
        "TELEGRAM_TOKEN": telegram.TOKEN,
        "MAX_TOKEN": max.TOKEN,
        "YOUTUBE_TOKEN": youtube.KEY,
        "FACEBOOK_TOKEN": facebook.PAGE_TOKEN,
        "INSTAGRAM_TOKEN": instagram.TOKEN,
        "X_TOKEN": x.BEARER,
    }


def config_at(addresses: Mapping[str, str], store: str) -> dict[str, Any]:
    """The project's configuration with the networks of `addresses` (name -> where it is) switched on, no others."""
    from emulator.ok import APPLICATION_KEY

    config = demo_config(*addresses)
    config["store"]["url"] = store
    for name, address in addresses.items():
        config["networks"][name] |= {"enabled": True, "api": address, "requests_per_second": 1000}
    if "ok" in addresses:
        config["networks"]["ok"]["application_key"] = APPLICATION_KEY
    return config


def write_config(folder: Path, addresses: Mapping[str, str], phone: int) -> Path:
    """config.yaml in `folder`, its database there as well, its alerts sent to `phone`."""
    config = config_at(addresses, f"sqlite:///{folder / 'otklik.db'}")
    config["alerts"]["head"] = [f"json://127.0.0.1:{phone}"]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for as long as it is open."""
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


class Networks:
    """All networks, each with its own little world; time goes in all of them at once."""

    def __init__(self, worlds: dict[str, World], emulators: dict[str, Emulator]) -> None:
        self.worlds = worlds
        self.emulators = emulators

    @property
    def addresses(self) -> dict[str, str]:
        return {name: emulator.url for name, emulator in self.emulators.items()}

    def advance_to(self, mark: str) -> None:
        for world in self.worlds.values():
            world.advance_to(mark)

    def ledger(self) -> str:
        """The truth of all networks as NDJSON."""
        return "".join(world.ledger_ndjson() for world in self.worlds.values())


@contextmanager
def all_networks() -> Iterator[Networks]:
    """The nine networks, up for as long as it is open."""
    from emulator.scenario import load
    from emulator.server import Emulator

    with ExitStack() as stack:
        worlds = {name: load(None, network=name) for name in NETWORKS}
        yield Networks(worlds, {n: stack.enter_context(Emulator(w, network=n)) for n, w in worlds.items()})


class Phone(ThreadingHTTPServer):
    """Where the demo's alerts go: a loopback address that keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PhoneHandler)
        self.heard: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


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
def phone() -> Iterator[Phone]:
    """A telephone that listens for as long as it is open."""
    server = Phone()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
