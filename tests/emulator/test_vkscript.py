from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.vkscript import CompileError, RuntimeFault, run


def api(name, params):
    return {"method": name, **params}


def value(code, **args):
    return run(code, api, args)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("return 1;", 1),
        ("return 1", 1),
        ("", None),
        ("var a = 1;", None),
        ("return;", None),
        ("return", None),
        ("return 2 + 3 * 4;", 14),
        ("return (2 + 3) * 4;", 20),
        ("return 7 / 2;", 3.5),
        ("return 8 / 2;", 4),
        ("return -7 % 3;", -1),
        ("return 1.5 + 1;", 2.5),
        ("return 10 - 2 - 3;", 5),
        ("return -2 + 1;", -1),
        ('return "a" + 1;', "a1"),
        ('return "кавычка \\" и \\u0416 \\ud83d\\ude00";', 'кавычка " и Ж 😀'),
        ("return 'в одинарных \\' и \"';", "в одинарных ' и \""),
        ("return [1, 2] + [3];", [1, 2, 3]),
        ("return [1,2,3].slice(1);", [2, 3]),
        ("return [1,2,3].slice(0, 2);", [1, 2]),
        ("return [1,2,3].slice(-1);", [3]),
        ("return [1,2,3].length;", 3),
        ("return [].slice(5);", []),
        ("var a = []; a.push(1); a.push(2, 3); return a;", [1, 2, 3]),
        ("var a = [1,2,3]; var b = a.pop(); return [a, b, a.shift()];", [[2], 3, 1]),
        ("var a = [1,2,3,4]; var b = a.splice(1, 2); return [a, b];", [[1, 4], [2, 3]]),
        ("var a = [2]; a.unshift(1); return a;", [1, 2]),
        ("return [1,2].indexOf(2);", 1),
        ('return ["a","b"].join("-");', "a-b"),
        ('return "a,b".split(",");', ["a", "b"]),
        ('return "привет".substr(1, 3);', "рив"),
        ("return {a: 1, 'b': 2, \"c\": {d: 3}}.c.d;", 3),
        ("return {a: 1}.b;", None),
        ("return null.a.b;", None),
        ("return false.count;", None),
        ("return [1][5];", None),
        ("var o = {}; o.x = 1; o['y'] = 2; return o;", {"x": 1, "y": 2}),
        ("var i = 0, s = 0; while (i < 5) { s = s + i; i = i + 1; } return s;", 10),
        ("var i = 0; while (true) { i = i + 1; if (i == 3) { continue; } if (i > 5) break; } return i;", 6),
        ("if (1) { return 'y'; } else { return 'n'; }", "y"),
        ("if (0) return 'y'; else return 'n';", "n"),
        ("var a = 5; a += 2; return a;", 7),
        ("return 1 == 1 && 2 != 3 || false;", True),
        ("return !0;", True),
        ("return !null;", True),
        ("return [] ? 1 : 2;", 1),
        ('return "" ? 1 : 2;', 2),
        ("return 0 || 5;", 5),
        ("return null == false;", False),
        ("return undefined == null;", True),
        ("return 3 >= 3;", True),
        ('return "b" > "a";', True),
        ("return parseInt('12');", 12),
        ("return parseInt('9.9e999');", 0),
        ("return [1].slice(1e40);", []),
        ('return "\\ud800";', "\ufffd"),
        ("return parseDouble('1.5');", 1.5),
        ("return Args.name;", "x"),
        ("return [{id: 1}, {id: 2}]@.id;", [1, 2]),
        ("return [{id: 1}, {id: 2}]@.id + [3];", [1, 2, 3]),
        ("/* слово */ return 1; // конец", 1),
        ("return API.users.get({user_ids: 1, fields: ['a', 'b'], on: true, off: false, none: null});",
         {"method": "users.get", "user_ids": "1", "fields": "a,b", "on": "1", "off": "0", "none": ""}),
        ("return API.execute({});", {"method": "execute"}),
        ("return API.wall.get().method;", "wall.get"),
        ("return [API.a.b({x:1}), API.c.d({})]@.method;", ["a.b", "c.d"]),
        ("var p = {n: 1}; var r = []; r.push(API.a.b(p)); p.n = 2; r.push(API.a.b(p)); return r@.n;", ["1", "2"]),
    ],
)  # fmt: skip
def test_values(code, expected):
    assert value(code, name="x") == expected


