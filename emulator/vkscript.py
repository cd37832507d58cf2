"""VKScript, the little language of VK's `execute`: tokens -> tree -> value. Only what clients write is understood.

Statements: `var`, assignment, `if/else`, `while`, `break`, `continue`, `return`, blocks. Expressions: literals, arrays,
objects, members, indexes, `@.` projections, calls of `API.section.method({...})`, `Args`, a few methods of arrays and
texts, `parseInt`, arithmetic, comparisons, `&& || ! ?:`. Everything is bounded: source, nesting, steps, API calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_SOURCE = 256 * 1024
MAX_DEPTH = 60
MAX_STEPS = 200_000
MAX_SIZE = 1_000_000  # elements or characters of one value
MAX_NUMBER = 1e300
MAX_CALLS = 25


class CompileError(Exception):
    """The source is not VKScript."""


class RuntimeFault(Exception):
    """The program can't go on."""


Call = Callable[[str, dict[str, Any]], Any]
"""`call("wall.get", params)` -> the value of `response`, or False when the call failed."""

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|//[^\n]*|/\*.*?\*/)+)
      | (?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+)
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<op>@\.|===|!==|==|!=|<=|>=|&&|\|\||<<|>>|\+=|-=|\*=|/=|\+\+|--|[-+*/%<>=!?:;,.(){}\[\]&|^~])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset({"var", "if", "else", "while", "return", "break", "continue", "true", "false", "null", "undefined"})
_LEVELS = (("||",), ("&&",), ("==", "!=", "===", "!=="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))


def _text(raw: str) -> str:
    # Half a surrogate pair is not a character: it could not be sent back.
    return _unescaped(raw).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(raw: str) -> str:
    if raw[0] == '"':
        try:
            return json.loads(raw, strict=False)
        except ValueError:
            pass
    body = raw[1:-1].replace('\\"', '"').replace("\\'", "'").replace('"', '\\"')
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:
        raise CompileError("bad escape in a string") from None


def _tokens(source: str) -> list[tuple[str, Any, int]]:
    if len(source) > MAX_SOURCE:
        raise CompileError("code is too long")
    found, at = [], 0
    while at < len(source):
        m = _TOKEN.match(source, at)
        if not m:
            raise CompileError(f"unexpected character at {at}")
        kind, raw = str(m.lastgroup), m.group()
        if kind == "number":
            if len(raw) > 40:
                raise CompileError(f"number is too long at {at}")
            value: Any = int(raw, 16) if raw[:2] in ("0x", "0X") else int(raw) if raw.isdigit() else float(raw)
            if abs(value) > MAX_NUMBER:
                raise CompileError(f"number is too big at {at}")
            value = _bounded(value)
            found.append(("literal", value, at))
        elif kind == "text":
            found.append(("literal", _text(raw), at))
        elif kind == "name":
            found.append(("word" if raw in _WORDS else "name", raw, at))
        elif kind == "op":
            found.append(("op", raw, at))
        at = m.end()
    found.append(("end", "", len(source)))
    return found


