"""Networks are found by name, also those of other packages; a bad configuration is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import collectors
import settings as config
from collectors.contract import Collector
from settings import ConfigError


def configured(network: str = "vk", keys: str = '{token: "abcd-token"}') -> config.Settings:
    return config.parse(f"networks:\n  {network}: {keys}\n", "config.yaml")


def test_vk_is_built_in() -> None:
    assert collectors.available()["vk"] == "collectors.vk:VkCollector"
    cls = collectors.load("vk")
    assert issubclass(cls, Collector) and cls.network == "vk" and cls.capabilities.counters


def test_it_is_made_without_a_store_and_closed() -> None:
    collector = collectors.make(configured(), "vk")
    assert collector.manners.calls == 0
    collector.close()


@pytest.mark.parametrize(
    ("network", "keys", "part"),
    [
        ("vk", "{}", "config.yaml:2: networks.vk: не задан token"),
        ("vk", '{token: "${OTKLIK_TEST_NOT_SET}"}', "OTKLIK_TEST_NOT_SET"),
        ("vk", '{token: "abcd", api: "https://evil.example/"}', "config.yaml:2: networks.vk.api"),
        ("vk", '{token: "abcd", api: "http://api.vk.ru/method/"}', "https://"),
        ("nonet", '{token: "abcd"}', "для сети nonet нет сборщика; есть для:"),
    ],
)
def test_what_can_not_be_made(network: str, keys: str, part: str) -> None:
    with pytest.raises(ConfigError) as e:
        collectors.make(configured(network, keys), network)
    assert part in str(e.value) and "\n" not in str(e.value) and e.value.exit_code == config.USAGE


def test_a_network_that_is_not_described() -> None:
    with pytest.raises(ConfigError) as e:
        collectors.make(config.parse("networks: {}\n", "config.yaml"), "vk")
    assert "networks.vk" in str(e.value)


PLUGIN = """
from datetime import UTC, datetime
from collectors.contract import Collector

class Mine(Collector):
    network = "mine"
    title = "Моя сеть"
    api = "https://api.mine.example/"
    hosts = frozenset({"api.mine.example"})
    needs_token = False
    def resolve(self, page): ...
    def server_time(self): return datetime.now(UTC)
    def posts(self, page, since): return iter(())
    def refresh(self, page, posts): return iter(())
    def comments(self, page, post, walk): return iter(())
    def check(self, pages): return iter(())

NotOne = 5
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody else, as an installer would leave it."""
    (tmp_path / "otklik_mine.py").write_text(PLUGIN, encoding="utf-8")
    info = tmp_path / "otklik_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otklik-mine\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[otklik.collectors]\nmine = otklik_mine:Mine\nbad = otklik_mine:NotOne\nworse = otklik_nowhere:Mine\n"
        "vk = otklik_mine:Mine\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_collector_of_another_package(plugin: Path) -> None:
    assert collectors.available()["mine"] == "otklik_mine:Mine"
    collector = collectors.make(configured("mine", "{enabled: true}"), "mine")
    assert collector.title == "Моя сеть"
    collector.close()
    assert collectors.load("vk").__name__ == "VkCollector"  # the built-in one wins


@pytest.mark.parametrize(("name", "part"), [("bad", "не класс Collector"), ("worse", "не загружается")])
def test_a_collector_that_can_not_be_loaded(plugin: Path, name: str, part: str) -> None:
    with pytest.raises(ConfigError) as e:
        collectors.load(name)
    assert part in str(e.value) and name in str(e.value)


def test_the_package_is_light() -> None:
    code = (
        "import collectors, sys; print([m for m in ('requests', 'httpx', 'vk_api', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
