"""`otklik init` writes a file that the program reads."""

from __future__ import annotations

import os

import pytest

from desk.init import write_config
from settings import ConfigError, load


def test_what_it_writes_can_be_read(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(path, 'МО "Ахты": №1 \\ #', "Asia/Omsk", ["https://vk.com/akhty", " -5 ", ""])
    found = load(path)
    assert found.organisation.name == 'МО "Ахты": №1 \\ #' and found.organisation.timezone == "Asia/Omsk"
    assert [(p.network, p.id) for p in found.pages] == [("vk", "https://vk.com/akhty"), ("vk", "-5")]
    assert found.network("vk").token.variables == ["VK_TOKEN"] and os.listdir(tmp_path) == ["config.yaml"]


def test_without_pages_it_is_good_too(tmp_path):
    write_config(tmp_path / "c.yaml", "А", "Europe/Moscow", [])
    assert load(tmp_path / "c.yaml").pages == []


def test_what_stands_there_is_kept(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        write_config(path, "А", "Europe/Moscow", [])
    assert path.read_text() == "mine"
    write_config(path, "А", "Europe/Moscow", [], force=True)
    assert load(path).organisation.name == "А"


@pytest.mark.parametrize(
    ("organisation", "timezone", "pages", "said"),
    [
        ("А", "Moscow", [], "часового пояса"),
        ("А\nБ", "UTC", [], "organisation.name"),
        ("А", "UTC", ["a", "a"], "уже есть"),
        ("А", "UTC", ["\x1b[31m"], "id"),
        ("А" * 400, "UTC", [], "organisation.name"),
    ],
)
def test_a_bad_answer_is_told_and_nothing_is_written(tmp_path, organisation, timezone, pages, said):
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match=said):
        write_config(path, organisation, timezone, pages, force=True)
    assert path.read_text() == "mine" and os.listdir(tmp_path) == ["config.yaml"]


@pytest.mark.parametrize("place", ["absent/config.yaml", "file/config.yaml", "dir"])
def test_where_nothing_can_be_written(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "dir").mkdir()
    with pytest.raises(ConfigError, match=r"не записывается \(.+\)|не каталог"):
        write_config(tmp_path / place, "А", "UTC", [], force=True)
    assert sorted(os.listdir(tmp_path)) == ["dir", "file"]


def test_an_address_tells_its_network_and_what_that_needs(tmp_path):
    path = tmp_path / "config.yaml"
    pages = [
        "https://t.me/kanal",
        "m.ok.ru/group/57",
        "https://www.youtube.com/@adm",
        "https://rutube.ru/channel/5/",
        "-5",
    ]
    secrets = write_config(path, "А", "UTC", pages)
    assert [p.network for p in load(path).pages] == ["telegram", "ok", "youtube", "rutube", "vk"]
    assert secrets == ["VK_TOKEN", "OK_TOKEN", "OK_SESSION_SECRET_KEY", "TELEGRAM_TOKEN", "YOUTUBE_TOKEN"]
    for wrong, said in (
        ("https://example.org/adm", "ни одной из знакомых сетей"),
        ("https://my.mail.ru/adm", "ни одной из знакомых сетей"),
        ("https://vk.com/", "адрес самой сети"),
        ("t.me", "адрес самой сети"),
        ("Администрация района", "не похоже на страницу"),
    ):
        with pytest.raises(ConfigError, match=said):
            write_config(path, "А", "UTC", [wrong], force=True)
    assert [p.network for p in load(path).pages] == ["telegram", "ok", "youtube", "rutube", "vk"], "nothing was changed"
    write_config(path, "А", "UTC", ["vk.ru/akhty", "@akhty", "youtu.be/x", "telegram.me/k"], force=True)
    assert [p.network for p in load(path).pages] == ["vk", "vk", "youtube", "telegram"]
    with pytest.raises(ConfigError, match="не похожа на адрес"):
        write_config(path, "А", "UTC", ["https://[bad/x"], force=True)
