"""The OpenAPI 3.1 description of the server, made of the schemas that read its requests."""

from typing import Any

from pydantic.json_schema import models_json_schema

import retune
from retune.tools.serve.schemas import AnswerBody, Asked, ErrorBody, Health

_REF = "#/components/schemas/{model}"
#: Why there is no answer, by HTTP status.
ERRORS = {
    400: "The Host header names another server.",
    408: "The body took too long.",
    413: "The body is too large, or its context has too many windows.",
    415: "The body is not declared as application/json.",
    422: "The body is not a question as described here, or an option does not fit the model.",
    429: "Too many requests wait; repeat it after the seconds in Retry-After.",
    500: "The model failed.",
    503: "The answer took too long, or the server stops; repeat it later.",
}


def description() -> dict[str, Any]:
    """Return the description."""
    _, schemas = models_json_schema(
        [
            (Asked, "validation"),
            *((body, "serialization") for body in (AnswerBody, ErrorBody, Health)),
        ],
        ref_template=_REF,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "retune serve",
            "version": retune.__version__,
            "summary": "Answers questions about texts with a trained model.",
        },
        "paths": {
            "/answer": {"post": _answer()},
            "/health": {
                "get": {
                    "operationId": "health",
                    "summary": "Return whether questions are answered, and by which model.",
                    "responses": {
                        "200": _body("Questions are answered.", _ref(Health)),
                        "503": _body("Questions are not answered.", _ref(Health)),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Return figures for Prometheus.",
                    "responses": {
                        "200": {
                            "description": "The figures.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _answer() -> dict[str, Any]:
    several = {"type": "array", "items": _ref(AnswerBody)}
    one = "The answer; with top_k above 1, a list of answers, the best first."
    return {
        "operationId": "answer",
        "summary": "Answer a question about a text.",
        "requestBody": {"required": True, "content": _json(_ref(Asked))},
        "responses": {
            "200": _body(one, {"oneOf": [_ref(AnswerBody), several]}),
            **{str(status): _body(why, _ref(ErrorBody)) for status, why in ERRORS.items()},
        },
    }


def _ref(model: type) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _body(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": _json(schema)}