class _Parser:
    """Recursive descent; a node is a tuple whose first item names it."""

    def __init__(self, source: str) -> None:
        self.tokens = _tokens(source)
        self.at = 0
        self.depth = 0

    def peek(self, *values: str) -> bool:
        kind, value, _ = self.tokens[self.at]
        return kind in ("op", "word") and value in values

    def take(self, *values: str) -> bool:
        if self.peek(*values):
            self.at += 1
            return True
        return False

    def need(self, value: str) -> None:
        if not self.take(value):
            self.fail(f"'{value}' expected")

    def fail(self, why: str) -> None:
        _, value, at = self.tokens[self.at]
        raise CompileError(f"{why}, got '{str(value)[:20]}' at {at}")

    def name(self, words: bool = False) -> str:
        kind, value, _ = self.tokens[self.at]
        if kind != "name" and not (words and kind == "word"):
            self.fail("name expected")
        self.at += 1
        return value

    def nested(self, what: Callable[[], Any]) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CompileError("code is nested too deep")
        try:
            return what()
        finally:
            self.depth -= 1

    def program(self) -> list[tuple]:
        body = []
        while self.tokens[self.at][0] != "end":
            body.append(self.nested(self.statement))
        return body

    def statement(self) -> tuple:
        if self.take(";"):
            return ("block", [])
        if self.take("{"):
            body = []
            while not self.take("}"):
                if self.tokens[self.at][0] == "end":
                    self.fail("'}' expected")
                body.append(self.nested(self.statement))
            return ("block", body)
        if self.take("var"):
            made = []
            while True:
                name = self.name()
                made.append(("set", ("get", name), self.expression() if self.take("=") else ("value", None)))
                if not self.take(","):
                    break
            self.end()
            return ("block", made)
        if self.take("if"):
            test = self.condition()
            yes = self.nested(self.statement)
            return ("if", test, yes, self.nested(self.statement) if self.take("else") else None)
        if self.take("while"):
            return ("while", self.condition(), self.nested(self.statement))
        if self.take("return"):
            value = ("value", None) if self.peek(";", "}") or self.tokens[self.at][0] == "end" else self.expression()
            self.end()
            return ("return", value)
        for word in ("break", "continue"):
            if self.take(word):
                self.end()
                return (word,)
        target = self.expression()
        if self.peek("=", "+=", "-=", "*=", "/="):
            if target[0] not in ("get", "member", "index"):
                self.fail("can't assign to this")
            op = self.tokens[self.at][1]
            self.at += 1
            value = self.expression()
            self.end()
            return ("set", target, value if op == "=" else ("binary", op[0], target, value))
        self.end()
        return ("do", target)

    def condition(self) -> tuple:
        self.need("(")
        test = self.expression()
        self.need(")")
        return test

    def end(self) -> None:
        if not self.take(";") and not self.peek("}") and self.tokens[self.at][0] != "end":
            self.fail("';' expected")

    def expression(self) -> tuple:
        return self.nested(self.choice)

    def choice(self) -> tuple:
        test = self.binary(0)
        if self.take("?"):
            yes = self.expression()
            self.need(":")
            return ("choice", test, yes, self.expression())
        return test

    def binary(self, level: int) -> tuple:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek(*_LEVELS[level]):
            op = self.tokens[self.at][1]
            self.at += 1
            left = self.chain(("binary", op, left, self.binary(level + 1)))
        return left

    def chain(self, node: tuple) -> tuple:
        # A long row of operators nests to the left: bound it, for the evaluator walks it by recursion.
        depth, one = 0, node
        while one[0] == "binary":
            depth, one = depth + 1, one[2]
        if depth > MAX_DEPTH * 4:
            raise CompileError("expression is too long")
        return node

    def unary(self) -> tuple:
        for op in ("!", "-", "+"):
            if self.take(op):
                return ("unary", op, self.nested(self.unary))
        return self.postfix()

    def postfix(self) -> tuple:
        node, links = self.primary(), 0
        while True:
            links += 1
            if links > MAX_DEPTH:
                raise CompileError("expression is too long")
            if self.take("."):
                node = ("member", node, self.name(words=True))
            elif self.take("@."):
                node = ("project", node, self.name(words=True))
            elif self.take("["):
                node = ("index", node, self.expression())
                self.need("]")
            elif self.take("("):
                node = ("call", node, self.items(")"))
            else:
                return node

    def items(self, close: str) -> list[tuple]:
        found: list[tuple] = []
        while not self.take(close):
            found.append(self.expression())
            if not self.take(","):
                self.need(close)
                break
        return found

    def primary(self) -> tuple:
        kind, value, _ = self.tokens[self.at]
        if kind == "literal":
            self.at += 1
            return ("value", value)
        if kind == "name":
            self.at += 1
            return ("get", value)
        for word, constant in (("true", True), ("false", False), ("null", None), ("undefined", None)):
            if self.take(word):
                return ("value", constant)
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        if self.take("["):
            return ("array", self.items("]"))
        if self.take("{"):
            pairs: list[tuple[str, tuple]] = []
            while not self.take("}"):
                kind, key, _ = self.tokens[self.at]
                if kind not in ("literal", "name", "word"):
                    self.fail("key expected")
                self.at += 1
                self.need(":")
                pairs.append((_show(key), self.expression()))
                if not self.take(","):
                    self.need("}")
                    break
            return ("object", pairs)
        self.fail("expression expected")
        raise AssertionError


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Run:
    def __init__(self, call: Call, args: dict[str, Any], max_calls: int) -> None:
        self.call = call
        self.vars: dict[str, Any] = {"Args": args}
        self.steps = 0
        self.calls = 0
        self.max_calls = max_calls

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RuntimeFault("too many operations")

    def weigh(self, value: Any) -> Any:
        """Making a big value costs steps, so that memory is bounded as well."""
        if isinstance(value, list | str):
            if len(value) > MAX_SIZE:
                raise RuntimeFault("value is too big")
            self.steps += len(value) // 100
        return value

    # -- statements ----------------------------------------------------------------------------------------------------

    def block(self, body: list[tuple]) -> None:
        for node in body:
            self.run(node)

    def run(self, node: tuple) -> None:
        self.step()
        kind = node[0]
        if kind == "block":
            self.block(node[1])
        elif kind == "do":
            self.eval(node[1])
        elif kind == "set":
            self.assign(node[1], self.eval(node[2]))
        elif kind == "return":
            raise _Return(self.eval(node[1]))
        elif kind == "if":
            if _true(self.eval(node[1])):
                self.run(node[2])
            elif node[3] is not None:
                self.run(node[3])
        elif kind == "while":
            while _true(self.eval(node[1])):
                self.step()
                try:
                    self.run(node[2])
                except _Continue:
                    continue
                except _Break:
                    break
        else:
            raise _Break if kind == "break" else _Continue

    def assign(self, target: tuple, value: Any) -> None:
        if target[0] == "get":
            self.vars[target[1]] = value
            return
        owner = self.eval(target[1])
        key = target[2] if target[0] == "member" else self.eval(target[2])
        if isinstance(owner, dict):
            owner[_show(key)] = value
        elif isinstance(owner, list) and isinstance(key, int) and 0 <= key <= len(owner):
            owner[key : key + 1] = [value]
        else:
            raise RuntimeFault("can't assign to a member of this value")

    # -- expressions ---------------------------------------------------------------------------------------------------

    def eval(self, node: tuple) -> Any:
        self.step()
        kind = node[0]
        if kind == "value":
            return node[1]
        if kind == "get":
            return self.vars.get(node[1])
        if kind == "array":
            return [self.eval(x) for x in node[1]]
        if kind == "object":
            return {key: self.eval(x) for key, x in node[1]}
        if kind == "member":
            return _member(self.eval(node[1]), node[2])
        if kind == "index":
            return _member(self.eval(node[1]), self.eval(node[2]))
        if kind == "project":
            row = self.eval(node[1])
            return [_member(x, node[2]) for x in row] if isinstance(row, list) else None
        if kind == "choice":
            return self.eval(node[2] if _true(self.eval(node[1])) else node[3])
        if kind == "unary":
            value = self.eval(node[2])
            return not _true(value) if node[1] == "!" else (-_number(value) if node[1] == "-" else _number(value))
        if kind == "binary":
            return self.binary(node)
        return self.invoke(node[1], node[2])

    def binary(self, node: tuple) -> Any:
        _, op, left_node, right_node = node
        left = self.eval(left_node)
        if op == "&&":
            return self.eval(right_node) if _true(left) else left
        if op == "||":
            return left if _true(left) else self.eval(right_node)
        return self.weigh(_operate(op, left, self.eval(right_node)))

    def invoke(self, target: tuple, arguments: list[tuple]) -> Any:
        path = _path(target)
        if path and path[0] == "API":
            if len(path) not in (2, 3):
                raise RuntimeFault("no such method")
            params = self.eval(arguments[0]) if arguments else {}
            if not isinstance(params, dict):
                params = {}
            self.calls += 1
            if self.calls > self.max_calls:
                raise RuntimeFault("too many api calls")
            return self.call(".".join(path[1:]), {k: _argument(v) for k, v in params.items()})
        values = [self.eval(x) for x in arguments]
        if target[0] == "get":
            return _function(target[1], values)
        if target[0] == "member":
            return self.weigh(_method(self.eval(target[1]), target[2], values))
        raise RuntimeFault("not a function")


