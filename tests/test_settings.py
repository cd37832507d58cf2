"""Bad configuration gets one sentence with file, line and key, exit code 2 and no traceback; secrets stay secret."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

import cli
import settings
from settings import (
    ConfigError,
    OtklikError,
    ScrubbingFormatter,
    Secret,
    Settings,
    Token,
    install_log_scrubbing,
    literal_secrets,
    load,
    parse,
    remember_secret,
    scrub,
    seconds,
)

ROOT = Path(__file__).parents[1]
LOADERS = sorted({yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}, key=lambda c: c.__name__)


@pytest.fixture(params=LOADERS, ids=lambda c: c.__name__)
def loader(request, monkeypatch):
    """Both parsers of PyYAML: which one is there depends on how it was built."""
    monkeypatch.setattr(settings, "_LOADER", request.param)


PAGE = "pages:\n  - {network: vk, id: a, %s}"

# (what stands in the file, the line that is named, words that must be said)
BAD: list[tuple[str, int, str]] = [
    # the file as a whole
    ("- a\n- b", 1, "разделы"),
    ("just words", 1, "разделы"),
    ("42", 1, "разделы"),
    ("true", 1, "разделы"),
    ("2026-11-24", 1, "разделы"),
    ("[]", 1, "разделы"),
    ('"pages: []"', 1, "разделы"),
    # not YAML
    ("store: {url: x", 1, "скобк"),
    ("store: [url", 1, "скобк"),
    ("store: }", 1, "не YAML"),
    ("store: ]", 1, "не YAML"),
    ("pages:\n  - {network: vk, id: a]", 2, "скобк"),
    ("organisation:\n  name: 'Ахты\nstore: {}", 3, "кавычк"),
    ('organisation:\n  name: "Ахты\n', 3, "кавычк"),
    ("organisation:\n  name: a: b", 2, "двоеточие"),
    ("organisation:\n\tname: Ахты", 2, "табуляция"),
    ("organisation:\n  name: Ахты\n\tdistrict: x", 3, "табуляция"),
    ("organisation:\n    name: Ахты\n  district: x", 3, "отступ"),
    ("organisation:\n  name: Ахты\n    district: x", 3, "двоеточие"),
    ("organisation:\n  name: @Ахты", 2, "недопустимый знак"),
    ("organisation:\n  name: `Ахты`", 2, "недопустимый знак"),
    ('organisation:\n  name: "\\q"', 2, "косая черта"),
    ('organisation:\n  name: "\\xZZ"', 2, "косая черта"),
    ("organisation:\n  name\nstore: {}", 1, "раздел"),
    ("organisation:\n  name: %x", 2, "недопустимый знак"),
    ("organisation:\n  name: Ахты\n---\nstore: {}", 3, "два документа"),
    ("organisation: {}\n...\nstore: {}", 3, "не YAML|два документа"),
    ("organisation:\n  name: A\0B", 2, "недопустимый символ"),
    ("organisation:\n  name: A\x07B", 2, "недопустимый символ"),
    ("organisation:\n  name: A\x1b[31mB", 2, "недопустимый символ"),
    ("organisation:\n  name: A\ufffeB", 2, "недопустимый символ"),
    ("pages: " + "[" * 500 + "]" * 500, 1, "вложенность"),
    ("a: " + "{a: " * 500 + "1" + "}" * 500, 1, "вложенность"),
    ("\n".join(" " * n + "a:" for n in range(40)), 14, "вложенность"),
    ("networks: {own: {options: " + "[" * 12 + "]" * 12 + "}}", 1, "вложенность"),
    # YAML that a configuration has no use for
    ("organisation: &a {name: x}", 1, "якоря"),
    ("organisation:\n  name: &a Ахты\n  district: *a", 2, "якоря"),
    ("organisation:\n  name: *nobody", 2, "organisation.name: якоря"),
    ("a: &a [1]\nb: [*a, *a]", 1, "якоря"),
    ("organisation:\n  <<: {name: x}", 2, "organisation.<<: неизвестный ключ"),
    ("organisation:\n  name: !!str 5", 2, "organisation.name: метки"),
    ("organisation:\n  name: !!python/name:os.system ''", 2, "organisation.name: метки"),
    ("organisation: !!python/object/apply:os.system ['true']", 1, "organisation: метки"),
    ("organisation:\n  name: !secret x", 2, "organisation.name: метки"),
    ("organisation:\n  ? [a, b]\n  : x", 2, "organisation: ключ"),
    ("organisation:\n  ? {a: b}\n  : x", 2, "organisation: ключ"),
    ("organisation:\n  &k name: x", 2, "organisation: ключ"),
    ("organisation:\n  !!str name: x", 2, "organisation: ключ"),
    ("store:\n  url: =", 2, "store.url: значение не разбирается"),
    # the same key twice
    ("organisation: {}\norganisation: {}", 2, "organisation: ключ уже есть в строке 1"),
    ("organisation:\n  name: a\n  district: b\n  name: c", 4, "organisation.name: ключ уже есть в строке 2"),
    ("pages:\n  - network: vk\n    id: a\n    id: b", 4, r"pages\[0\].id: ключ уже есть в строке 3"),
    ("networks: {vk: {}, vk: {}}", 1, "networks.vk: ключ уже есть"),
    ("? organisation\n? organisation", 2, "organisation: ключ уже есть"),
    # unknown keys
    ("organization: {}", 1, "organization: неизвестный ключ; возможно, имелось в виду organisation"),
    ("Pages: []", 1, "Pages: неизвестный ключ; возможно, имелось в виду pages"),
    ("page: []", 1, "page: неизвестный ключ"),
    ("alert: {}", 1, "alerts"),
    ("zzz: 1", 1, "известны: organisation, store"),
    ("1: 2", 1, "1: неизвестный ключ"),
    ("null: 2", 1, "null: неизвестный ключ"),
    ("true: 2", 1, "true: неизвестный ключ"),
    ('"": 2', 1, '"": неизвестный ключ'),
    ("2026-11-24: 2", 1, "2026-11-24: неизвестный ключ"),
    ("store: {uri: x}", 1, "store.uri: неизвестный ключ; возможно, имелось в виду url"),
    ("networks:\n  vk:\n    tokn: x", 3, "networks.vk.tokn: неизвестный ключ; возможно, имелось в виду token"),
    ("networks:\n  vk:\n    access_token: x", 3, "networks.vk.access_token: неизвестный ключ"),
    (PAGE % "titel: x", 2, r"pages\[0\].titel: неизвестный ключ; возможно, имелось в виду title"),
    ("collect:\n  bach: 5", 2, "collect.bach: неизвестный ключ; возможно, имелось в виду batch"),
    ("desk:\n  deadlines:\n    rout: 30m", 3, "desk.deadlines.rout: неизвестный ключ; возможно, имелось в виду route"),
    ("alerts:\n  heads: []", 2, "alerts.heads: неизвестный ключ; возможно, имелось в виду head"),
    ("classifier: {modell: x}", 1, "classifier.modell: неизвестный ключ"),
    ("divisions:\n  - {id: a, topic: []}", 2, r"divisions\[0\].topic: неизвестный ключ"),
    ("divisions:\n  - id: a\n    people:\n      - {id: b, rule: head}", 4, r"people\[0\].rule: неизвестный ключ"),
    # sections of a wrong kind
    *((f"{name}: 5", 1, f"{name}: нужен раздел") for name in ("organisation", "store", "collect", "desk", "alerts")),
    *((f"{name}: []", 1, f"{name}: нужен раздел") for name in ("organisation", "store", "classifier", "networks")),
    *((f"{name}: text", 1, f"{name}: нужен раздел") for name in ("organisation", "networks", "desk", "alerts")),
    *((f"{name}: {{}}", 1, f"{name}: нужен список") for name in ("pages", "divisions")),
    *((f"{name}: text", 1, f"{name}: нужен список") for name in ("pages", "divisions")),
    *((f"{name}: 7", 1, f"{name}: нужен список") for name in ("pages", "divisions")),
    ("pages: {vk: '-1'}", 1, "pages: нужен список"),
    ("pages: [vk]", 1, r"pages\[0\]: нужен раздел"),
    ("pages: [[vk, a]]", 1, r"pages\[0\]: нужен раздел"),
    ("networks: {vk: token}", 1, "networks.vk: нужен раздел"),
    ("networks: [vk]", 1, "networks: нужен раздел"),
    ("desk: {deadlines: 30m}", 1, "desk.deadlines: нужен раздел"),
    ("networks: {own: {options: [1]}}", 1, "networks.own.options: нужен раздел"),
    ("networks: {vk: {options: {}}}", 1, "networks.vk.options: неизвестный ключ"),
    ("networks:\n  telegram: {}\n  max: {tokn: a}\n  own: {tokn: a}", 3, "networks.max.tokn: неизвестный ключ; возмож"),
    ("networks: {own: {optoins: {}}}", 1, "networks.own.optoins: неизвестный ключ; возможно, имелось в виду options"),
    ("networks: {'': {}}", 1, "имя пустое"),
    # organisation
    *(
        (f"organisation: {{name: {v}}}", 1, "organisation.name: нужна строка")
        for v in ("5", "1.5", "true", "[a]", "{a: b}")
    ),
    ("organisation: {name: 2026-11-24}", 1, "organisation.name: нужна строка"),
    ("organisation: {name: 2026-11-24T10:00:00Z}", 1, "organisation.name: нужна строка"),
    ("organisation: {name: 2026-13-45}", 1, "organisation.name: значение не разбирается"),
    ("organisation: {name: " + "9" * 5000 + "}", 1, "organisation.name: значение не разбирается"),
    ("organisation: {name: " + "я" * 301 + "}", 1, "organisation.name: название"),
    ('organisation: {name: "a\\nb"}', 1, "organisation.name: название"),
    ('organisation: {district: "a\\e[31mb"}', 1, "organisation.district: название"),
    ('organisation: {district: "a\\u202eb"}', 1, "organisation.district: название"),
    *(
        (f"organisation:\n  timezone: {v}", 2, "organisation.timezone: нет такого часового пояса")
        for v in ("Moscow", "''", "UTC+3", "Europe/Moskva", "../../etc/passwd", "/etc/localtime", "Europe", '"a\\0b"',
                  "МСК")
    ),
    ("organisation: {timezone: 3}", 1, "organisation.timezone: нужна строка"),
    # store
    *(
        (f"store:\n  url: {v}", 2, "store.url: нужно sqlite")
        for v in ("otklik.db", "mysql://u:p@h/d", "http://h/d", "/var/otklik.db", "'sqlite:otklik.db'",
                  "postgresql+asyncpg://h/d")
    ),
    *(
        (f"store:\n  url: {v}", 2, "store.url: нужна непустая строка")
        for v in ("5", "''", "' '", "[a]", "{a: b}", "true")
    ),
    ("store:\n  url: ${DB", 2, "store.url: переменная записана неверно"),
    # networks
    *(
        (f"networks:\n  vk:\n    token: {v}", 3, "networks.vk.token: нужна непустая строка")
        for v in ("5", "''", "[]", "true")
    ),
    *(
        (f"networks:\n  vk:\n    token: {v}", 3, "networks.vk.token: переменная записана неверно")
        for v in ("'${VK TOKEN}'", "'${VK-TOKEN}'", "'${}'", "'${VK_TOKEN'", "$VK_TOKEN", "'${ТОКЕН}'",
                  "'${1A}'", "'x${'")
    ),
    ('networks:\n  vk:\n    token: "a\\nb"', 3, "networks.vk.token: внутри есть переводы строк"),
    ('networks:\n  vk:\n    token: "a\\u200bb"', 3, "networks.vk.token: внутри есть переводы строк"),
    ("networks:\n  vk:\n    token: |\n      one\n      two", 3, "networks.vk.token: внутри есть переводы строк"),
    *((f"networks:\n  vk:\n    api: {v}", 3, "networks.vk.api: нужна строка") for v in ("5", "[]", "{a: b}", "true")),
    *(
        (f"networks:\n  vk:\n    trusted_hosts: {v}", 3, rf"networks.vk.trusted_hosts{k}")
        for v, k in (("h", ": нужен список"), ("[5]", r"\[0\]: нужно имя"), ("['https://h/']", r"\[0\]: нужно имя"),
                     ("['']", r"\[0\]: нужно имя"), ("[a, 'b c']", r"\[1\]: нужно имя"),
                     ("['h/path']", r"\[0\]: нужно имя"))
    ),
    *(
        (f"networks:\n  vk:\n    requests_per_second: {v}", 3, "networks.vk.requests_per_second: нужно")
        for v in ("0", "-1", "10001", ".nan", ".inf", "'3'", "true", "fast", "[3]", "1e3")
    ),
    *(
        (f"networks:\n  vk:\n    retries: {v}", 3, "networks.vk.retries: нужно")
        for v in ("-1", "21", "1.5", "true", "'5'", "many")
    ),
    *(
        (f"networks:\n  vk:\n    enabled: {v}", 3, "networks.vk.enabled: нужно true")
        for v in ("1", "'yes'", "maybe", "[]")
    ),
    ("networks:\n  vk:\n    retries: 1_0", 3, "networks.vk.retries: число записано двусмысленно"),
    ("networks:\n  vk:\n    proxy: ''", 3, "networks.vk.proxy: нужна непустая строка"),
    # durations
    *(
        (f"networks:\n  vk:\n    timeout: {v}", 3, "networks.vk.timeout: нужна длительность")
        for v in ("-1", "-5s", "5x", "'5 minutes'", "soon", "5 m 3 s", "true", "[]", ".inf", ".nan", "2026-11-24",
                  "3wh", "''", "99999999999", "9999999999d", "1e300", "-.inf", "٣m")
    ),
    ("collect:\n  deadline: 1:30", 2, "collect.deadline: число записано двусмысленно"),
    ("collect:\n  deadline: 0x10", 2, "collect.deadline: число записано двусмысленно"),
    ("collect:\n  deadline: 010", 2, "collect.deadline: число записано двусмысленно"),
    ("collect:\n  watch: 40000d", 2, "collect.watch: нужна длительность"),
    ("collect:\n  first_depth: all", 2, "collect.first_depth: нужна длительность"),
    *(
        (f"collect:\n  batch: {v}", 2, "collect.batch: нужно")
        for v in ("0", "-5", "10001", "1.5", "'500'", "true", "many")
    ),
    ("collect:\n  batch: 0500", 2, "collect.batch: число записано двусмысленно"),
    # pages
    ("pages:\n  -", 2, r"pages\[0\].network: обязательный ключ"),
    ("pages:\n  - {}", 2, r"pages\[0\].network: обязательный ключ"),
    ("pages:\n  - {id: a}", 2, r"pages\[0\].network: обязательный ключ"),
    ("pages:\n  - network: vk", 2, r"pages\[0\].id: обязательный ключ"),
    ("pages:\n  - {network: , id: a}", 2, r"pages\[0\].network: нужна строка"),
    ("pages:\n  - {network: vk, id: }", 2, r"pages\[0\].id: нужна строка"),
    ("pages:\n  - {network: 5, id: a}", 2, r"pages\[0\].network: нужна строка"),
    *(
        (f"pages:\n  - network: vk\n    id: {v}", 3, r"pages\[0\].id: нужен адрес страницы")
        for v in ("''", "'  '", '"a\\nb"', '"a\\u202eb"', '"\\e[31m"', "a" * 301, "9" * 400)
    ),
    *(
        (f"pages:\n  - network: vk\n    id: {v}", 3, r"pages\[0\].id: нужна строка")
        for v in ("1.5", "true", "[a]", "{a: b}", "2026-11-24")
    ),
    *(
        (f"pages:\n  - network: vk\n    id: {v}", 3, r"pages\[0\].id: число записано двусмысленно")
        for v in ("0123", "1_000", "0x1F", "1:30", "-012", "0b11")
    ),
    (PAGE % "include: [post]", 2, r"pages\[0\].include\[0\]: допустимо 'posts'"),
    (PAGE % "include: [posts, 5]", 2, r"pages\[0\].include\[1\]: допустимо"),
    (PAGE % "include: posts", 2, r"pages\[0\].include: нужен список"),
    (PAGE % "enabled: sometimes", 2, r"pages\[0\].enabled: нужно true"),
    (PAGE % "title: [a]", 2, r"pages\[0\].title: нужна строка"),
    ("pages:\n  - {network: vk, id: a}\n  - {network: vk, id: a}", 3, r"pages\[1\].id: эта страница уже есть"),
    ("pages:\n  - {network: vk, id: -5}\n  - {network: vk, id: '-5'}", 3, r"pages\[1\].id: эта страница уже есть"),
    ("pages:\n  - {network: vk, id: Akhty}\n  - {network: vk, id: 'akhty/'}", 3, "эта страница уже есть: pages"),
    ("pages:\n  - {network: vk, id: a}\n  - {network: vk, id: ' a '}", 3, r"pages\[1\].id: эта страница уже есть"),
    ("networks: {ok: {}}\npages:\n  - {network: vk, id: a}", 3, r"pages\[0\].network: сеть vk не описана"),
    # divisions, desk, alerts
    ("divisions:\n  - {name: a}", 2, r"divisions\[0\].id: обязательный ключ"),
    ("divisions:\n  - {id: ''}", 2, r"divisions\[0\].id: имя пустое"),
    ("divisions:\n  - {id: a}\n  - {id: a}", 3, r"divisions\[1\].id: подразделение a уже есть"),
    ("divisions:\n  - {id: a, topics: roads}", 2, r"divisions\[0\].topics: нужен список"),
    ("divisions:\n  - {id: a, topics: [1]}", 2, r"divisions\[0\].topics\[0\]: нужна строка"),
    ("divisions:\n  - {id: a, topics: ['']}", 2, r"divisions\[0\].topics\[0\]: имя пустое"),
    ("divisions:\n  - id: a\n    people: [{id: b, role: boss}]", 3, r"people\[0\].role: допустимо 'head'"),
    ("divisions:\n  - id: a\n    people: [5]", 3, r"divisions\[0\].people\[0\]"),
    ("divisions:\n  - id: a\n    people: [{name: b}]", 3, r"divisions\[0\].people\[0\].id: обязательный"),
    *(
        (f"desk:\n  hours: {v}", 2, "desk.hours: нужны рабочие часы")
        for v in ("'9-18'", "'18:00-09:00'", "'09:00-09:00'", "'25:00-26:00'", "круглосуточно", "''",
                  "'09:00-18:60'", "09:00")
    ),
    ("desk:\n  hours: 9", 2, "desk.hours: нужна строка"),
    ("desk:\n  holidays: NO", 2, "desk.holidays: нужна строка"),
    *((f"desk:\n  holidays: {v}", 2, "desk.holidays: нужна страна") for v in ("ru", "Russia", "''", "РФ")),
    *(
        (f"desk:\n  deadlines:\n    route: {v}", 3, "desk.deadlines.route: нужен срок")
        for v in ("30", "-30m", "'30'", "half", "true", "[30m]", "30min", "''", "1e5m", "99999999999d")
    ),
    ("alerts:\n  head: tgram://a/b", 2, "alerts.head: нужен список"),
    ("alerts:\n  head: ['']", 2, r"alerts.head\[0\]: нужна непустая строка"),
    ("alerts:\n  head: [5]", 2, r"alerts.head\[0\]: нужна непустая строка"),
    ("alerts:\n  head:\n    - ${A}\n    - ${B", 4, r"alerts.head\[1\]: переменная записана неверно"),
    ("alerts:\n  escalate_after: -10m", 2, "alerts.escalate_after: нужна длительность"),
    ("alerts:\n  max_attempts: 0", 2, "alerts.max_attempts: нужно число ≥ 1"),
    ("alerts:\n  max_attempts: 1001", 2, "alerts.max_attempts: нужно число ≤ 1000"),
    ("classifier: {model: 5}", 1, "classifier.model: нужна строка"),
    # several at once: the first line is named, the rest counted
    ("store:\n  url: 5\norganisation:\n  name: 7\nzzz: 1", 2, r"store.url: .*\(и ещё ошибок: 2\)"),
    ("\n\n# comment\npages:\n\n  - network: vk\n    # more\n    id: [1]", 8, r"pages\[0\].id: нужна строка"),
]  # fmt: skip

ENGLISH = re.compile(r"\b(input|should|valid|expected|found|value error|while|scanning|parsing|error|none|got)\b", re.I)


def one_sentence(text: str) -> None:
    assert "\n" not in text and text.isprintable() and len(text) < 500
    assert re.search("[а-яё]{4}", text) and not ENGLISH.search(re.sub(r"'[^']*'|«[^»]*»", "", text)), text


def test_there_are_enough_cases():
    assert len(BAD) >= 200 and len({t for t, *_ in BAD}) == len(BAD)


@pytest.mark.parametrize(("text", "line", "said"), BAD)
def test_bad_files(loader, text, line, said):
    with pytest.raises(ConfigError) as e:
        parse(text)
    one_sentence(str(e.value))
    assert re.search(said, str(e.value)), str(e.value)
    assert str(e.value).startswith(f"config.yaml:{line}: "), str(e.value)
    assert e.value.exit_code == 2


@pytest.mark.parametrize(("text", "line", "said"), BAD[::4])
def test_the_command_says_it_and_nothing_else(tmp_path, capsys, text, line, said):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert cli.run(["--config", str(path), "pages"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"otklik: config.yaml:{line}: ")
    assert re.search(said, err)


# --- the file itself -------------------------------------------------------------------------------------------------


def _fifo(path: Path) -> None:
    os.mkfifo(path)
    threading.Thread(target=lambda: path.write_bytes(b"zzz: 1"), daemon=True).start()


FILES = {
    "absent": (lambda p: None, "файла настроек нет"),
    "directory": (lambda p: p.mkdir(), "это каталог"),
    "under a file": (lambda p: None, "часть пути — не каталог"),
    "too long a name": (lambda p: None, "имя слишком длинное"),
    "a loop of links": (lambda p: p.symlink_to(p), "ссылки ведут по кругу"),
    "a dead link": (lambda p: p.symlink_to("nowhere"), "файла настроек нет"),
    "latin": (lambda p: p.write_bytes("организация: я".encode("cp1251")), "не в кодировке UTF-8"),
    "utf-16": (lambda p: p.write_bytes("organisation: {}".encode("utf-16")), "не в кодировке UTF-8"),
    "binary": (lambda p: p.write_bytes(bytes(range(256))), "недопустимый символ|не в кодировке UTF-8"),
    "bad on line 3": (lambda p: p.write_bytes(b"a: 1\nb: 2\nc: \xff\n"), ":3: файл не в кодировке UTF-8"),
    "huge": (lambda p: p.write_bytes(b"#" * 1_000_001), "больше 1 МБ"),
    "endless": (lambda p: p.symlink_to("/dev/zero"), "больше 1 МБ"),
    "a pipe": (_fifo, "zzz: неизвестный ключ"),
    "half written": (lambda p: p.write_bytes('organisation: {name: "Ах'.encode()[:-1]), "не в кодировке UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_ways_to_a_file(tmp_path, name):
    make, said = FILES[name]
    path = tmp_path / "config.yaml"
    if name == "under a file":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "config.yaml"
    if name == "too long a name":
        path = tmp_path / ("я" * 300)
    make(path)
    with pytest.raises(ConfigError) as e:
        load(path)
    one_sentence(str(e.value))
    assert re.search(said, str(e.value)) and e.value.exit_code == 2


@pytest.mark.parametrize("name", ["bad\0name", "bad\nname", "\x1b[31m"])
def test_bad_names_of_a_file(name):
    with pytest.raises(ConfigError) as e:
        load(name)
    one_sentence(str(e.value))


def test_the_real_program_gives_no_traceback(tmp_path):
    (tmp_path / "config.yaml").write_text("pages: {}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "pages"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "otklik: config.yaml:1: pages: нужен список; начните каждую строку с дефиса\n"


# --- good files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# only a comment", "---\n", "{}", "null", "~", "\ufeffpages: []", "pages:", "pages: null",
     "networks:\n  vk:", "--- {}\n...",
     "organisation:\nstore:\nnetworks:\npages:\ncollect:\nclassifier:\ndivisions:\ndesk:\nalerts:\n",
     "desk: {deadlines: , hours: }", "pages: []\r\nalerts:\r\n  head: []\r\n", "collect: {first_depth: null}"],
)  # fmt: skip
def test_what_is_left_empty_is_the_default(loader, tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    found = load(path)
    assert found.model_dump() == Settings(networks=found.networks).model_dump() and set(found.networks) <= {"vk"}


def test_the_example_of_the_project_is_good(loader):
    found = load(ROOT / "config.yaml")
    assert found.pages and found.divisions and found.desk.deadlines.route == "30m"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("pages: [{network: vk, id: -123}]", "pages.0.id", "-123"),
        ("pages: [{network: vk, id: ' https://vk.com/a '}]", "pages.0.id", "https://vk.com/a"),
        ("networks: {vk: {timeout: 5}}", "networks.vk.timeout", 5.0),
        ("networks: {vk: {timeout: 1.5m}}", "networks.vk.timeout", 90.0),
        ("networks: {vk: {requests_per_second: 3}}", "networks.vk.requests_per_second", 3.0),
        ("networks: {vk: {api: 'http://127.0.0.1:8780/method/'}}", "networks.vk.api", "http://127.0.0.1:8780/method/"),
        ("networks: {vk: {api: 'http://[::1]:80/'}}", "networks.vk.api", "http://[::1]:80/"),
        (
            "networks: {vk: {trusted_hosts: [VK-Proxy.example.ru]}}",
            "networks.vk.trusted_hosts.0",
            "vk-proxy.example.ru",
        ),
        ("collect: {full_every: 7d}", "collect.full_every", 7 * 86400.0),
        ("desk: {deadlines: {urgent: 3wh}}", "desk.deadlines.urgent", "3wh"),
        ("desk: {hours: '08:30 - 17:15'}", "desk.hours", "08:30 - 17:15"),
        ("networks: {vk: {enabled: no}}", "networks.vk.enabled", False),
        ("networks: {own: {options: {a: [1, {b: null}]}}}", "networks.own.options.a.1.b", None),
        ("networks: {vk: , rutube: {token: abcd}}", "networks.rutube.retries", 5),
        ("divisions: [{id: a, people: [b, {id: c, role: head}]}]", "divisions.0.people.1.role", "head"),
        ("organisation: {name: '  Ахты '}", "organisation.name", "Ахты"),
    ],
)
def test_good_values(loader, text, path, value):
    here = parse(text)
    for part in path.split("."):
        here = here[int(part)] if part.isdigit() else here[part] if isinstance(here, dict) else getattr(here, part)
    assert here == value


def test_a_key_is_found_again_by_its_line():
    found = parse("# c\npages:\n  - network: vk\n    id: a\n")
    assert found.where("pages", 0, "id") == "config.yaml:4: pages[0].id"
    assert found.where("pages", 0, "title") == "config.yaml:3: pages[0].title"
    assert found.where("alerts", "head") == "config.yaml:2: alerts.head"


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "other.yaml"
    path.write_text("zzz: 1")
    monkeypatch.setenv("OTKLIK_CONFIG", str(path))
    with pytest.raises(ConfigError, match=r"^other\.yaml:1: zzz"):
        load()
    monkeypatch.setenv("OTKLIK_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^config\.yaml: файла настроек нет"):
        load()


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_secrets_left():
    """What one test remembers must not hide words of the next."""
    yield
    settings._revealed.clear()
    settings._pattern = None


TOKEN = "vk1.a.Canary-Token_0123456789"


def secret(raw: str = "${CANARY}", kind: type[Secret] = Token) -> Secret:
    return kind(raw, "config.yaml:7: networks.vk.token")


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY", f"  {TOKEN}\n")
    assert secret().reveal() == TOKEN
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbf" + b"from-the-file-1234\r\n")
    monkeypatch.setenv("CANARY_FILE", str(file))
    assert secret().reveal() == TOKEN  # the variable itself goes first
    for empty in ("", "  \n"):
        monkeypatch.setenv("CANARY", empty)
        assert secret().reveal() == "from-the-file-1234"
    monkeypatch.setenv("PART", "hunter22")
    assert secret("postgresql://u:${PART}@h/${PART}", Secret).reveal() == "postgresql://u:hunter22@h/hunter22"


@pytest.mark.parametrize("value", ["", "   ", "\n", "\t\r\n"])
def test_a_missing_secret_is_named(monkeypatch, value):
    monkeypatch.setenv("CANARY", value)
    with pytest.raises(ConfigError) as e:
        secret().reveal()
    one_sentence(str(e.value))
    assert str(e.value).startswith("config.yaml:7: networks.vk.token: не задана переменная окружения CANARY")
    assert "CANARY_FILE" in str(e.value) and e.value.exit_code == 2


BAD_TOKENS = ["one two", "to\nken", "to\x00ken", "to\x1b[31mken", "to\u200bken", "to\u00a0ken", "токен",
              "vk1.а.кириллица", "tok\u202een", "tok\ten", "tok\u2028en", "tok…en", "'quoted token'"]  # fmt: skip


@pytest.mark.parametrize("value", BAD_TOKENS)
@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_token_that_would_break_a_request_is_refused(tmp_path, monkeypatch, value, way):
    if way == "file" or "\0" in value:
        (tmp_path / "token").write_text(value, encoding="utf-8")
        monkeypatch.setenv("CANARY_FILE", str(tmp_path / "token"))
    else:
        monkeypatch.setenv("CANARY", value)
    with pytest.raises(ConfigError) as e:
        secret().reveal()
    one_sentence(str(e.value))
    assert value not in str(e.value) and str(e.value).startswith("config.yaml:7: networks.vk.token: ")


def test_a_token_in_the_file_itself_is_checked_too():
    with pytest.raises(ConfigError, match="пробелы или нелатинские"):
        parse("networks: {vk: {token: мой токен}}").networks["vk"].token.reveal()


SECRET_FILES = {
    "absent": (lambda p: None, "такого файла нет"),
    "directory": (lambda p: p.mkdir(), "это каталог"),
    "empty": (lambda p: p.write_text(" \n"), "он пуст"),
    "binary": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "это не текст UTF-8"),
    "huge": (lambda p: p.write_text("a" * 70_000), "слишком велик"),
    "endless": (lambda p: p.symlink_to("/dev/zero"), "слишком велик"),
    "loop": (lambda p: p.symlink_to(p), "ссылки ведут по кругу"),
}


@pytest.mark.parametrize("name", SECRET_FILES)
def test_bad_secret_files(tmp_path, monkeypatch, name):
    make, said = SECRET_FILES[name]
    make(tmp_path / "token")
    monkeypatch.setenv("CANARY_FILE", str(tmp_path / "token"))
    with pytest.raises(ConfigError) as e:
        secret().reveal()
    one_sentence(str(e.value))
    assert said in str(e.value) and "CANARY_FILE" in str(e.value)


def test_no_command_needs_a_token_it_does_not_use(tmp_path, monkeypatch):
    monkeypatch.delenv("CANARY", raising=False)
    found = parse("networks: {vk: {token: '${CANARY}'}}\nalerts: {head: ['${CANARY}']}")
    assert found.networks["vk"].token.variables == ["CANARY"]


def test_secrets_in_the_file_are_pointed_out():
    found = parse(
        "store: {url: 'postgresql+psycopg://u:p@h/d'}\nnetworks:\n  vk:\n    token: abc\n"
        "alerts:\n  head: ['${A}', 'json://127.0.0.1:80', 'tgram://a/b']\n"
    )
    assert [w.rpartition(": ")[2] for w in literal_secrets(found)] == [
        "store.url",
        "networks.vk.token",
        "alerts.head[2]",
    ]
    assert literal_secrets(load(ROOT / "config.yaml")) == []


def test_a_secret_shows_nowhere_by_itself(monkeypatch):
    monkeypatch.setenv("CANARY", TOKEN)
    found = parse(f"networks: {{vk: {{token: {TOKEN}, proxy: 'http://u:{TOKEN}@h'}}}}")
    for shown in (repr(found), str(found), f"{found.networks['vk'].token}", repr(found.networks), repr(secret(TOKEN))):
        assert TOKEN not in shown


@pytest.mark.parametrize(
    "value",
    [TOKEN, 'with "quotes" & <tags>/+=', "пароль-Ю", "back\\slash\\path", "per%cent%2F", "a.b*c[d](e)+", "'single'"],
)
def test_scrub_finds_it_in_every_spelling(value):
    remember_secret(value)
    spellings = [
        value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value), repr(value),
        json.dumps(value, ensure_ascii=False), repr({"token": value}), f"x{value}y", value * 2,
        re.sub("%[0-9A-F]{2}", lambda m: m.group().lower(), quote(value, safe="")),
        f"https://h/?access_token={quote_plus(value)}&v=5",
    ]  # fmt: skip
    for text in spellings:
        shown = scrub(text)
        assert value not in shown and quote(value, safe="") not in shown and json.dumps(value)[1:-1] not in shown, text
        assert "***" in shown


def test_scrub_takes_the_longer_secret_first_and_leaves_short_ones():
    remember_secret("abcd")
    remember_secret("abcdefgh")
    remember_secret("of")
    remember_secret("   ")
    assert scrub("abcdefgh abcd of") == "*** *** of"
    assert scrub("") == "" and scrub("nothing here") == "nothing here"


def test_the_password_of_an_address_is_hidden_by_itself_too():
    remember_secret("postgresql://user:p%40ss-word@host/db")
    assert (
        scrub('password authentication failed: "p@ss-word" p%40ss-word') == 'password authentication failed: "***" ***'
    )


def test_an_address_without_a_secret_stays_readable():
    assert Secret("sqlite:///otklik.db").reveal() == "sqlite:///otklik.db"
    assert scrub("sqlite:///otklik.db: нет места") == "sqlite:///otklik.db: нет места"


def test_scrubbing_while_others_remember():
    stop = threading.Event()
    failed: list[BaseException] = []

    def remember() -> None:
        for n in range(300):
            remember_secret(f"secret-number-{n}")

    def scrubs() -> None:
        try:
            while not stop.is_set():
                scrub("secret-number-1 " * 20)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=t) for t in (remember, remember, scrubs)]
    for t in threads:
        t.start()
    threads[0].join()
    threads[1].join()
    stop.set()
    threads[2].join()
    assert not failed and scrub("secret-number-299") == "***"


# --- errors and logs -------------------------------------------------------------------------------------------------


def test_an_error_is_one_line_whatever_it_quotes():
    error = OtklikError("сеть ответила: \x1b[2J\n\r\tплохо\u202e\u2028 дальше\0")
    assert str(error) == "сеть ответила: [2J плохо дальше"


def test_logs_are_scrubbed_with_their_tracebacks():
    import io

    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    install_log_scrubbing(log)
    install_log_scrubbing(log)  # once is enough, twice does no harm
    assert isinstance(handler.formatter, ScrubbingFormatter) and not isinstance(
        handler.formatter._inner, ScrubbingFormatter
    )
    remember_secret(TOKEN)
    log.warning("calling https://h/?access_token=%s", TOKEN)
    log.warning("evil \x1b[2J\u202e text")
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        log.exception("failed for %r", {"token": TOKEN})
    log.error("stack", stack_info=True)
    text = out.getvalue()
    assert TOKEN not in text and text.count("***") >= 3
    assert "Traceback" in text and "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize(
    ("text", "expected"), [("10m", 600.0), (" 2h ", 7200.0), ("0s", 0.0), ("1.5d", 129600.0), ("30 s", 30.0)]
)
def test_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "-1m", "3wh", "2wd", "m", "1e3s", "inf", "9999999999d", "40000d", "10M", "५m"]
)
def test_bad_seconds(text):
    with pytest.raises(ValueError):
        seconds(text)


def test_days_of_the_week_go_round():
    from settings import week_hours

    day = ((540, 1080),)
    assert week_hours({"sat-mon": "09:00-18:00"}) == (day, (), (), (), (), day, day)
    assert week_hours({"mon-sun": "09:00-18:00"}) == (day,) * 7
    with pytest.raises(ValueError, match="mon назван дважды"):
        week_hours({"sat-mon": "09:00-18:00", "mon": "10:00-12:00"})
