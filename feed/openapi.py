"""The OpenAPI 3.1 document of the feed over HTTP, served as /openapi.json.

`python -m feed.openapi docs/openapi.json` writes the published copy; schemathesis checks the server against it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from feed.page import LIMIT, MOST
from feed.schema import EVENTS, SCHEMA_VERSION

LONGEST_WAIT = 60
Doc = dict[str, Any]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ERRORS = {
    400: "A parameter is unknown, out of bounds or given twice; or the request is no HTTP",
    401: "No key, or an unknown one",
    404: "No such address, topic or event type",
    405: "The feed is only read",
    409: "The cursor lies behind the end of the log: was the database replaced? `last` is its last number",
    410: "Events behind the cursor were removed by the retention rule; `first` is the first that is kept",
    414: "The address is too long",
    431: "The headers are too long",
    429: "Too many requests; `Retry-After` says when to come back",
    500: "An error of ours",
    503: "The database does not answer, or too many requests at once",
}
_TAG = {"ETag": {"schema": {"type": "string"}, "description": "Send it back in If-None-Match"}}
_CURSOR = {
    "Otklik-Cursor": {"schema": {"type": "string"}, "description": "Your next `after`, also when nothing came"},
    "Otklik-More": {"schema": {"type": "string", "enum": ["true", "false"]}, "description": "Ask again at once"},
}


def _query(name: str, about: str, schema: Doc, *, where: str = "query") -> Doc:
    return {"name": name, "in": where, "description": about, "required": where == "path", "schema": schema}


def _whole(least: int, most: int, default: int | None = None) -> Doc:
    return {"type": "integer", "minimum": least, "maximum": most} | ({} if default is None else {"default": default})


_WORD = {"type": "string", "minLength": 1, "maxLength": 200}
_AFTER = _query("after", "The last `seq` you have; 0: from the beginning", _whole(0, 2**63 - 1, 0))
_TYPES = _query(
    "types",
    "Only these event types, separated by commas, full or short (landed); tombstones come all the same",
    {"type": "string", "minLength": 1, "maxLength": 1000},
)
_KNOWN = _query("If-None-Match", "An ETag you have", {"type": "string"}, where="header")


def _get(about: str, ok: Doc, parameters: list[Doc], errors: tuple[int, ...], **more: Any) -> Doc:
    free = more.pop("free", False)
    headers = more.pop("headers", {})
    stream = more.pop("stream", False)
    answers: Doc = {"200": {"description": "What was asked for", "content": ok, "headers": headers}}
    if not stream and headers:
        answers["304"] = {"description": "You have it already"}
    for code in sorted({*errors, 400, 405, 414, 431, 500, 503} | (set() if free else {401, 429})):
        answers[str(code)] = {"description": _ERRORS[code], "content": _PROBLEM}
    if not free:
        answers["429"]["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
    out = {"summary": about, "parameters": parameters, "responses": answers, **more}
    return {"get": out | ({"security": []} if free else {})}


def document() -> Doc:
    some = _query("limit", "At most so many", _whole(1, MOST, LIMIT))
    events = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Page"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/cloudevents-batch+json": {
            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
        },
    }
    atom = {"application/atom+xml": {"schema": {"type": "string"}}}
    entries = _query("limit", "At most so many", _whole(1, 200, 50))
    as_json: Doc = {"application/json": {"schema": {"type": "object"}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otklik feed",
            "version": SCHEMA_VERSION,
            "description": "Events of messages and alerts for other systems: by cursor, in order, none missing. "
            "How to build a consumer: docs/feed.md.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": {
            "/v1/events": _get(
                "Events behind a cursor, in order",
                events,
                [
                    _AFTER,
                    some,
                    _query("wait", "When there is nothing, wait so many seconds for it", _whole(0, LONGEST_WAIT, 0)),
                    _TYPES,
                    _query(
                        "format",
                        "Else by the Accept header; JSON",
                        {"type": "string", "enum": ["json", "ndjson", "cloudevents"]},
                    ),
                    _KNOWN,
                ],
                (409, 410),
                operationId="events",
                headers={**_TAG, **_CURSOR},
            ),
            "/v1/stream": _get(
                "The same as server-sent events; go on with Last-Event-ID",
                {"text/event-stream": {"schema": {"type": "string"}}},
                [_AFTER, _TYPES, _query("Last-Event-ID", "The last `seq` you have", _AFTER["schema"], where="header")],
                (409, 410),
                operationId="stream",
                stream=True,
            ),
            "/v1/atom/topics/{topic}": _get(
                "The latest messages of a topic or a group, Atom",
                atom,
                [_query("topic", "Id of the topic or group", _WORD, where="path"), entries, _KNOWN],
                (404,),
                operationId="atomTopic",
                headers=_TAG,
            ),
            "/v1/atom/places/{place}": _get(
                "The latest messages of a place and of what lies in it, Atom",
                atom,
                [_query("place", "Name of the place", _WORD, where="path"), entries, _KNOWN],
                (404,),
                operationId="atomPlace",
                headers=_TAG,
            ),
            "/v1/places.geojson": _get(
                "What is said of which place, among the latest messages; GeoJSON",
                {"application/geo+json": {"schema": {"$ref": "#/components/schemas/Places"}}},
                [some, _query("topic", "Id", _WORD), _query("place", "Name", _WORD), _KNOWN],
                (),
                operationId="places",
                headers=_TAG,
            ),
            "/v1/open311/requests.json": _get(
                "The latest messages as Open311 GeoReport v2 names them",
                {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Request"}}}},
                [
                    _query("limit", "Among so many latest", _whole(1, 1000, 100)),
                    _query("service_code", "Id of the topic or group", _WORD),
                    _query("status", "Is something still owed", {"type": "string", "enum": ["open", "closed"]}),
                    _KNOWN,
                ],
                (),
                operationId="requests",
                headers=_TAG,
            ),
            "/v1/schema": _get(
                "JSON Schema of any event", _schema(), [_KNOWN], (), operationId="schema", headers=_TAG, free=True
            ),
            "/v1/schema/{type}": _get(
                "JSON Schema of one event type",
                _schema(),
                [_query("type", "Full or short name, e.g. landed", _WORD, where="path"), _KNOWN],
                (404,),
                operationId="schemaOf",
                headers=_TAG,
                free=True,
            ),
            "/openapi.json": _get(
                "This document", as_json, [_KNOWN], (), operationId="openapi", headers=_TAG, free=True
            ),
            "/health": _get("Does the database answer", as_json, [], (), operationId="health", free=True),
        },
        "components": {"securitySchemes": _SECURITY, "schemas": _SCHEMAS},
    }


def _schema() -> Doc:
    return {"application/schema+json": {"schema": {"type": "object"}}}


_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name; the key is the password"},
}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_SCHEMAS: Doc = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "One Russian sentence"},
            "first": {"type": "integer"},
            "last": {"type": "integer"},
        },
    },
    "Event": {
        "type": "object",
        "description": "A CloudEvent with its place in the log; /v1/schema has all of it",
        "required": ["seq", "id", "type", "time", "specversion", "source", "data"],
        "properties": {
            "seq": {"type": "integer", "minimum": 1},
            "id": {"type": "string"},
            "type": {"type": "string", "enum": list(EVENTS)},
            "time": {"type": "string", "format": "date-time"},
            "specversion": {"const": "1.0"},
            "source": {"type": "string"},
            "subject": {"type": "string"},
            "data": {"type": "object"},
        },
    },
    "Page": {
        "type": "object",
        "required": ["events", "next", "more"],
        "properties": {
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            "next": {"type": "integer", "minimum": 0, "description": "Your next `after`"},
            "more": {"type": "boolean", "description": "Ask again at once"},
        },
    },
    "Places": {
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"const": "FeatureCollection"},
            "features": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type", "geometry", "properties"],
                    "properties": {
                        "type": {"const": "Feature"},
                        "geometry": {"type": ["object", "null"]},
                        "properties": {
                            "type": "object",
                            "required": ["name", "kind", "parents", "messages", "open", "urgent", "emergencies"],
                        },
                    },
                },
            },
        },
    },
    "Request": {
        "type": "object",
        "required": ["service_request_id", "status", "requested_datetime", "updated_datetime"],
        "properties": {
            "service_request_id": {"type": "string"},
            "status": {"type": "string", "enum": ["open", "closed"]},
            "service_code": _TEXT_OR_NULL,
            "service_name": _TEXT_OR_NULL,
            "description": {"type": "string"},
            "agency_responsible": _TEXT_OR_NULL,
            "requested_datetime": {"type": "string"},
            "updated_datetime": {"type": "string"},
            "expected_datetime": _TEXT_OR_NULL,
            "address": _TEXT_OR_NULL,
            "lat": {"type": ["number", "null"]},
            "long": {"type": ["number", "null"]},
        },
    },
}


def published() -> str:
    return json.dumps(document(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/openapi.json").write_text(published(), encoding="utf-8")
