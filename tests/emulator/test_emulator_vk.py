"""What the VK face does: levels, paging, stubs, authors, tokens, limits, writing, and the official client on top."""

from __future__ import annotations

import itertools

import pytest
import vk_api
from vk_api.requests_pool import VkRequestsPool, vk_request_one_param_pool

from emulator import GROUP_TOKEN, SERVICE_TOKEN, USER_TOKEN, Behaviour, Clock, Emulator, World, generate
from emulator.vk import VkFace
from emulator.world import Shaker
from store.values import Attachment
from tests.emulator.conftest import walk_comments

OWNER = -7


def small(**more) -> World:
    world = World(clock=Clock(1_700_000_000.0, frozen=True))
    world.add_page(str(OWNER), "Страница", "page_seven", **more)
    for i in range(1, 6):
        world.add_author(i, f"Житель {i}.")
    return world


def call(emulator: Emulator, token: str = USER_TOKEN):
    """Calls past HTTP, straight to the face: errors raise with their code."""

    def one(method, params=None, **more):
        values = {"v": "5.199", "access_token": token} | {k: str(v) for k, v in {**(params or {}), **more}.items()}
        answer = emulator.face.answer(method, values, emulator.plan)
        if "error" in answer:
            raise Refused(answer["error"]["error_code"], answer["error"]["error_msg"])
        return answer["response"]

    return one


class Refused(Exception):
    @property
    def code(self):
        return self.args[0]


def refusal(function, *args, **kwargs) -> int:
    with pytest.raises(Refused) as caught:
        function(*args, **kwargs)
    return caught.value.code


@pytest.fixture
def world() -> World:
    return small()


def thread(world, replies: int):
    page = world.pages[str(OWNER)]
    post = world.add_post(page, "Публикация")
    top = world.add_comment(post, "верх", 1)
    below = [world.add_comment(post, f"ответ {i}", 2, parent=top) for i in range(replies)]
    return post, top, below


# --- levels and paging ------------------------------------------------------------------------------------------------


def test_a_reply_to_a_reply_lies_in_the_same_thread(world):
    post, top, (reply,) = thread(world, 1)
    deep = world.add_comment(post, "глубже", 3, parent=reply)
    item = call(Emulator(world))("wall.getComments", owner_id=OWNER, post_id=post.id, thread_items_count=10)
    assert item["count"] == 3
    assert item["current_level_count"] == 1
    shown = item["items"][0]["thread"]
    assert shown["count"] == 2
    last = shown["items"][1]
    assert (last["id"], last["reply_to_comment"], last["reply_to_user"]) == (deep.id, reply.id, 2)
    assert last["parents_stack"] == [top.id]
    assert "thread" not in last


def test_threads_may_nest_deeper(world):
    post, top, (reply,) = thread(world, 1)
    deep = world.add_comment(post, "глубже", 3, parent=reply)
    ask = call(Emulator(world, behaviour=Behaviour(thread_depth=3)))
    item = ask("wall.getComments", owner_id=OWNER, post_id=post.id, thread_items_count=10)["items"][0]
    inner = item["thread"]["items"][0]
    assert item["thread"]["count"] == 1
    assert inner["thread"]["items"][0]["parents_stack"] == [top.id, reply.id]
    level = ask("wall.getComments", owner_id=OWNER, post_id=post.id, comment_id=reply.id)
    assert [c["id"] for c in level["items"]] == [deep.id]
    assert level["items"][0]["parents_stack"] == [top.id, reply.id]


def test_threads_show_at_most_ten_and_are_paged_by_comment(world):
    post, top, below = thread(world, 25)
    ask = call(Emulator(world))
    shown = ask("wall.getComments", owner_id=OWNER, post_id=post.id, thread_items_count=10)["items"][0]["thread"]
    assert (shown["count"], len(shown["items"])) == (25, 10)
    assert refusal(ask, "wall.getComments", owner_id=OWNER, post_id=post.id, thread_items_count=11) == 100
    level = ask("wall.getComments", owner_id=OWNER, post_id=post.id, comment_id=top.id, offset=20, count=100)
    assert [c["id"] for c in level["items"]] == [c.id for c in below[20:]]
    assert (level["count"], level["current_level_count"]) == (25, 25)


