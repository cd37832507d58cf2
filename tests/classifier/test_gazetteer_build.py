"""Another district by configuration only: an invented one, from a register to `classify`, names declined."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from classifier.gazetteer_build import build
from classifier.gazetteer_read import key, kind_of, read_geonames, read_register
from settings import ConfigError
from tests.rig import otklik

# An invented region: the district of Верхнереченск, its neighbour, and a far one. Codes are built as OKTMO's are.
REGISTER = """код;наименование;тип;родитель
77000000;Заозёрская;область;
77610000;Верхнереченский;м.р-н;
77610400;Лесной;с/с;
77610400101;Верхнереченск;г;
77610400106;Малая Сосновка;д;
77610400111;Журавлёво;с;
77610404;сельское поселение Дубравинское;;
77610404101;Дубравино;с;
77610404106;Красный Яр;п;
77610404111;Озерки;х;
77620000;Луговской;м.р-н;
77620400101;Луговое;с;
77620400106;Озерки;с;
77690000;Дальний;м.р-н;
77690400101;Дальнее;с;
77690400106;Тридевятое;пгт;
"""
GEONAMES = [
    ("1", "Verkhnerechensk", "Верхнереченск,Verhnerechensk", "57.1000", "50.2000", "P", "PPLA2"),
    ("2", "Malaya Sosnovka", "Малая Сосновка,Сосновка", "57.1400", "50.2500", "P", "PPL"),
    ("3", "Dubravino", "Дубравино", "57.2000", "50.1000", "P", "PPL"),
    ("4", "Ozerki", "Озерки", "57.1900", "50.1500", "P", "PPL"),
    ("5", "Ozerki", "Озерки", "57.4000", "50.9000", "P", "PPL"),
    ("6", "Lugovoye", "Луговое", "57.4100", "50.8500", "P", "PPL"),
    ("7", "Dal'neye", "Дальнее", "61.0000", "58.0000", "P", "PPL"),
    ("8", "Reka Svetlaya", "река Светлая", "57.1200", "50.2200", "H", "STM"),
    ("9", "Gora Orlinaya", "Орлиная", "57.1500", "50.3000", "T", "MT"),
    ("10", "Far River", "Чужая", "61.0000", "58.1000", "H", "STM"),
    ("11", "Nobody", "Nobody", "57.0", "50.0", "P", "PPL"),
]


def geonames_19(rows: list[tuple[str, ...]]) -> str:
    """As the real dump: 19 columns, no header."""
    rest = ["RU", "", "77", "610", "", "", "0", "", "1", "Europe/Moscow", "2026-01-01"]
    return "".join("\t".join([r[0], r[1], r[1], *r[2:], *rest]) + "\n" for r in rows)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    register, points = tmp_path / "oktmo.csv", tmp_path / "RU.txt"
    register.write_text(REGISTER, encoding="utf-8")
    points.write_text(geonames_19(GEONAMES), encoding="utf-8")
    return register, points


def rows_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(r["name"], r["district"]): r for r in csv.DictReader(file)}


def test_from_a_register_to_a_judgement_by_configuration_only(files: tuple[Path, Path], tmp_path: Path) -> None:
    register, points = files
    out = tmp_path / "places.csv"
    argv = ("model", "gazetteer", "build", str(register), "--geonames", str(points), "-o", str(out))
    said = otklik(*argv, "--district", "Верхнереченский район")
    assert said.code == 0, said.err
    assert "центр: Верхнереченск" in said.err and "без координат: 2 из 6" in said.err
    (tmp_path / "config.yaml").write_text(
        'store: {url: "sqlite:///x.db"}\nclassifier: {gazetteer: places.csv}\n', encoding="utf-8"
    )
    for text, place, parent in [
        ("В Журавлёве второй день нет света", "Журавлёво", "Верхнереченский район"),
        ("из дубравина в райцентр автобус не ходит", "Дубравино", "Верхнереченский район"),
        ("Дорога до Малой Сосновки разбита", "Малая Сосновка", "Лесной сельсовет"),
        ("Верхнереченску нужна новая школа", "Верхнереченск", "Верхнереченский район"),
        ("Под Красным Яром свалка", "Красный Яр", "Верхнереченский район"),
        ("На хуторе Озерках нет воды", "Озерки", "Верхнереченский район"),
        ("Вода в реке Светлой поднялась", "Светлая", ""),
    ]:
        done = otklik("--config", str(tmp_path / "config.yaml"), "classify", text, "--json")
        assert done.code == 0, done.err
        found = [p for p in json.loads(done.out)["places"] if p["name"] == place]
        assert found, (text, json.loads(done.out)["places"])
        assert not parent or parent in found[0]["parents"]
        start, end = found[0]["span"]
        assert key(text[start:end])[:3] == key(place)[:3]
    done = otklik("--config", str(tmp_path / "config.yaml"), "classify", "Нет воды в Хрюге", "--json")
    assert "Хрюг" not in [p["name"] for p in json.loads(done.out)["places"]]


def test_kinds_parents_coordinates_and_what_is_near(files: tuple[Path, Path]) -> None:
    units, skipped = read_register(files[0])
    points = read_geonames(files[1])
    assert not skipped and len(points) == 10  # the one without a Russian name is left out
    built = build(units, points, district="верхнереченский")
    first = built.rows[0]
    assert (first["name"], first["kind"], first["parent"]) == ("Верхнереченск", "город", "Лесной сельсовет")
    at = {(r["name"], r["district"]): r for r in built.rows}
    home = "Верхнереченский район"
    assert (at["Озерки", home]["lat"], at["Озерки", "Луговской район"]["lat"]) == ("57.1900", "57.4000")
    assert at["Малая Сосновка", home]["aliases"] == "Сосновка"
    assert {r["near"] for (_, d), r in at.items() if d == home} == {"1"}
    assert at["Дубравино", home]["parent"] == "Дубравинское поселение"
    assert at["Луговое", "Луговской район"]["near"] == "1"  # 52 km away
    assert ("Дальнее", "Дальний район") not in at  # a thousand kilometres
    assert at["Светлая", ""]["kind"] == "река" and at["Орлиная", ""]["kind"] == "гора" and ("Чужая", "") not in at
    assert at[home, home]["kind"] == "район"


def test_without_coordinates_the_region_is_taken_and_neighbours_are_told(files: tuple[Path, Path]) -> None:
    units, _ = read_register(files[0])
    built = build(units, district="Верхнереченский район", near=["Луговской"])
    near = {(r["name"], r["district"]) for r in built.rows if r["near"] == "1"}
    assert ("Луговое", "Луговской район") in near and ("Дальнее", "Дальний район") not in near
    assert ("Тридевятое", "Дальний район") in {(r["name"], r["district"]) for r in built.rows}
    assert built.located == 0


@pytest.mark.parametrize(
    "name, type_, told",
    [
        ("с Журавлёво", "", ("Журавлёво", "село")),
        ("д. Сосновка", "", ("Сосновка", "деревня")),
        ("рп Заречный", "", ("Заречный", "посёлок")),
        ("Старое", "Поселок городского типа", ("Старое", "посёлок")),
        ("Луговской муниципальный район", "", ("Луговской район", "район")),
        ("Горный", "муниципальный округ", ("Горный округ", "район")),
        ("Лесной", "с/с", ("Лесной сельсовет", "совет")),
        ("сельсовет Лесной", "", ("Лесной сельсовет", "совет")),
        ("Непонятное", "штука", ("Непонятное", None)),
    ],
)
def test_types_of_registers(name: str, type_: str, told: tuple[str, str | None]) -> None:
    assert kind_of(name, type_) == told


def test_other_writings_of_the_same_register(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(
        "code,name,type,parent\n1,Горный,район,\n2,Верхнее,село,Горный район\n3,Нижнее,село,1\n".encode("cp1251")
    )
    units, _ = read_register(path)
    assert [u.district for u in units] == ["", "Горный район", "Горный район"]
    path.write_text(
        "name\ttype\tparent\tlat\tlon\tcentre\nГорный\tрайон\t\t\t\tс Нижнее\n"
        "Верхнее\tсело\tГорный район\t57,5\t50.5\t\n"
        "Нижнее\tсело\tГорный район\t\t\t\nместо\tштука\t\t\t\t\n",
        encoding="utf-8",
    )
    units, skipped = read_register(path)
    built = build(units)
    assert built.centre == "Нижнее" and built.rows[1]["lat"] == "57.5000" and skipped == ("штука",)


BAD_REGISTERS = [
    ("", "пуст"),
    ("a,b\n1,2\n", ":1: в первой строке нужны столбцы"),
    ("code,name,type,parent\n1,Горный,район,\n2,,село,1\n", ":3: пустое название"),
    ("code,name,type,parent\n1,Горный,район,\n2,Верхнее,село,9\n", ":3: нет строки «9»"),
    ("code,name,type,parent\n1,Горный,район,2\n2,Лесной,сельсовет,1\n", "входит само в себя"),
    ("code,name,type,parent,lat,lon\n1,Горный,район,,,\n2,Верхнее,село,1,широта,5\n", ":3: широта «широта»"),
    ("code,name,type,parent,lat,lon\n1,Горный,район,,,\n2,Верхнее,село,1,nan,5\n", ":3: широта «nan»"),
    ("code,name,type,parent\n1,Верхнее,село,\n", "нет ни одного района"),
    ("code,name,type,parent\n1,Горный,район,\n2,Лесной,район,\n3,Верхнее,село,1\n", "назовите свой"),
    ("code,name,type,parent\n1,Горный,район,\n", "нет ни одного населённого пункта"),
    ("code,name\0,type,parent\n", "двоичный"),
]


@pytest.mark.parametrize("text, told", BAD_REGISTERS, ids=[t for _, t in BAD_REGISTERS])
def test_a_bad_register_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text, encoding="utf-8")
    said = otklik("model", "gazetteer", "build", str(path), "-o", str(tmp_path / "out.csv"))
    assert said.code == 2 and told in said.err and said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err and not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "text, told",
    [
        ("1\tA\tА\tx\ty\n", ":1: нет широты"),
        ("geonameid\tname\n", ":1: это не выгрузка"),
        ("name\tlatitude\tlongitude\nА\t95\t10\n", ":2: широта «95»"),
        ("name\tlatitude\tlongitude\nА\t\t10\n", ":2: пустая широта"),
    ],
)
def test_a_bad_dump_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "RU.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_geonames(path)


def test_files_that_cannot_be_used(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    build_ = ("model", "gazetteer", "build")
    assert "такого файла нет" in otklik(*build_, str(tmp_path / "no.csv"), "-o", str(out)).err
    out.write_text("x", encoding="utf-8")
    said = otklik(*build_, str(files[0]), "-o", str(out), "--district", "Дальний")
    assert said.code == 2 and "--force" in said.err and out.read_text() == "x"
    assert otklik(*build_, str(files[0]), "-o", str(out), "--district", "Дальний", "--force").code == 0
    said = otklik(*build_, str(files[0]), "-o", str(tmp_path / "b.csv"), "--district", "Верхнеречинский район")
    assert said.code == 2 and "похожие: Верхнереченский район" in said.err
    said = otklik(*build_, str(files[0]), "-o", str(tmp_path / "нет" / "b.csv"), "--district", "Дальний")
    assert said.code == 2 and "не записать" in said.err
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x98")
    assert otklik(*build_, str(tmp_path / "bytes.csv"), "-o", str(tmp_path / "c.csv")).code == 2
