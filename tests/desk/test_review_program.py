"""`otklik review` as a program: on a terminal of its own, killed, stopped, in a small window, and driven by lines."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from store import Store
from store.admin import verify
from tests.desk.test_review import EMERGENCY, PLAIN, THANKS, fill
from tests.rig import PROGRAM, environment, otklik

CONFIG = """
store: {{url: "{url}"}}
people:
  - {{id: adm, name: "Иванова А. А.", roles: [administrator]}}
  - {{id: two, roles: [administrator]}}
divisions:
  - {{id: zhkh, name: "Отдел ЖКХ", topics: [housing], people: [petrov]}}
  - {{id: roads, name: "Отдел дорог", topics: [roads]}}
"""


TEXTS = ["Горит \x1b[2Jдом", "Вода", "Свет", "Газ", "Спасибо"]


@pytest.fixture
def folder(tmp_path, sqlite_url):
    with Store.open(sqlite_url) as store:
        fill(
            store, EMERGENCY, PLAIN, PLAIN, PLAIN, THANKS, texts=["Горит \x1b[2Jдом", "Вода", "Свет", "Газ", "Спасибо"]
        )
    (tmp_path / "config.yaml").write_text(CONFIG.format(url=sqlite_url), encoding="utf-8")
    return tmp_path


def states(url):
    with Store.open(url) as store:
        return {m["id"]: (m["status"], m["division"]) for m in store.messages() if m["status"] != "new"}


class Terminal:
    """A terminal with the program in it."""

    def __init__(self, folder, *argv, columns=80, rows=24, by="adm", **env):
        self.fd, tty = pty.openpty()
        self.resize(columns, rows)
        self.mode = termios.tcgetattr(tty)
        self.tty = tty
        env = environment(TERM="xterm", **env)
        env.pop("COLUMNS", None)
        self.seen = ""
        self.process = subprocess.Popen(
            [*PROGRAM, "--config", str(folder / "config.yaml"), "review", "--by", by, *argv],
            stdin=tty, stdout=tty, stderr=tty, env=env, cwd=folder, start_new_session=True,
        )  # fmt: skip

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text, seconds=40):
        """What came since the last call, up to the screen that shows `text`."""
        end, since = time.monotonic() + seconds, ""
        while text not in since:
            assert time.monotonic() < end, (text, since[-3000:])
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    since += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        self.seen += since
        assert text in since
        return since

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        """The exit code, and whether the terminal is as it was before."""
        rest = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < rest:
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        while select.select([self.fd], [], [], 0.1)[0]:
            self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        same = termios.tcgetattr(self.tty) == self.mode
        os.close(self.fd), os.close(self.tty)
        return self.process.returncode, same


def test_an_hour_on_a_terminal(folder, sqlite_url):
    terminal = Terminal(folder, NO_COLOR="1")
    shown = terminal.until("q выход")
    assert "№ 1  ЧП" in shown and "Горит дом" in shown and "осталось 4 (1 ЧП)" in shown
    assert set(re.findall(r"\x1b\[[0-9;?]*[A-Za-z]", shown)) <= {
        "\x1b[?1049h", "\x1b[?25l", "\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"
    }  # fmt: skip
    terminal.press("\r")  # nobody has its topic: whom to?
    terminal.until("Кому направить")
    terminal.press("ljhju\r")  # "дорог" with the other layout
    terminal.until("направить: Отдел дорог")
    terminal.press("\r")
    terminal.until("№ 2")
    assert states(sqlite_url) == {"1": ("routed", "roads")}
    terminal.resize(44, 12)
    narrow = terminal.until("№ 2", 10)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", narrow.replace("\x1b[H", "\r\n")).split("\r\n")
    assert max(map(len, drawn)) < 44
    terminal.press("\r")
    terminal.until("№ 3")
    terminal.press("z")
    terminal.until("отменено")
    terminal.press("q")
    assert terminal.end() == (0, True)
    assert "\x1b[?25h\x1b[?1049l" in terminal.seen and "направлено 1; осталось 3" in terminal.seen
    assert states(sqlite_url) == {"1": ("routed", "roads"), "2": ("accepted", None)}
    assert verify(sqlite_url) == []


def test_a_signal_gives_the_terminal_back_and_colours_are_there_unless_unwanted(folder):
    terminal = Terminal(folder)
    assert "\x1b[1" in terminal.until("q выход")
    terminal.press("d")
    terminal.until("Кому направить")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == (5, True) and "Traceback" not in terminal.seen and "прервано" in terminal.seen


def test_killed_and_begun_again(folder, sqlite_url):
    terminal = Terminal(folder)
    terminal.until("№ 1")
    terminal.press("s")
    terminal.until("№ 2")
    terminal.press("\r")
    terminal.until("№ 3")
    terminal.press("t")
    terminal.until("Тема")
    terminal.process.kill()
    terminal.end()
    assert states(sqlite_url) == {"2": ("routed", "zhkh")} and verify(sqlite_url) == []
    with Store.open(sqlite_url) as store:  # whom the dead terminal has shown it to begins with it again
        assert [e["verb"] for e in store.desk("3")["log"]] == []
    done = otklik("--config", str(folder / "config.yaml"), "review", "--by", "adm", stdin="s\n\n")
    assert (done.code, done.out) == (0, "№ 1: пропущено\n№ 3: направлено: Отдел ЖКХ\n")


def run(folder, *argv, stdin=""):
    return otklik("--config", str(folder / "config.yaml"), "review", "--by", "adm", *argv, stdin=stdin)


def test_lines_do_what_keys_do(folder, sqlite_url):
    script = "d\nдорог\n\n\nt\nямы на дороге\n\nr\n4\nq\n"
    done = run(folder, stdin=script)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "направить: Отдел дорог", "№ 1: направлено: Отдел дорог", "№ 2: направлено: Отдел ЖКХ",
        "№ 3: направлено: Отдел дорог", "№ 4: отказ: нецензурные или оскорбительные выражения",
    ]  # fmt: skip
    assert "направлено 3, отказ 1; осталось 0" in done.err
    assert states(sqlite_url) == {
        "1": ("routed", "roads"), "2": ("routed", "zhkh"), "3": ("routed", "roads"), "4": ("closed", None)
    }  # fmt: skip


def test_decisions_as_json_and_the_end_of_the_lines(folder):
    done = run(folder, "--json", "--all", stdin="s\n\nk\nspam\n30d\nz\n")
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(d["id"], d["verb"]) for d in found] == [("2", "route"), ("3", "block")]
    assert found[0]["to"] == ["zhkh"] and found[1]["ground"] == "spam"


@pytest.mark.parametrize(
    ("script", "said"),
    [("s\nы4\ns\n", "клавиши «ы4» нет"), ("s\nt\nщщщщщ\n", "ничего похожего на «щщщщщ» нет"),
     ("s\nr\n9\n", "нет такого основания"), ("s\nk\n5\nзавтра\n", "нужен срок")],
)  # fmt: skip
def test_a_line_that_could_not_be_done_ends_it(folder, sqlite_url, script, said):
    done = run(folder, stdin=script)
    assert done.code == 1 and said in done.err and "дальше строки не читаются" in done.err
    last = next(n for n, line in enumerate(script.split("\n"), 1) if line in ("ы4", "щщщщщ", "9", "завтра"))
    assert f"строка {last} («{script.split(chr(10))[last - 1]}»): " in done.err
    assert states(sqlite_url) == {}


def test_whoever_may_not_is_told(folder):
    done = otklik("--config", str(folder / "config.yaml"), "review", "--by", "petrov")
    assert (done.code, done.out) == (2, "") and "это делает администратор" in done.err
