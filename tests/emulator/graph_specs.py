"""Meta's own specs of the Graph API, where they are at hand (OTKLIK_SHARED): names of fields and arguments of edges."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Spec:
    """`fields` of an object; `edges`: name -> arguments of reading it; `writes`: of writing to it ("": the object)."""

    fields: set[str]
    edges: dict[str, set[str]]
    writes: dict[str, set[str]]


def meta_spec(name: str) -> Spec:
    """The spec of one kind of object; skips the test when the specs are not at hand."""
    shared = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "specs" / "facebook" / f"{name}.json"
    if not path.is_file():
        pytest.skip("Meta's specs are not at hand (OTKLIK_SHARED)")
    data = json.loads(path.read_text(encoding="utf-8"))
    by_verb: dict[str, dict[str, set[str]]] = {"GET": {}, "POST": {}, "DELETE": {}}
    for api in data["apis"]:
        by_verb[api["method"]][api.get("endpoint") or ""] = {p["name"] for p in api.get("params", ())}
    return Spec({f["name"] for f in data["fields"]}, by_verb["GET"], by_verb["POST"])