def test_start_comment_id_and_offsets(world):
    page = world.pages[str(OWNER)]
    post = world.add_post(page, "п")
    row = [world.add_comment(post, str(i), 1) for i in range(10)]

    def ids(behaviour=None, **more):
        ask = call(Emulator(world, behaviour=behaviour))
        return [c["id"] for c in ask("wall.getComments", owner_id=OWNER, post_id=post.id, count=3, **more)["items"]]

    exclusive = Behaviour(start_inclusive=False)
    assert ids(start_comment_id=row[4].id) == [c.id for c in row[4:7]]
    assert ids(exclusive, start_comment_id=row[4].id) == [c.id for c in row[5:8]]
    assert ids(start_comment_id=row[4].id, offset=-2) == [c.id for c in row[2:5]]
    assert ids(start_comment_id=row[4].id, sort="desc") == [c.id for c in (row[4], row[3], row[2])]
    assert ids(start_comment_id=row[1].id, offset=-5) == [c.id for c in row[:3]]
    world.delete(row[4])
    assert ids(start_comment_id=row[4].id) == [c.id for c in row[5:8]]
    assert ids(offset=8) == [row[9].id]
    assert ids(offset=100) == []


def test_stubs_stay_while_something_alive_hangs_below(world):
    post, top, (reply,) = thread(world, 1)
    alone = world.add_comment(post, "одинокий", 2)
    for one in (top, alone):
        world.delete(one)
    ask = call(Emulator(world))
    answer = ask("wall.getComments", owner_id=OWNER, post_id=post.id, thread_items_count=5)
    (stub,) = answer["items"]
    assert (stub["id"], stub["deleted"], stub["text"], stub["from_id"]) == (top.id, True, "", 0)
    assert stub["thread"]["items"][0]["text"] == reply.text
    assert "reply_to_user" not in stub["thread"]["items"][0]
    assert answer["count"] == 2
    assert (
        call(Emulator(world, behaviour=Behaviour(counter_stubs=False)))("wall.getById", posts=f"{OWNER}_{post.id}")[
            "items"
        ][0]["comments"]["count"]
        == 1
    )
    world.delete(reply)
    assert ask("wall.getComments", owner_id=OWNER, post_id=post.id)["items"] == []
    world.restore(top)
    assert ask("wall.getComments", owner_id=OWNER, post_id=post.id)["items"][0]["text"] == "верх"


@pytest.mark.parametrize(("behaviour", "key"), [("zero", 0), ("kept", 1), ("absent", None)])
def test_who_wrote_a_stub(world, behaviour, key):
    post, top, _ = thread(world, 1)
    world.delete(top)
    ask = call(Emulator(world, behaviour=Behaviour(stub_author=behaviour)))
    stub = ask("wall.getComments", owner_id=OWNER, post_id=post.id)["items"][0]
    assert stub.get("from_id") == key


@pytest.mark.parametrize("replies", [True, False])
def test_the_counter_counts_replies_or_not(world, replies):
    thread(world, 3)
    ask = call(Emulator(world, behaviour=Behaviour(counter_replies=replies)))
    count = ask("wall.get", owner_id=OWNER)["items"][0]["comments"]["count"]
    assert count == (4 if replies else 1)


@pytest.mark.parametrize("depth", [2, 3, 6])
@pytest.mark.parametrize("page", [3, 100])
def test_paging_every_level_finds_exactly_the_truth(depth, page):
    world = generate(5, 1, 6, 400, depth=6, deleted=0.15)
    ask = call(Emulator(world, behaviour=Behaviour(thread_depth=depth)))
    for post in world.posts():
        found = walk_comments(ask, int(post.page.id), post.id, page=page, shown=min(page, 10))
        alive = {c.id: c.text for c in post.comments.values() if not c.deleted}
        assert {i: x["text"] for i, x in found.items() if not x.get("deleted")} == alive
        stubs = {i for i, x in found.items() if x.get("deleted")}
        assert stubs == {c.id for c in post.comments.values() if c.deleted and c.alive_below}
        assert ask("wall.getById", posts=f"{post.page.id}_{post.id}")["items"][0]["comments"]["count"] == len(found)


