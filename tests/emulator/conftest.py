from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vk_api

from emulator import USER_TOKEN, Emulator, vk_session
from tests.emulator.schema_judge import SchemaJudge


@pytest.fixture(scope="session")
def judge(shared: Path) -> SchemaJudge:
    if not (shared / "specs" / "vk" / "schema.json").exists():
        pytest.skip("the official VK schema is not here (OTKLIK_SHARED)")
    return SchemaJudge(shared)


@pytest.fixture
def client() -> Iterator[Callable[..., vk_api.VkApi]]:
    """The official client, its VK being the given emulator."""
    sessions = []

    def make(emulator: Emulator, token: str = USER_TOKEN, version: str = "5.199") -> vk_api.VkApi:
        from jconfig.memory import MemoryConfig

        session = vk_session(emulator.url)
        sessions.append(session)
        vk = vk_api.VkApi(token=token, api_version=version, session=session, config=MemoryConfig)
        vk.RPS_DELAY = 0
        return vk

    yield make
    for session in sessions:
        session.close()


def walk_comments(call: Callable[..., Any], owner: int, post: int, page: int = 100, shown: int = 10) -> dict[int, dict]:
    """Every comment a plain reader finds under a wall post, by paging each level to its end."""
    found: dict[int, dict] = {}

    def level(**more: Any) -> None:
        offset = 0
        while True:
            answer = call(
                "wall.getComments",
                {
                    "owner_id": owner,
                    "post_id": post,
                    "offset": offset,
                    "count": page,
                    "thread_items_count": shown,
                    **more,
                },
            )
            for item in answer["items"]:
                take(item)
            offset += len(answer["items"])
            if not answer["items"] or offset >= answer["current_level_count"]:
                return

    def take(item: dict) -> None:
        assert item["id"] not in found
        found[item["id"]] = item
        thread = item.get("thread", {"count": 0, "items": []})
        if thread["count"] > len(thread["items"]):
            level(comment_id=item["id"])
        else:
            for reply in thread["items"]:
                take(reply)

    level()
    return found
