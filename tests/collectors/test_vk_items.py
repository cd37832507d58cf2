"""VK's JSON, well-formed or not, becomes plain values and never an exception."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.vk_items import (
    MAX_TEXT,
    Authors,
    Target,
    attachments,
    clean,
    comment,
    photo_post,
    post_as_comment,
    topic_post,
    video_post,
    wall_post,
    whole,
)
from store.values import Attachment, Author, PageRef

PAGE = PageRef("vk", "-9")
WALL = Target("post", -9, 20)
NOBODY = Authors({})

leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    leaf, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4), max_leaves=6
)
FIELDS = [
    "from_id",
    "owner_id",
    "date",
    "text",
    "parents_stack",
    "reply_to_comment",
    "reply_to_user",
    "attachments",
    "deleted",
    "likes",
    "thread",
    "id",
    "comments",
    "is_pinned",
    "copy_history",
    "is_deleted",
    "edited",
    "title",
    "description",
    "can_comment",
    "is_closed",
    "created",
    "type",
    "photo",
    "sticker",
    "link",
    "profiles",
    "groups",
    "first_name",
    "deactivated",
]
wide = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6)
broken = st.dictionaries(st.sampled_from(FIELDS), anything | wide | st.lists(wide, max_size=2), max_size=12)


@settings(max_examples=150, deadline=None)
@given(raw=broken, number=st.integers(1, 2**40), answer=anything | broken)
def test_nothing_that_comes_breaks_anything(raw: dict, number: int, answer: object) -> None:
    authors = Authors(answer if isinstance(answer, dict) else {})
    for target in (WALL, Target("photo", -9, 1), Target("video", -9, 1), Target("topic", -9, 1)):
        c = comment(raw | {"id": number}, target, PAGE, authors, None)
        assert c.external_id and c.parent_id != c.external_id
        c.text.encode("utf-8")
        assert c.published_at is None or c.published_at.tzinfo is UTC
        assert all(a.url is None or a.url.startswith("http") for a in c.attachments)
    post_as_comment(raw, WALL, PAGE, authors)
    for make in (wall_post, photo_post, video_post, topic_post):
        post = make(raw, PAGE)
        assert post is None or (post.id and Target.parse(post.id))


@pytest.mark.parametrize(
    ("target", "external_id", "url"),
    [
        (WALL, "wall-9_21", "https://vk.com/wall-9_20?reply=21"),
        (Target("photo", -9, 5), "photo-9_5_21", "https://vk.com/photo-9_5?reply=21"),
        (Target("video", -9, 5), "video-9_5_21", "https://vk.com/video-9_5?reply=21"),
        (Target("topic", -9, 5), "topic-9_5_21", "https://vk.com/topic-9_5?post=21"),
    ],
)
def test_ids_and_addresses(target: Target, external_id: str, url: str) -> None:
    c = comment({"id": 21, "from_id": 5, "date": 1764000000, "text": "Яма"}, target, PAGE, NOBODY, None)
    assert (c.external_id, c.url, c.comment_id, c.post_id, c.parent_id) == (external_id, url, "21", target.id, None)
    assert Target.parse(target.id) == target


@pytest.mark.parametrize("name", ["wall-9", "wall-9_", "wall9_1 ", "post-9_1", "wall-9_1_2", ""])
def test_what_is_no_post(name: str) -> None:
    assert Target.parse(name) is None


@pytest.mark.parametrize(
    ("raw", "under", "parent"),
    [
        ({}, None, None),
        ({}, 7, "wall-9_7"),
        ({"parents_stack": [3]}, None, "wall-9_3"),
        ({"parents_stack": [3, 4]}, None, "wall-9_4"),
        ({"parents_stack": [3], "reply_to_comment": 5}, 3, "wall-9_5"),
        ({"reply_to_comment": 21}, None, None),
        ({"parents_stack": "3"}, 8, "wall-9_8"),
    ],
)
def test_whose_answer_it_is(raw: dict, under: int | None, parent: str | None) -> None:
    c = comment({"id": 21, "text": "и вам"} | raw, WALL, PAGE, NOBODY, under)
    assert c.parent_id == parent
    if parent and not raw.get("reply_to_comment"):
        assert "&thread=" in c.url


def test_an_answer_on_a_board_is_told_by_its_text() -> None:
    raw = {"id": 21, "text": "[id5:bp-9_17|Анна], спасибо"}
    assert comment(raw, Target("topic", -9, 3), PAGE, NOBODY, None).parent_id == "topic-9_3_17"


def test_who_writes() -> None:
    people = Authors(
        {
            "profiles": [
                {"id": 5, "first_name": "Анна", "last_name": "К."},
                {"id": 6, "first_name": "DELETED", "last_name": "", "deactivated": "deleted"},
                {"id": 7, "first_name": "Пётр", "last_name": "В.", "deactivated": "banned"},
                {"id": 8, "first_name": "", "hidden": 1},
            ],
            "groups": [{"id": 9, "name": "Администрация"}],
        }
    )
    assert people(5) == Author("5", "Анна К.", "https://vk.com/id5", "person")
    assert people(6) == Author("6", None, "https://vk.com/id6", "unknown")
    assert people(7) == Author("7", "Пётр В.", "https://vk.com/id7", "person")
    assert people(8) == Author("8", None, "https://vk.com/id8", "unknown")
    assert people(99) == Author("99", None, "https://vk.com/id99", "unknown")
    assert people(-9) == Author("-9", "Администрация", "https://vk.com/club9", "community")
    assert people(0) == people(None) == Author()


def test_own_deleted_and_hidden() -> None:
    own = comment({"id": 1, "from_id": -9, "text": "Передали"}, WALL, PAGE, NOBODY, None)
    stub = comment({"id": 2, "from_id": 0, "text": "было", "deleted": True}, WALL, PAGE, NOBODY, None)
    bare = comment({"id": 3}, WALL, PAGE, NOBODY, None)
    assert own.own and not own.deleted
    assert stub.deleted and stub.text == "" and not stub.own and stub.author == Author()
    assert not bare.own and bare.published_at is None and bare.text == ""


def test_attachments_are_links_that_stay() -> None:
    got = attachments(
        [
            {
                "type": "photo",
                "photo": {"id": 1, "owner_id": -9, "text": "яма", "sizes": [{"url": "https://s/1?sign=a"}]},
            },
            {"type": "sticker", "sticker": {"sticker_id": 77, "images": []}},
            {"type": "link", "link": {"url": "https://example.org/?a=1", "title": "Т"}},
            {"type": "link", "link": {"url": "javascript:alert(1)"}},
            {"type": "video", "video": {"id": 2, "owner_id": 3, "title": "В"}},
            {"type": "doc", "doc": {"id": 4, "owner_id": 5, "title": "акт.pdf", "url": "https://vk.com/doc?hash=1"}},
            {"type": "audio", "audio": {"id": 6, "owner_id": 7, "artist": "А", "title": "Б"}},
            {"type": "graffiti", "graffiti": {"id": 8, "owner_id": 9, "url": "https://s/g.png"}},
            {"type": "market", "market": {"id": 10, "owner_id": -9}},
            {"type": "page", "page": {"id": 11, "view_url": "https://m.vk.com/page-1_11", "title": "С"}},
            {"type": "new_thing", "new_thing": [1]},
            {"type": "photo"},
            {},
            "nonsense",
        ]
    )
    assert got == (
        Attachment("photo", "https://vk.com/photo-9_1", "яма", "-9_1"),
        Attachment("sticker", "https://vk.com/sticker/1-77-256", None, "77"),
        Attachment("link", "https://example.org/?a=1", "Т"),
        Attachment("link"),
        Attachment("video", "https://vk.com/video3_2", "В", "3_2"),
        Attachment("doc", "https://vk.com/doc5_4", "акт.pdf", "5_4"),
        Attachment("audio", "https://vk.com/audio7_6", "А - Б", "7_6"),
        Attachment("graffiti", "https://s/g.png", None, "9_8"),
        Attachment("market", "https://vk.com/product-9_10", None, "-9_10"),
        Attachment("page", "https://m.vk.com/page-1_11", "С", None),
        Attachment("new_thing"),
        Attachment("photo"),
        Attachment("unknown"),
    )


@pytest.mark.parametrize(
    ("date", "when"),
    [
        (1764000000, datetime(2025, 11, 24, 16, 0, tzinfo=UTC)),
        (0, None),
        (-5, None),
        (None, None),
        ("1764000000", None),
        (10**15, None),
        (4102444800, datetime(2100, 1, 1, tzinfo=UTC)),
        (float("nan"), None),
    ],
)
def test_times(date: object, when: datetime | None) -> None:
    assert comment({"id": 1, "date": date}, WALL, PAGE, NOBODY, None).published_at == when


def test_counters_of_posts() -> None:
    own = {"id": 20, "owner_id": -9, "from_id": -9, "comments": {"count": 3, "can_post": 0}, "is_pinned": 1}
    theirs = own | {"from_id": 5, "copy_history": [{"text": "повтор"}], "text": "своё"}
    assert (wall_post(own, PAGE).counter, wall_post(theirs, PAGE).counter) == (3, 4)
    assert wall_post(own, PAGE).closed and wall_post(own, PAGE).pinned
    assert wall_post(theirs, PAGE).text == "своё\n\nповтор"
    assert wall_post(own | {"comments": None}, PAGE).counter is None
    assert wall_post(own | {"owner_id": -10}, PAGE) is None
    assert wall_post(own | {"is_deleted": True}, PAGE).gone


@pytest.mark.parametrize("value", [True, "5", None, [], float("nan"), float("inf"), 2**70])
def test_what_is_no_number(value: object) -> None:
    assert whole(value) is None


def test_clean() -> None:
    assert clean("а\x00б\x1b[0m\u2028\ud800в\n\tг") == "аб[0mв\n\tг"
    assert clean(5) == ""
    assert clean("я" * 100_000) == "я" * 100_000
    assert len(clean("я" * (MAX_TEXT + 5))) == MAX_TEXT