def test_flat_kinds_are_flat(world):
    page = world.pages[str(OWNER)]
    photo = world.add_post(page, "Фото", kind="photo")
    topic = world.add_post(page, "Вопрос?", kind="topic", title="Тема")
    first = world.add_comment(photo, "ого", 1)
    second = world.add_comment(photo, "да", 2, parent=first)
    answered = world.add_comment(topic, "ответьте", 1)
    world.add_comment(topic, "Отвечаем", OWNER, parent=answered)
    ask = call(Emulator(world))
    items = ask("photos.getComments", owner_id=OWNER, photo_id=photo.id)["items"]
    assert [(c["id"], c.get("reply_to_comment"), "thread" in c) for c in items] == [
        (first.id, None, False),
        (second.id, first.id, False),
    ]
    world.delete(first)
    assert len(ask("photos.getComments", owner_id=OWNER, photo_id=photo.id)["items"]) == 1
    board = ask("board.getComments", group_id=-OWNER, topic_id=topic.id)["items"]
    assert [c["text"] for c in board] == ["Вопрос?", "ответьте", "[id1:bp-7_3|Житель 1.], Отвечаем"]
    assert "reply_to_comment" not in board[2]
    assert ask("photos.getAllComments", owner_id=OWNER)["items"][0]["pid"] == photo.id


# --- posts and pages --------------------------------------------------------------------------------------------------


def test_pinned_comes_first_out_of_order_and_vanished_are_absent(world):
    page = world.pages[str(OWNER)]
    old = world.add_post(page, "старый", at=1, pinned=True)
    rest = [world.add_post(page, str(i), at=100 + i) for i in range(3)]
    world.delete_post(rest[1])
    ask = call(Emulator(world))
    items = ask("wall.get", domain="page_seven")["items"]
    assert [p["id"] for p in items] == [old.id, rest[2].id, rest[0].id]
    assert items[0]["is_pinned"] == 1
    ids = ",".join(f"{OWNER}_{p.id}" for p in (old, *rest)) + f",{OWNER}_999,-99_1"
    assert [p["id"] for p in ask("wall.getById", posts=ids)["items"]] == [old.id, rest[0].id, rest[2].id]
    assert refusal(ask, "wall.getComments", owner_id=OWNER, post_id=rest[1].id) == 15


def test_reposts_empty_texts_closed_and_unreadable(world):
    page = world.pages[str(OWNER)]
    world.add_post(page, "своё", at=1, repost=(-9, 5, "чужое"))
    world.add_post(page, "", at=2, attachments=[Attachment("photo", id="-7_3")])
    closed = world.add_post(page, "закрыто", at=3, closed=True)
    hidden = world.add_post(page, "скрыто", at=4, unreadable=True)
    world.add_comment(hidden, "не видно", 1)
    world.add_comment(closed, "видно", 1)
    ask = call(Emulator(world))
    items = ask("wall.get", owner_id=OWNER)["items"]
    assert [(p["comments"]["can_post"], p["comments"]["can_view"]) for p in items] == [(1, 0), (0, 1), (1, 1), (1, 1)]
    assert items[2]["attachments"][0]["photo"]["id"] == 3
    assert items[3]["copy_history"][0]["text"] == "чужое"
    assert refusal(ask, "wall.getComments", owner_id=OWNER, post_id=hidden.id) == 212
    assert ask("wall.getComments", owner_id=OWNER, post_id=closed.id)["can_post"] is False
    assert refusal(ask, "wall.createComment", owner_id=OWNER, post_id=closed.id, message="x") == 213


