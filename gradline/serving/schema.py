"""The OpenAPI description, made of this very model.

What it says is what is so: a request that fits it is answered with predictions (as long
as the model has one for the row), and one that does not is refused. tests hold the
server against it with schemathesis.
"""

from __future__ import annotations

from typing import Any

from gradline.serving.answers import JSON
from gradline.serving.limits import MOST_SIZE, Limits
from gradline.serving.problems import PROBLEM_JSON
from gradline.truths import spellings, truths

#: Levels of a category that are listed.
MOST_LEVELS = 1000

_ARROW = "application/vnd.apache.arrow.stream"

_REFUSALS = {
    "400": "What was sent cannot be read: the detail says why.",
    "403": "A page of another site asks, and --allow-origin does not name it.",
    "406": "No form of answer that Accept names is known.",
    "408": "The request did not come in time.",
    "413": "The request is too large: send the rows in parts.",
    "415": "The body is of another type, or compressed.",
    "421": "The Host header names another server.",
    "422": "The model has no answer for these rows: the detail names the row.",
    "500": "A fault of the server.",
    "503": "Too much is in hand, or the server stops: try again after Retry-After.",
    "504": "The answer was not ready in time.",
}

_EVERYWHERE = ("403", "408", "421", "500", "503")


def openapi(told: dict[str, Any], limits: Limits, row: dict[str, Any]) -> Any:
    """The description of a server of one model.

    Args:
        told: of the model, by facts.py.
        limits: of a request.
        row: one that can be predicted, as an example.
    """
    target = told["target"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{target}, predicted",
            "version": told["version"].removeprefix("sha256:")[:12],
            "description": (
                f"Predictions of {target!r} by a linear regression on "
                f"{told['rows']:,} rows. Numbers are float64; null is a missing value. "
                f"A request has at most {limits.rows:,} rows, {limits.body:,} bytes "
                f"and {limits.seconds:g} seconds. All lists of a request by columns "
                "have the same length. Refusals are problem+json (RFC 9457), with one "
                "sentence in `detail`."
            ),
        },
        "servers": [{"url": "/"}],
        "paths": _paths(told, row),
        "components": {
            "schemas": _schemas(told, limits),
            "responses": {
                code: _refusal(code, text) for code, text in _REFUSALS.items()
            },
        },
    }


def _paths(told: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    example: dict[str, Any] = {"rows": [row]}
    if told["intervals"]:
        example["interval"] = 0.95
    predicted = {
        "description": "A prediction for each row, in order.",
        "content": {
            JSON: {"schema": _ref("Predictions")},
            _ARROW: {"schema": {}},
        },
    }
    text = {"description": "HTML.", "content": {"text/html": {"schema": _text()}}}
    return {
        "/predict": {
            "post": {
                "operationId": "predict",
                "summary": "Predict for rows that come as JSON.",
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": _ref("Request"), "example": example}},
                },
                "responses": _responses(
                    {"200": predicted}, "400", "406", "413", "415", "422", "504"
                ),
            }
        },
        "/predict/arrow": {
            "post": {
                "operationId": "predictArrow",
                "summary": "Predict for rows that come as an Arrow IPC stream.",
                "description": (
                    "The stream has the model's columns, by name, in any order, and is "
                    "not compressed. The answer is a stream with the column "
                    "`prediction`, and `low` and `high` where an interval is asked "
                    "for; or JSON, where Accept names it alone."
                ),
                "parameters": _query(told),
                "requestBody": {"required": True, "content": {_ARROW: {"schema": {}}}},
                "responses": _responses(
                    {"200": predicted}, "400", "406", "413", "415", "422", "504"
                ),
            }
        },
        "/model": _get(
            "model",
            "What is served: columns, coefficients, certificate.",
            _ref("Model"),
        ),
        "/healthz": _get("health", "Whether the process answers.", _ref("Health")),
        "/readyz": {
            "get": {
                "operationId": "ready",
                "summary": "Whether to send requests here.",
                "responses": _responses(
                    {
                        "200": {
                            "description": "Yes.",
                            "content": {JSON: {"schema": _ref("Health")}},
                        }
                    }
                ),
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "Counters for Prometheus.",
                "responses": _responses(
                    {
                        "200": {
                            "description": "Prometheus' text format.",
                            "content": {"text/plain": {"schema": _text()}},
                        }
                    }
                ),
            }
        },
        "/openapi.json": _get("openapi", "This description.", {"type": "object"}),
        "/": {
            "get": {
                "operationId": "page",
                "summary": "All of this, for people.",
                "responses": _responses({"200": text}),
            }
        },
        "/docs": {
            "get": {
                "operationId": "docs",
                "summary": "The same page.",
                "responses": _responses({"200": text}),
            }
        },
    }


def _get(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    answer = {"description": summary, "content": {JSON: {"schema": schema}}}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "responses": _responses({"200": answer}),
        }
    }


def _responses(fine: dict[str, Any], *refusals: str) -> dict[str, Any]:
    codes = sorted({*refusals, *_EVERYWHERE})
    return fine | {code: {"$ref": f"#/components/responses/{code}"} for code in codes}


