"""Files for another system of incidents, and the ids of both sides."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

import cli
from feed.mapping import mapping_of, pairs, write
from settings import ConfigError, parse
from store import Store
from store.values import QueueFilter
from tests.store.build import NOW, PLAIN, THANKS, judged, landing, see

CONFIG = """feed:
  mappings:
    - name: cur
      columns: {"Номер": id, "Тема": topic_title, "Текст": text, "Где": places, "Широта": lat}
      ours: "Номер"
      theirs: "ID инцидента"
      encoding: %s
"""


def test_a_file_out_and_their_ids_back(store):
    see(store)
    store.land(landing(judged(1, "=1+1 ☃", PLAIN), judged(2, "да", replace(PLAIN, topic="light"))), NOW)
    how = mapping_of(parse(CONFIG % "cp1251"), "cur")
    messages = list(store.messages(QueueFilter(order="id")))
    made = b"".join(write(messages, how, {"water": "Вода"})).decode("cp1251")
    rows = list(csv.DictReader(io.StringIO(made, newline=""), delimiter=";"))
    assert list(rows[0]) == list(how.columns)
    assert rows[0] == {"Номер": messages[0]["id"], "Тема": "Вода", "Текст": "'=1+1 ?", "Где": "Хрюг, Ахтынский район",
                       "Широта": "41.5"}  # fmt: skip
    one, two = (m["id"] for m in messages)
    answer = f"ID инцидента;Номер\r\nINC-1;{one}\r\n;{two}\r\nINC-1;{two}\r\nINC-3;999\r\nINC-4;x\r\n".encode("cp1251")
    found = pairs(io.BytesIO(answer), how)
    assert [line for line, *_ in found] == [2, 4, 5, 6]
    told = store.link_foreign("cur", [(a, b) for _, a, b in found], NOW)
    assert told[0] is None and all(told[1:]) and store.foreign_ids("cur") == {one: "INC-1"}
    again = store.link_foreign("cur", [(one, "INC-1"), (one, "INC-9")], NOW)
    assert again[0] is None and "INC-1" in again[1] and store.foreign_ids("other") == {}


@pytest.mark.parametrize("data", [b"a;b\r\n1;2\r\n", b"", "Номер;ID".encode("utf-16"), b"\x98\x00"])
def test_another_file_is_refused(data):
    with pytest.raises(ConfigError, match=r"feed\.mappings"):
        pairs(io.BytesIO(data), mapping_of(parse(CONFIG % "utf-8"), "cur"))


def test_a_wrong_field_is_named_with_its_line():
    with pytest.raises(ConfigError, match="поля nothing нет"):
        mapping_of(parse((CONFIG % "utf-8").replace("topic_title", "nothing")), "cur")
    with pytest.raises(ConfigError, match="есть cur"):
        mapping_of(parse(CONFIG % "utf-8"), "x")


def test_the_commands(sqlite_url, tmp_path):
    with Store.open(sqlite_url) as store:
        see(store)
        store.land(landing(judged(1, "нет воды", PLAIN), judged(2, "спасибо", THANKS)), NOW)
        (tmp_path / "config.yaml").write_text(f"store: {{url: '{sqlite_url}'}}\n" + CONFIG % "utf-8-sig", "utf-8")

        def run(*words: str) -> int:
            return cli.run(["--config", str(tmp_path / "config.yaml"), "feed", "incidents", *words])

        out = tmp_path / "out.csv"
        assert run("export", "cur", "-o", str(out), "--by", "ivanova") == 0
        text = out.read_text("utf-8-sig")
        assert "нет воды" in text and "спасибо" not in text and "Номер" in text
        [row] = csv.DictReader(io.StringIO(text), delimiter=";")
        (tmp_path / "in.csv").write_text(f"Номер;ID инцидента\n{row['Номер']};INC-7\n77;INC-8\n", "utf-8-sig")
        assert run("read", "cur", str(tmp_path / "in.csv")) == 1
        assert store.foreign_ids("cur") == {row["Номер"]: "INC-7"}
        assert [(s["actor"], s["how"]) for s in store.access(row["Номер"])] == [("ivanova", "export")]