@pytest.mark.parametrize(
    ("errors", "wall", "board"), [({"page": 15}, 15, 15), ({"topic": 15}, 0, 15), ({"post": 30}, 30, 0)]
)
def test_pages_may_refuse_all_or_one_kind(errors, wall, board):
    ask = call(Emulator(small(errors=errors)))
    for method, code, params in (
        ("wall.get", wall, {"owner_id": OWNER}),
        ("board.getTopics", board, {"group_id": -OWNER}),
    ):
        if code:
            assert refusal(ask, method, params) == code
        else:
            assert ask(method, params)["count"] == 0


def test_closed_videos_answer_801(world):
    video = world.add_post(world.pages[str(OWNER)], "Запись", kind="video", closed=True)
    assert refusal(call(Emulator(world)), "video.getComments", owner_id=OWNER, video_id=video.id) == 801


def test_authors_of_every_kind(world):
    page = world.pages[str(OWNER)]
    for number, kind in ((20, "deleted"), (21, "banned"), (22, "hidden"), (-23, "community")):
        world.add_author(number, "Имя Ф.", kind)
    post = world.add_post(page, "п")
    for number in (1, 20, 21, 22, -23, OWNER):
        world.add_comment(post, "текст", number)
    ask = call(Emulator(world))
    answer = ask("wall.getComments", owner_id=OWNER, post_id=post.id, extended=1, count=100)
    profiles = {p["id"]: p for p in answer["profiles"]}
    assert set(profiles) == {1, 20, 21}
    assert profiles[20]["deactivated"] == "deleted"
    assert profiles[21]["deactivated"] == "banned"
    assert {g["id"] for g in answer["groups"]} == {23, -OWNER}
    assert [c["from_id"] for c in answer["items"]] == [1, 20, 21, 22, -23, OWNER]
    ask = call(Emulator(world, behaviour=Behaviour(hidden_author="zero")))
    assert 0 in [c["from_id"] for c in ask("wall.getComments", owner_id=OWNER, post_id=post.id, count=9)["items"]]


def test_names_resolve(world):
    world.add_author(77, "Имя Ф.", screen_name="somebody")
    ask = call(Emulator(world))
    assert ask("utils.resolveScreenName", screen_name="Page_Seven") == {"object_id": 7, "group_id": 7, "type": "group"}
    assert ask("utils.resolveScreenName", screen_name="somebody") == {"object_id": 77, "type": "user"}
    assert refusal(ask, "utils.resolveScreenName", screen_name="nobody_here") == 104
    empty = call(Emulator(world, behaviour=Behaviour(unknown_name="empty")))
    assert empty("utils.resolveScreenName", screen_name="nobody_here") == []
    assert ask("groups.getById", group_id="page_seven")["groups"][0]["id"] == 7
    assert refusal(ask, "groups.getById", group_id="nobody_here") == 100


# --- tokens, limits, requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"access_token": ""}, 5),
        ({"access_token": "wrong"}, 5),
        ({"v": ""}, 8),
        ({"v": "4.0"}, 8),
        ({"v": "9" * 500}, 8),
        ({"owner_id": "x"}, 100),
        ({"owner_id": "1" * 400}, 100),
        ({"owner_id": "٣"}, 100),
        ({"count": "-1"}, 100),
        ({"unknown": "1"}, 100),
        ({"sort": "sideways"}, 100),
        ({"extended": "yes"}, 100),
        ({"comment_id": "999"}, 100),
        ({"post_id": ""}, 100),
        ({"owner_id": "-8"}, 15),
        ({"owner_id": "8"}, 18),
    ],
)
def test_wrong_requests(world, params, code):
    post, *_ = thread(world, 1)
    good = {"owner_id": OWNER, "post_id": post.id, "v": "5.199", "access_token": USER_TOKEN}
    emulator = Emulator(world)
    answer = emulator.face.answer("wall.getComments", {k: str(v) for k, v in (good | params).items()}, emulator.plan)
    assert answer["error"]["error_code"] == code
    assert USER_TOKEN not in str(answer)


def test_unknown_methods_answer_3(world):
    ask = call(Emulator(world))
    for name in ("wall.nothing", "", "x" * 5000, "execute.execute"):
        assert refusal(ask, name) == 3


