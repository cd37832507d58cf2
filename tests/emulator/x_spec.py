"""The official OpenAPI of X, where it is at hand (OTKLIK_SHARED), as a judge of requests and answers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource


class XJudge:
    """`check(path, params, status, body)` -> what is wrong with a call and its answer."""

    def __init__(self) -> None:
        shared = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[3] / "shared"))
        path = shared / "specs" / "x" / "openapi-trimmed.json"
        if not path.is_file():
            pytest.skip("the OpenAPI of X is not at hand (OTKLIK_SHARED)")
        self.spec = json.loads(path.read_text(encoding="utf-8"))
        self._registry = Registry().with_resource("", Resource.from_contents(self.spec, default_specification=_DIALECT))

    def check(self, path: str, params: Mapping[str, str], status: int, body: Any) -> list[str]:
        found = next((t for t in self.spec["paths"] if "get" in self.spec["paths"][t] and _fits(t, path)), None)
        if found is None:
            return [f"{path}: no such path"]
        get = self.spec["paths"][found]["get"]
        known = {p["name"]: p for p in map(self._resolve, get["parameters"])}
        problems = [f"{path}: unknown parameter {n}" for n in params if n not in known]
        for name, raw in params.items():
            if name in known:
                schema = known[name]["schema"]
                value: Any = raw.split(",") if schema.get("type") == "array" else raw
                value = int(raw) if schema.get("type") == "integer" else value
                problems += [f"{path}: {name}={raw}: {e.message}" for e in self._errors(schema, value)]
        needed = {n for n, p in known.items() if p["required"] and p["in"] == "query"}
        problems += [f"{path}: {n} is missing" for n in needed - params.keys()]
        answers = get["responses"]["200" if status == 200 else "default"]["content"]
        schema = answers["application/json" if status == 200 else "application/problem+json"]["schema"]
        problems += [f"{path}: {'/'.join(map(str, e.path))}: {e.message[:200]}" for e in self._errors(schema, body)]
        for post in body.get("data") or () if isinstance(body.get("data"), list) else ():
            extra = set(post) - set(self.spec["components"]["schemas"]["Post"]["properties"])
            problems += [f"{path}: unknown field {n}" for n in extra]
        return problems

    def _resolve(self, one: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.spec["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one

    def _errors(self, schema: Mapping[str, Any], value: Any) -> Any:
        return Draft202012Validator(schema, registry=self._registry).iter_errors(value)


def _fits(template: str, path: str) -> bool:
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, f"/2/{path}") is not None and ("{" in template or template == f"/2/{path}")


def _dialect() -> Any:
    from referencing.jsonschema import DRAFT202012

    return DRAFT202012


_DIALECT = _dialect()
