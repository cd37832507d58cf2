"""The official schema is the judge of what the emulator takes and says."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
import vk_api

from emulator import GROUP_TOKEN, SERVICE_TOKEN, USER_TOKEN, Behaviour, Emulator, generate, load
from emulator.faults import VK_CODES
from emulator.vk_params import METHODS
from tests.emulator.conftest import walk_comments

OWNER = -123456
NOT_IN_THE_COPY = {"account.getAppPermissions"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_are_declared_as_officially(judge, name):
    """Names, types, bounds and tokens of every parameter are those of the schema."""
    if name in NOT_IN_THE_COPY:
        assert name not in judge.methods
        return
    ours, official = METHODS[name], judge.methods[name]
    assert sorted(ours.tokens) == sorted(official["access_token_type"])
    parameters = {p["name"]: p for p in official.get("parameters", ())}
    extra = {"owner_id"} if name == "wall.get" else set()
    assert set(ours.params) == set(parameters) | extra
    types = {"integer": "int", "boolean": "bool", "array": "list", "string": "str"}
    for key, spec in parameters.items():
        mine = ours.params[key]
        kind = spec["type"] if isinstance(spec["type"], str) else "string"
        assert (mine.type, mine.required) == (types[kind], spec.get("required", False)), key
        assert mine.low == spec.get("minimum"), key
        assert mine.high == spec.get("maximum", spec.get("maxItems")), key
        if "enum" in spec:
            assert set(mine.enum) == set(spec["enum"]), key
        if "default" in spec and mine.default is not None:
            assert mine.default == spec["default"], key


def ask_everything(api, owner: int) -> None:
    """Every method that reads, in its main forms."""
    for extended in (0, 1):
        posts = api.wall.get(owner_id=owner, extended=extended, count=100)["items"]
        api.wall.getById(posts=[f"{owner}_{p['id']}" for p in posts], extended=extended)
        for post in posts:
            if post["comments"]["can_view"]:
                where = {"owner_id": owner, "post_id": post["id"], "extended": extended}
                api.wall.getComments(count=100, thread_items_count=10, need_likes=1, **where)
                walk_comments(api._vk.method, owner, post["id"])
                last = api.wall.getComments(sort="desc", count=3, fields="screen_name", **where)["items"]
                for item in last:
                    if "from_id" in item:
                        api.wall.getComment(owner_id=owner, comment_id=item["id"], extended=extended)
                        api.wall.getComments(comment_id=item["id"], start_comment_id=item["id"], offset=-1, **where)
        photos = api.photos.getAll(owner_id=owner, extended=extended)["items"]
        api.photos.get(owner_id=owner, album_id=1, extended=extended, rev=1)
        for photo in photos:
            api.photos.getById(photos=f"{owner}_{photo['id']}", extended=extended)
            api.photos.getComments(owner_id=owner, photo_id=photo["id"], extended=extended, need_likes=1, offset=1)
        for video in api.video.get(owner_id=owner, extended=extended)["items"]:
            where = {"owner_id": owner, "video_id": video["id"], "extended": extended}
            api.video.getComments(count=100, thread_items_count=10, need_likes=1, offset=1, **where)
        for preview in (0, 1, 2):
            topics = api.board.getTopics(group_id=-owner, extended=extended, preview=preview, order=-1)["items"]
        for topic in topics:
            api.board.getComments(group_id=-owner, topic_id=topic["id"], extended=extended, need_likes=1, offset=1)
    api.photos.getAlbums(owner_id=owner, need_system=1)
    api.photos.getAllComments(owner_id=owner, need_likes=1)
    api.users.get(user_ids=[101, 190, 191, 192, "leyla_n"], fields="screen_name")
    api.users.get()
    api.groups.getById(group_ids=[-owner])
    api.utils.getServerTime()


def judged(judge, world, behaviour=None, **more):
    problems: list[str] = []

    def observe(method, params, kind, answer):
        problems.extend(judge.check(method, params, kind, json.loads(json.dumps(answer))))

    return problems, Emulator(world, behaviour=behaviour, observer=observe, **more)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(counter_replies=r, counter_stubs=s, hidden_author=h, thread_depth=d, stub_author=a, thread_stubs=t)
        for r, s, h, d, a, t in [
            (True, True, "absent", 2, "zero", True),
            (False, False, "zero", 4, "kept", True),
            (True, False, "flag", 2, "kept", False),
        ]
    ],
    ids=["usual", "deep", "flagged"],
)
def test_every_answer_is_as_the_schema_says(judge, client, behaviour):
    worlds = [load(at="act1"), generate(3, 1, 9, 250, 5, kinds=("post", "photo", "video", "topic"), deleted=0.2)]
    worlds[0].advance_to("act2")
    for world in worlds:
        problems, emulator = judged(judge, world, behaviour)
        with emulator:
            ask_everything(client(emulator).get_api(), int(next(iter(world.pages))))
        assert problems == []
        assert sum(emulator.calls.values()) > 50


def test_writing_is_as_the_schema_says(judge, client):
    problems, emulator = judged(judge, load())
    with emulator:
        api = client(emulator).get_api()
        post = api.wall.get(owner_id=OWNER, count=2)["items"][1]["id"]
        made = api.wall.createComment(owner_id=OWNER, post_id=post, message="Ответ", from_group=-OWNER, guid="g")
        number = made["comment_id"]
        assert api.wall.editComment(owner_id=OWNER, comment_id=number, message="Другой") == 1
        assert api.wall.deleteComment(owner_id=OWNER, comment_id=number) == 1
        assert api.wall.restoreComment(owner_id=OWNER, comment_id=number) == 1
        assert api.wall.closeComments(owner_id=OWNER, post_id=post) == 1
        assert api.wall.openComments(owner_id=OWNER, post_id=post) == 1
        at = {"owner_id": OWNER, "message": "Ответ", "from_group": 1, "guid": "g"}
        photo = api.photos.getAll(owner_id=OWNER)["items"][0]["id"]
        assert api.photos.createComment(photo_id=photo, **at) == api.photos.createComment(photo_id=photo, **at) > 0
        video = api.video.get(owner_id=OWNER)["items"][0]["id"]
        assert api.video.createComment(video_id=video, **at) == api.video.createComment(video_id=video, **at) > 0
        topic = api.board.getTopics(group_id=-OWNER)["items"][0]["id"]
        at = {"group_id": -OWNER, "topic_id": topic, "message": "Ответ", "from_group": 1, "guid": "g"}
        assert api.board.createComment(**at) == api.board.createComment(**at) > 0
        group = client(emulator, GROUP_TOKEN).get_api()
        assert group.groups.getTokenPermissions()["permissions"]
    assert problems == []


def test_every_error_is_as_the_schema_says(judge, client):
    world = load()
    for code in VK_CODES:
        answers = []
        emulator = Emulator(
            world, f"utils.getServerTime:error={code}", observer=lambda m, p, k, a, to=answers: to.append(a)
        )
        with emulator:
            vk = client(emulator)
            vk.error_handlers = {}
            with pytest.raises(vk_api.exceptions.ApiError) as caught:
                vk.method("utils.getServerTime")
        assert caught.value.code == code
        assert judge.check_answer("utils.getServerTime", {}, answers[0]) == []
        assert ("captcha_sid" in answers[0]["error"]) == (code == 14)


def test_all_global_errors_are_known(judge):
    official = json.loads((judge.folder / "errors.json").read_text(encoding="utf-8"))["errors"].values()
    known = {e["code"] for e in official}
    assert {e["code"] for e in official if e.get("global")} <= set(VK_CODES)
    assert set(VK_CODES) <= known


KINDS = {USER_TOKEN: "user", GROUP_TOKEN: "group", SERVICE_TOKEN: "service"}


@pytest.mark.parametrize(("name", "token"), list(product(sorted(METHODS), KINDS)))
def test_tokens_may_what_the_schema_allows(judge, client, name, token):
    allowed = judge.methods[name]["access_token_type"] if name in judge.methods else ["user"]
    with Emulator(generate(1, 1, 1, 5)) as emulator:
        vk = client(emulator, token)
        try:
            vk.method(name)
            code = 0
        except vk_api.exceptions.ApiError as e:
            code = e.code
    refused = {"user": 5, "group": 27, "service": 28}[KINDS[token]]
    assert (code == refused) == (KINDS[token] not in allowed)


def test_the_judge_sees_faults(judge):
    """A judge that finds nothing proves nothing: each of these is wrong in one way."""
    good = {"owner_id": "-1", "post_id": "2", "v": "5.199"}
    answer = {"response": {"count": 1, "items": [{"id": 1, "from_id": 5, "date": 1, "text": "т"}]}}
    assert judge.check("wall.getComments", good, "user", answer) == []
    for wrong in (
        {"owner_id": "x"},
        {"thread_items_count": "11"},
        {"sort": "up"},
        {"commentid": "1"},
        {"v": "5.92"},
        {"count": "-1"},
    ):
        assert judge.check_request("wall.getComments", good | wrong, "user"), wrong
    assert judge.check_request("wall.getComments", good, "group")
    assert judge.check_request("wall.getById", {"v": "5.199"}, "user") == ["wall.getById: posts is required"]
    assert judge.check_request("wall.nothing", good, "user")
    item = answer["response"]["items"][0]
    for bad in (
        {"response": {"items": []}},
        {"response": {"count": "1", "items": []}},
        {"response": {"count": 1, "items": [{k: v for k, v in item.items() if k != "from_id"}]}},
        {"response": {"count": 1, "items": [item | {"thread": {"items": []}}]}},
        {"response": {"count": 1, "items": [item | {"real_ofset": 1}]}},
        {"response": {"count": 1, "items": [item | {"attachments": [{"type": "hologram"}]}]}},
        {"error": {"error_msg": "no code"}},
    ):
        assert judge.check_answer("wall.getComments", good, bad), bad


def test_a_stub_without_author_is_the_one_thing_the_schema_does_not_know(judge, client):
    world = load()
    world.advance_to("act2")
    problems, emulator = judged(judge, world, replace(Behaviour(), stub_author="absent"))
    with emulator:
        ask_everything(client(emulator).get_api(), OWNER)
    assert problems
    assert all("'from_id' is a required property" in p for p in problems)