def test_the_token_is_repeated_in_errors_only_when_told_so(world):
    emulator = Emulator(world, behaviour=Behaviour(echo_token=True))
    answer = emulator.face.answer("wall.get", {"v": "5.199", "access_token": USER_TOKEN}, emulator.plan)
    assert USER_TOKEN in str(answer["error"]["request_params"])


def test_requests_a_second_are_limited_by_token():
    now = itertools.chain([0.0, 0.1, 0.2, 0.3, 0.9, 1.05, 1.06], itertools.repeat(1.07))
    face = VkFace(small(), rates={"user": 3}, monotonic=lambda: next(now))
    plan = Emulator(small()).plan
    codes = []
    for _ in range(7):
        answer = face.answer("utils.getServerTime", {"v": "5.199", "access_token": USER_TOKEN}, plan)
        codes.append(answer.get("error", {}).get("error_code", 0))
    assert codes == [0, 0, 0, 6, 6, 0, 6]
    other = face.answer("utils.getServerTime", {"v": "5.199", "access_token": GROUP_TOKEN}, plan)
    assert "response" in other


def test_old_versions_get_the_old_shape(world):
    post, *_ = thread(world, 1)
    ask = call(Emulator(world))
    assert isinstance(ask("wall.getById", posts=f"{OWNER}_{post.id}", v="5.92"), list)
    assert isinstance(ask("groups.getById", group_id=-OWNER, v="5.92"), list)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_repeated_guid_writes_once(world):
    post, top, _ = thread(world, 1)
    ask = call(Emulator(world))
    where = {"owner_id": OWNER, "post_id": post.id, "reply_to_comment": top.id, "from_group": -OWNER}
    first = ask("wall.createComment", message="Ответ", guid="a", **where)
    assert ask("wall.createComment", message="Ответ", guid="a", **where) == first
    assert ask("wall.createComment", message="Ответ", guid="b", **where) != first
    made = post.comments[first["comment_id"]]
    assert (made.own, made.parent, first["parents_stack"]) == (True, top, [top.id])
    assert sum(c.text == "Ответ" for c in post.comments.values()) == 2


def test_writing_is_checked(world):
    post, top, _ = thread(world, 1)
    ask = call(Emulator(world))
    where = {"owner_id": OWNER, "post_id": post.id}
    assert refusal(ask, "wall.createComment", **where) == 100
    assert refusal(ask, "wall.createComment", message="x" * 16385, **where) == 100
    assert refusal(ask, "wall.createComment", message="x", reply_to_comment=999, **where) == 100
    assert refusal(ask, "wall.createComment", attachments="nonsense", **where) == 100
    assert ask("wall.createComment", attachments="photo1_2", **where)["comment_id"]
    assert refusal(ask, "wall.deleteComment", owner_id=OWNER, comment_id=999) == 211
    assert refusal(ask, "wall.restoreComment", owner_id=OWNER, comment_id=top.id) == 211


# --- the official client ----------------------------------------------------------------------------------------------


@pytest.fixture
def running():
    world = generate(11, 2, 8, 300, depth=4)
    with Emulator(world) as emulator:
        yield emulator


def busiest(emulator):
    return max(emulator.world.posts(), key=lambda p: len(p.comments))


def test_vk_api_methods(running, client):
    api = client(running).get_api()
    post = busiest(running)
    owner = int(post.page.id)
    assert api.wall.get(owner_id=owner)["count"] == 8
    assert api.wall.get_by_id(posts=[f"{owner}_{post.id}"])["items"][0]["id"] == post.id
    with pytest.raises(vk_api.exceptions.ApiError, match=r"\[100\]"):
        api.wall.get(owner_id="nonsense")


def test_vk_api_pool_of_one_method_is_a_loop(running, client):
    posts = [p for p in running.world.posts() if p.page.id == "-100001"]
    with VkRequestsPool(client(running)) as pool:
        results = [pool.method("wall.getComments", {"owner_id": -100001, "post_id": p.id, "count": 100}) for p in posts]
    assert running.calls == {"execute": 1}
    assert running.inner_calls == {"wall.getComments": len(posts)}
    for post, result in zip(posts, results, strict=True):
        assert result.result["current_level_count"] == sum(
            1 for c in post.comments.values() if c.parent is None and (not c.deleted or c.alive_below)
        )