def _path(node: tuple) -> list[str]:
    names: list[str] = []
    while node[0] == "member":
        names.append(node[2])
        node = node[1]
    return [node[1], *reversed(names)] if node[0] == "get" else []


def _true(value: Any) -> bool:
    # As in ECMAScript: empty arrays and objects are true.
    return value if isinstance(value, bool) else value is not None and value != 0 and value != ""


def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            number = float(value) if "." in value else int(value[:40])
        except ValueError:
            return 0
        return _bounded(number) if abs(number) <= MAX_NUMBER else 0
    return 0


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list):
        return ",".join(_show(x) for x in value)
    return "[object Object]" if isinstance(value, dict) else str(value)


def _argument(value: Any) -> str:
    """A parameter of a nested call as it would stand in a form: true is 1, a list is joined by commas."""
    if isinstance(value, bool):
        return "1" if value else "0"
    try:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _show(value)
    except (ValueError, RecursionError):
        raise RuntimeFault("value refers to itself") from None


def _operate(op: str, left: Any, right: Any) -> Any:
    if op == "+":
        if isinstance(left, list) and isinstance(right, list):
            result: Any = left + right
        elif isinstance(left, str) or isinstance(right, str):
            result = _show(left) + _show(right)
        elif isinstance(left, dict) and isinstance(right, dict):
            return {**left, **right}
        else:
            return _bounded(_number(left) + _number(right))
        if len(result) > MAX_SIZE:
            raise RuntimeFault("value is too big")
        return result
    if op in ("==", "===", "!=", "!=="):
        same = _same(left, right)
        return same if op[0] == "=" else not same
    if op in ("<", ">", "<=", ">="):
        a, b = (left, right) if isinstance(left, str) and isinstance(right, str) else (_number(left), _number(right))
        return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op]
    a, b = _number(left), _number(right)
    if op == "-":
        return _bounded(a - b)
    if op == "*":
        return _bounded(a * b)
    if b == 0:
        raise RuntimeFault("division by zero")
    if op == "%":
        return int(a) - int(b) * int(a / b) if int(b) else 0
    value = _bounded(a / b)
    return int(value) if value.is_integer() else value


