"""Judges calls and answers of the YouTube face by Google's discovery document, that of the installed Google client.

Known parameters only, required ones there, values of the declared type, list and range; answers with known fields of
the declared types. Skips where the client is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from emulator.face import Answer, Call


class DiscoveryJudge:
    def __init__(self) -> None:
        client = pytest.importorskip("googleapiclient")
        path = Path(client.__file__).parent / "discovery_cache" / "documents" / "youtube.v3.json"
        if not path.is_file():
            pytest.skip("the Google client comes without its discovery documents")
        self._document = json.loads(path.read_text(encoding="utf-8"))
        self.seen: set[str] = set()

    def check(self, call: Call, answer: Answer) -> Iterator[str]:
        """Sentences about what the document forbids."""
        resource, _, name = call.method.partition(".")
        if resource == "oauth2":
            return
        method = self._document["resources"][resource]["methods"][name]
        self.seen.add(resource)
        yield from self._request(call, method)
        if answer.status == 200:
            yield from self._value(answer.body, method["response"]["$ref"], f"{call.method} answer")

    def _request(self, call: Call, method: Mapping[str, Any]) -> Iterator[str]:
        if call.verb != method["httpMethod"]:
            yield f"{call.method}: {call.verb} instead of {method['httpMethod']}"
        known = method.get("parameters", {}) | self._document["parameters"]
        for name, value in call.params.items():
            rule = known.get(name)
            if rule is None:
                yield f"{call.method}: unknown parameter {name}"
                continue
            for one in value.split(",") if rule.get("repeated") else [value]:
                if rule["type"] == "integer" and not (
                    one.isdecimal() and int(rule.get("minimum", 0)) <= int(one) <= int(rule.get("maximum", 2**32))
                ):
                    yield f"{call.method}: {name}={one} is out of range"
                if rule["type"] == "boolean" and one not in ("true", "false"):
                    yield f"{call.method}: {name}={one} is no boolean"
                if "enum" in rule and one not in rule["enum"]:
                    yield f"{call.method}: {name}={one} is not in the list"
        for name, rule in method.get("parameters", {}).items():
            if rule.get("required") and name not in call.params:
                yield f"{call.method}: {name} is missing"
        if call.body and "request" in method:
            yield from self._value(json.loads(call.body), method["request"]["$ref"], f"{call.method} body")

    def _value(self, value: Any, schema: str, where: str) -> Iterator[str]:
        properties = self._document["schemas"][schema].get("properties", {})
        if not isinstance(value, dict):
            yield f"{where}: no {schema}"
            return
        for name, one in value.items():
            rule = properties.get(name)
            if rule is None:
                yield f"{where}: {schema} has no {name}"
                continue
            if "$ref" in rule:
                yield from self._value(one, rule["$ref"], f"{where}.{name}")
            elif rule["type"] == "array":
                for item in one if isinstance(one, list) else [None]:
                    if "$ref" in rule["items"]:
                        yield from self._value(item, rule["items"]["$ref"], f"{where}.{name}")
            elif not self._fits(one, rule):
                yield f"{where}.{name}: {one!r} is no {rule['type']} {rule.get('format', '')}"

    def _fits(self, value: Any, rule: Mapping[str, Any]) -> bool:
        if rule.get("enum") and value not in rule["enum"]:
            return False
        kind, shape = rule["type"], rule.get("format")
        if kind == "boolean":
            return isinstance(value, bool)
        if kind == "integer":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if kind == "string" and shape in ("uint64", "int64"):
            return isinstance(value, str) and value.lstrip("-").isdecimal()
        if kind == "string" and shape == "date-time":
            return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
        return kind != "string" or isinstance(value, str)
