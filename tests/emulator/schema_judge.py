"""The official VK schema as a judge of requests and answers.

VK writes JSON Schema in a dialect: `required: true` at the property, references across files, references into sections
that are not always at hand (then anything goes). It is translated to plain JSON Schema and judged by jsonschema; on
top, a field that the schema does not name is a fault, for that is how a misspelt one shows.

    judge = SchemaJudge(shared_dir)          # the folder with specs/vk
    problems = judge.check("wall.get", {"owner_id": "-1"}, "user", answer)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

COMMON = {"v", "access_token", "lang", "https", "test_mode", "captcha_sid", "captcha_key", "success_token"}
UNDOCUMENTED = {("wall.get", "owner_id"), ("execute", "code")}
"""Parameters that every VK client sends and this copy of the schema forgot."""
UNDOCUMENTED_FIELDS = ("/sticker",)
"""Fields of answers likewise: the list of an attachment's types names stickers, the attachment itself does not."""
_KEEP = {"type", "enum", "const", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "pattern"}
_ERROR_EXTRAS = {"captcha_sid", "captcha_img", "redirect_uri", "captcha_ts", "captcha_attempt"}


class SchemaJudge:
    def __init__(self, shared: Path) -> None:
        self.folder = Path(shared) / "specs" / "vk"
        self.methods: dict[str, dict[str, Any]] = {}
        self.sections: set[str] = set()
        self._defs: dict[str, dict[str, Any]] = {}
        self._validators: dict[str, Draft202012Validator] = {}
        for path in sorted(self.folder.glob("*/*.json")):
            data = json.loads(path.read_text(encoding="utf-8"))
            for method in data.get("methods", ()):
                self.methods[method["name"]] = method
                self.sections.add(method["name"].partition(".")[0])
            for name, schema in data.get("definitions", {}).items():
                self._defs[f"{path.parent.name}/{path.name}/{name}"] = self._translate(schema)
        # References to what is not in the copy mean "anything".
        for name in list(self._references(self._defs)):
            self._defs.setdefault(name, {})

    def check(self, method: str, params: Mapping[str, str], token_kind: str, answer: Mapping[str, Any]) -> list[str]:
        """What is wrong with a call and its answer; empty when nothing is."""
        return [*self.check_request(method, params, token_kind), *self.check_answer(method, params, answer)]

    # -- requests ------------------------------------------------------------------------------------------------------

    def check_request(self, method: str, params: Mapping[str, str], token_kind: str) -> list[str]:
        known = self.methods.get(method)
        if known is None:
            section = method.partition(".")[0]
            return [f"{method}: no such method"] if section in self.sections else []
        problems = []
        if token_kind not in known["access_token_type"]:
            problems.append(f"{method}: not for {token_kind} tokens")
        specs = {p["name"]: p for p in known.get("parameters", ())}
        for name, raw in params.items():
            if name in COMMON or (method, name) in UNDOCUMENTED:
                continue
            if name not in specs:
                problems.append(f"{method}: unknown parameter {name}")
                continue
            value = self._parameter(specs[name], str(raw))
            schema = self._bundle(self._translate(specs[name]))
            problems += [
                f"{method}: {name}={raw!r}: {e.message}" for e in Draft202012Validator(schema).iter_errors(value)
            ]
        problems += [
            f"{method}: {name} is required"
            for name, p in specs.items()
            if p.get("required") is True and name not in params
        ]
        if str(params.get("v")) != "5.199":
            problems.append(f"{method}: v={params.get('v')}")
        return problems

    def _parameter(self, spec: Mapping[str, Any], raw: str) -> Any:
        """A form's text as the type the schema wants, when it can be read so."""
        types = spec.get("type")
        types = types if isinstance(types, list) else [types]
        if "array" in types:
            items = dict(spec.get("items") or {})
            items.pop("properties", None)  # value_object: a text with parts
            return [self._parameter(items, x.strip()) for x in raw.split(",") if x.strip()]
        if "boolean" in types:
            return {"0": False, "1": True, "true": True, "false": False}.get(raw, raw)
        if "integer" in types:
            try:
                return int(raw)
            except ValueError:
                return raw
        return raw

    # -- answers -------------------------------------------------------------------------------------------------------

    def check_answer(self, method: str, params: Mapping[str, str], answer: Mapping[str, Any]) -> list[str]:
        if "error" in answer:
            error = {k: v for k, v in answer["error"].items() if k not in _ERROR_EXTRAS}
            # `inner_type` is a tag of the schema's own type system; errors on the wire do not carry it.
            error.setdefault("inner_type", "base_error")
            return self._against("base/objects.json/base_error", error, f"{method}: error")
        known = self.methods.get(method)
        if known is None or method == "execute":
            return []
        responses = known["responses"]
        extended = str(params.get("extended", "0")) in ("1", "true")
        name = "extendedResponse" if extended and "extendedResponse" in responses else "response"
        return self._against(self._target(responses[name]["$ref"]), dict(answer), method)

    def _against(self, name: str, value: Any, where: str) -> list[str]:
        if name not in self._validators:
            self._validators[name] = Draft202012Validator(self._bundle({"$ref": f"#/$defs/{_escape(name)}"}))
        problems = [
            f"{where}: {'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
            for e in self._validators[name].iter_errors(value)
        ]
        return problems + [f"{where}: {p}" for p in self._unknown(self._defs[name], value, "")]

    def _unknown(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
        """Fields that the schema does not name."""
        if isinstance(value, list):
            parts = list(self._parts(schema))
            items = [p["items"] for p in parts if "items" in p]
            for i, one in enumerate(value):
                for item in items:
                    yield from self._unknown(item, one, f"{at}/{i}")
        elif isinstance(value, dict):
            fields: dict[str, Any] = {}
            for part in self._parts(schema):
                fields |= part.get("properties", {})
            for key, one in value.items():
                if key in fields:
                    yield from self._unknown(fields[key], one, f"{at}/{key}")
                elif fields and not f"{at}/{key}".endswith(UNDOCUMENTED_FIELDS):
                    yield f"{at}/{key}: unknown field"

    def _parts(self, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
        if depth > 20:
            return
        yield schema
        if "$ref" in schema:
            yield from self._parts(self._defs.get(_unescape(schema["$ref"]), {}), depth + 1)
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                yield from self._parts(part, depth + 1)

    # -- the dialect ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _target(ref: str) -> str:
        path, _, pointer = ref.partition("#/definitions/")
        return f"{path.removeprefix('../')}/{pointer}"

    def _translate(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        plain: dict[str, Any] = {k: v for k, v in schema.items() if k in _KEEP}
        if "$ref" in schema:
            plain["$ref"] = f"#/$defs/{_escape(self._target(schema['$ref']))}"
            plain.pop("type", None)
        if "properties" in schema and schema.get("format") != "value_object":
            plain["properties"] = {k: self._translate(v) for k, v in schema["properties"].items()}
            required = [k for k, v in schema["properties"].items() if v.get("required") is True]
            if required:
                plain["required"] = required
        if "items" in schema:
            plain["items"] = self._translate(schema["items"])
        for word in ("allOf", "anyOf", "oneOf"):
            if word in schema:
                plain[word] = [self._translate(x) for x in schema[word]]
        if schema.get("additionalProperties") is False:
            plain["additionalProperties"] = False
        if schema.get("nullable"):
            return {"anyOf": [plain, {"type": "null"}]}
        return plain

    def _references(self, node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield _unescape(node["$ref"])
            for value in node.values():
                yield from self._references(value)
        elif isinstance(node, list):
            for value in node:
                yield from self._references(value)

    def _bundle(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {**schema, "$defs": self._defs}


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescape(ref: str) -> str:
    return ref.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