def _refusal(code: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": text,
        "content": {PROBLEM_JSON: {"schema": _ref("Problem")}},
    }
    if code == "503":
        found["headers"] = {
            "Retry-After": {
                "description": "Seconds.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            }
        }
    return found


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _text() -> dict[str, str]:
    return {"type": "string"}


def _query(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of a request whose body is no JSON."""
    options = _options(told) | {"missing": _missing(["error", "nan"])}
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in options.items()
    ]


def _options(told: dict[str, Any]) -> dict[str, Any]:
    if not told["intervals"]:
        return {}
    return {
        "interval": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "description": "Also give the interval that holds this share.",
        },
        "kind": {
            "enum": ["prediction", "confidence"],
            "description": (
                "Of the interval (of 0.95 unless told): for a new observation, or for "
                "the line itself."
            ),
        },
    }


def _missing(words: list[str]) -> dict[str, Any]:
    return {
        "enum": words,
        "description": "Refuse rows that are not complete, or predict null there.",
    }


def _schemas(told: dict[str, Any], limits: Limits) -> dict[str, Any]:
    found: dict[str, Any] = {}
    variants = []
    for gaps in (False, True):
        columns = {f["name"]: _value(f, gaps) for f in told["features"]}
        end = "WithGaps" if gaps else ""
        found[f"Row{end}"] = _record(columns)
        found[f"Columns{end}"] = _record(
            {
                name: {
                    "type": "array",
                    "items": value,
                    "minItems": 1,
                    "maxItems": limits.rows,
                }
                for name, value in columns.items()
            }
        )
        many = {
            "type": "array",
            "items": _ref(f"Row{end}"),
            "minItems": 1,
            "maxItems": limits.rows,
        }
        shapes = {
            "row": _ref(f"Row{end}"),
            "rows": many,
            "columns": _ref(f"Columns{end}"),
        }
        for shape, schema in shapes.items():
            variants.append(
                {
                    "type": "object",
                    "properties": {
                        shape: schema,
                        **_options(told),
                        "missing": _missing(["nan"] if gaps else ["error", "nan"]),
                    },
                    "required": [shape, "missing"] if gaps else [shape],
                    "additionalProperties": False,
                }
            )
    found["Request"] = {"anyOf": variants}
    numbers = {"type": "array", "items": {"type": ["number", "null"]}}
    found["Predictions"] = {
        "type": "object",
        "properties": {
            "target": {"const": told["target"]},
            "predictions": numbers,
            **_options(told),
            "low": numbers,
            "high": numbers,
            "model": _record(
                {"name": {"const": told["name"]}, "version": {"const": told["version"]}}
            ),
        },
        "required": ["target", "predictions", "model"],
        "additionalProperties": False,
    }
    return found | _others(told)


def _others(told: dict[str, Any]) -> dict[str, Any]:
    """What is answered but predictions."""
    return {
        "Model": {
            "type": "object",
            "properties": {
                "name": {"const": told["name"]},
                "version": {"const": told["version"]},
                "target": {"const": told["target"]},
                "features": {"type": "array", "items": _ref("Feature")},
                "coefficients": {
                    "type": "object",
                    "additionalProperties": {"type": "number"},
                },
                "intercept": {"type": "number"},
                "rows": {"type": "integer", "minimum": 0},
                "metrics": {"type": "object"},
                "certificate": {"type": "object"},
                "limits": {"type": "object"},
                "intervals": {"type": "boolean"},
            },
            "required": [*told],
        },
        "Feature": _record(
            {
                "name": {"enum": [f["name"] for f in told["features"]]},
                "kind": {"enum": ["number", "category"]},
                "levels": {"type": ["array", "null"], "items": {"type": "string"}},
            }
        ),
        "Health": _record({"status": {"enum": ["ok", "ready"]}}),
        "Problem": {
            "type": "object",
            "properties": {
                "type": {"const": "about:blank"},
                "title": _text(),
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": _text(),
            },
            "required": ["type", "title", "status", "detail"],
            "additionalProperties": False,
        },
    }


def _record(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these, and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _value(feature: dict[str, Any], gaps: bool) -> dict[str, Any]:
    """A value of a column."""
    levels = feature["levels"]
    if levels is None:
        return {
            "type": ["number", "null"] if gaps else "number",
            "format": "double",
            "minimum": -MOST_SIZE,
            "maximum": MOST_SIZE,
        }
    if len(levels) > MOST_LEVELS:
        kinds = ["string", "number", "boolean"]
        return {"type": kinds + ["null"] * gaps, "description": "A level of the fit."}
    words: list[Any] = [] if feature["kind"] == "number" else [*levels]
    words += [number for level in levels for number in _as_numbers(level)]
    words += spellings(levels)
    words += [level.lower() == "true" for level in levels if truths([level])]
    return {"enum": words + [None] * gaps}


def _as_numbers(level: str) -> list[float]:
    """The number that a level is the name of, if it is one's."""
    from gradline.data import number_label

    try:
        value = float(level)
    except ValueError:
        return []
    if value - value != 0 or number_label(value) != level:
        return []
    return [int(value) if value == int(value) and abs(value) < 2**53 else value]