def _bounded(value: int | float) -> int | float:
    if not abs(value) <= MAX_NUMBER:
        raise RuntimeFault("number is too big")
    return value if isinstance(value, float) or abs(value) < 2**63 else float(value)


def _same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if type(left) is type(right) or (isinstance(left, int | float) and isinstance(right, int | float)):
        return left == right
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return False
    return _number(left) == _number(right)


def _member(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(_show(key))
    if isinstance(value, list | str):
        if key == "length":
            return len(value)
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value):
            return value[key]
    return None


def _function(name: str, values: list[Any]) -> Any:
    one = values[0] if values else None
    if name == "parseInt":
        return int(_number(one))
    if name == "parseDouble":
        return float(_number(one))
    raise RuntimeFault(f"unknown function {name[:40]}")


def _cut(values: list[Any], size: int) -> tuple[int, int]:
    ends = [int(_number(v)) for v in values[:2]] or [0]
    if len(ends) == 1:
        ends.append(size)
    start, stop = (max(0, size + e) if e < 0 else min(e, size) for e in ends)
    return start, stop


def _method(owner: Any, name: str, values: list[Any]) -> Any:
    if isinstance(owner, list | str) and name == "slice":
        start, stop = _cut(values, len(owner))
        return owner[start:stop]
    if isinstance(owner, list):
        if name == "push":
            owner.extend(values)
            if len(owner) > MAX_SIZE:
                raise RuntimeFault("value is too big")
            return len(owner)
        if name == "unshift":
            owner[:0] = values
            return len(owner)
        if name in ("pop", "shift"):
            return owner.pop(-1 if name == "pop" else 0) if owner else None
        if name == "splice":
            start, _ = _cut(values[:1], len(owner))
            count = int(_number(values[1])) if len(values) > 1 else len(owner)
            gone = owner[start : start + max(0, count)]
            owner[start : start + max(0, count)] = values[2:]
            return gone
        if name == "indexOf":
            return next((i for i, x in enumerate(owner) if values and _same(x, values[0])), -1)
        if name == "join":
            return (_show(values[0]) if values else ",").join(_show(x) for x in owner)
    if isinstance(owner, str):
        if name == "split":
            mark = _show(values[0]) if values else ""
            return owner.split(mark) if mark else list(owner)
        if name == "indexOf":
            return owner.find(_show(values[0])) if values else -1
        if name == "substr":
            start, _ = _cut(values[:1], len(owner))
            return owner[start : start + max(0, int(_number(values[1])))] if len(values) > 1 else owner[start:]
    raise RuntimeFault(f"no method {name[:40]} here")


def run(source: str, call: Call, args: dict[str, Any] | None = None, max_calls: int = MAX_CALLS) -> Any:
    """The value that the program returns (null without `return`). Raises CompileError or RuntimeFault."""
    try:
        program = _Parser(source).program()
    except RecursionError:
        raise CompileError("code is nested too deep") from None
    try:
        _Run(call, dict(args or {}), max_calls).block(program)
    except _Return as done:
        return done.value
    except (_Break, _Continue):
        raise RuntimeFault("break outside a loop") from None
    except RecursionError:
        raise RuntimeFault("value is nested too deep") from None
    return None