@pytest.mark.parametrize(
    "code",
    [
        "return 1 +;",
        "var = 1;",
        "while (1) {",
        "return [1, 2;",
        "return {a 1};",
        "return 'нет конца",
        "1 = 2;",
        "return (1;",
        "if return 1;",
        "return §;",
        "function f() {}",
        "return " + "(" * 5000 + "1" + ")" * 5000 + ";",
        "return " + "[" * 5000,
        "return " + "!" * 5000 + "1;",
        "return " + "1+" * 5000 + "1;",
        "return a" + ".b" * 5000 + ";",
        "{" * 5000,
        "if(1)" * 5000 + "return 1;",
        "return " + "1?" * 3000 + "1;",
        "return " + "9" * 5000 + ";",
        'return "\\u12";',
        "return 1e999;",
        "return 0x" + "f" * 5000 + ";",
        " " * 300_000,
    ],
)
def test_what_is_not_vkscript_does_not_compile(code):
    with pytest.raises(CompileError):
        value(code)


@pytest.mark.parametrize(
    "code",
    [
        "while (true) {}",
        "while (true) { var a = 1; }",
        "var a = [1]; while (true) { a = a + a; }",
        "var a = 'x'; while (true) { a = a + a; }",
        "var a = []; while (true) { a.push('xxxxxxxxxx'); }",
        "var a = 2; while (true) { a = a * a; }",
        "return 1 / 0;",
        "return 1 % 0;",
        "nothing();",
        "return 5.slice(1);",
        "var a = 1; a.b = 2;",
        "var a = [1]; a[100] = 2;",
        "return API.a.b.c.d({});",
        "var i = 0; while (i < 26) { API.a.b({}); i = i + 1; }",
        "break;",
        "return [1]();",
        "var a = {}; a.b = a; API.x.y({p: a});",
        "var a = []; a.push(a); API.x.y({p: a});",
        "var a = []; a.push(a); return a + 'x';",
        "return 1.5 / 0.0;",
    ],
)
def test_what_can_not_go_on_is_stopped(code):
    with pytest.raises(RuntimeFault):
        value(code)


def test_25_calls_are_allowed():
    assert value("var i = 0; while (i < 25) { API.a.b({}); i = i + 1; } return i;") == 25


_WORDS = (
    *("var", "a", "b", "x", "=", ";", ",", "(", ")", "[", "]", "{", "}", ":", "?", ".", "@.", "+", "-", "*", "/", "%"),
    *(
        "<",
        ">",
        "<=",
        "==",
        "!=",
        "&&",
        "||",
        "!",
        "1",
        "0",
        "2.5",
        "1e300",
        "1e40",
        "99999",
        '"x"',
        '"9.9e999"',
        "'й'",
    ),
    *(
        "null",
        "true",
        "false",
        "while",
        "if",
        "else",
        "return",
        "break",
        "continue",
        "API",
        "Args",
        ".length",
        ".slice(",
    ),
    *(
        ".push(",
        ".splice(",
        ".substr(",
        ".split(",
        ".indexOf(",
        ".join(",
        ".pop(",
        "parseInt(",
        "parseDouble(",
        "[1,2]",
    ),
    *("{a:1}", "a=[a,a];", "a.push(a);", "API.x.y(", '"\\ud800"'),
)
_PROGRAMS = st.text(alphabet="var ifwhile(){}[];,.=+-*/!?:<>&|@'\"\\0123456789abAPI\n", max_size=60) | st.lists(
    st.sampled_from(_WORDS), max_size=25
).map(" ".join)


@settings(max_examples=500, deadline=None)
@given(_PROGRAMS)
def test_nothing_else_ever_comes_out(code):
    with contextlib.suppress(CompileError, RuntimeFault):
        value(code)


_LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
_JSON = st.recursive(
    _LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4), max_leaves=20
)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_json_is_a_literal(data):
    for ascii_only in (True, False):
        assert value(f"return {json.dumps(data, ensure_ascii=ascii_only)};") == data