def test_vk_api_pool_of_many_methods_with_failures(running, client):
    pool = VkRequestsPool(client(running))
    good = pool.method("utils.getServerTime")
    bad = pool.method("wall.getById", {"posts": "зю"})
    text = pool.method("utils.resolveScreenName", {"screen_name": 'кавычки " и \\ и \n 😀'})
    last = pool.method("wall.get", {"owner_id": -100001, "count": 2})
    pool.execute()
    assert good.ok
    assert last.ok
    assert bad.error["error_code"] == 100
    assert text.error["error_code"] == 104
    assert len(last.result["items"]) == 2


def test_vk_api_pool_of_more_than_25(running, client):
    with VkRequestsPool(client(running)) as pool:
        results = [pool.method("utils.getServerTime") for _ in range(60)]
    assert all(r.ok for r in results)
    assert running.calls["execute"] == 3


def test_vk_api_one_param_pool(running, client):
    names = ["-100001_1", "bad", "-100002_1"]
    found, errors = vk_request_one_param_pool(client(running), "wall.getById", "posts", names, {"extended": 1})
    assert set(found) == {"-100001_1", "-100002_1"}
    assert errors["bad"]["error_code"] == 100


@pytest.mark.parametrize("slow", [False, True])
def test_vk_api_get_all(running, client, slow):
    tools = vk_api.VkTools(client(running))
    get_all = tools.get_all_slow if slow else tools.get_all
    post = busiest(running)
    everything = {c.id for c in post.comments.values() if c.parent is None and (not c.deleted or c.alive_below)}
    found = get_all("wall.getComments", 7, {"owner_id": int(post.page.id), "post_id": post.id})
    assert [i["id"] for i in found["items"]] == sorted(everything)
    posts = get_all("wall.get", 3, {"owner_id": -100001})
    assert len(posts["items"]) == 8


def test_vk_api_get_all_reports_what_fails(running, client):
    with pytest.raises(vk_api.exceptions.VkToolsException):
        vk_api.VkTools(client(running)).get_all("wall.getComments", 7, {"owner_id": -100001, "post_id": 999})


def test_vk_api_with_tokens_of_other_kinds(running, client):
    group = client(running, GROUP_TOKEN)
    with VkRequestsPool(group) as pool:
        refused = pool.method("wall.get", {"owner_id": -100001})
        allowed = pool.method("utils.getServerTime")
    assert refused.error["error_code"] == 27
    assert allowed.ok
    with pytest.raises(vk_api.exceptions.ApiError, match=r"\[28\]"):
        client(running, SERVICE_TOKEN).method("execute", {"code": "return 1;"})
    assert client(running, SERVICE_TOKEN).method("wall.get", {"owner_id": -100001})["count"] == 8


def test_vk_api_sees_a_captcha(running, client):
    running.plan = type(running.plan).parse("wall.get:error=14")
    with pytest.raises(vk_api.exceptions.Captcha) as caught:
        client(running).method("wall.get", {"owner_id": -100001})
    assert caught.value.sid


# --- the world moves while being read ---------------------------------------------------------------------------------


def test_the_mutator_moves_items_between_calls_also_inside_execute(client):
    world = generate(4, 1, 1, 50)
    world.mutator = Shaker(3, only={"wall.getComments"})
    code = "return [" + ",".join('API.wall.getComments({"owner_id":-100001,"post_id":1})' for _ in range(20)) + "];"
    with Emulator(world) as emulator:
        answers = client(emulator).method("execute", {"code": code})
        assert client(emulator).method("wall.get", {"owner_id": -100001})["count"] == 1
    ledger = list(world.ledger())
    assert len(ledger) > 50
    assert sum(e["deleted"] or e["edited"] for e in ledger) > 0
    assert len({a["count"] for a in answers}) > 3
