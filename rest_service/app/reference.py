"""`python -m rest_service.app.reference`: the REST API as a page for people, from the OpenAPI document.

Writes docs/reference/rest-api.md; a test fails while the page there is not the one made here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from .config import Settings
from .main import create_app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rest-api.md"
HEAD = """<!-- Made by `python -m rest_service.app.reference` from the routes and contracts: change these. -->
# REST API of rest_service
"""
REFUSALS = """## Refusals
Every refusal is an [ErrorBody](#errorbody). Beside what stands at each route, every route under `/api`
may answer"""
EVERYWHERE = ("401", "403", "422", "500", "503")
METHODS = ("get", "post", "put", "patch", "delete")
FERNET_KEY_OF_NOTHING = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

Document = dict[str, Any]


def application() -> FastAPI:
    """The application as it is documented; it never starts, so its settings lead nowhere."""
    return create_app(
        Settings(
            async_database_url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"),
            redis_host="127.0.0.1",
            admin_api_key=SecretStr("unused-admin"),
            service_api_key=SecretStr("unused-service"),
            credentials_encryption_keys=SecretStr(FERNET_KEY_OF_NOTHING),
        )
    )


def page(document: Document) -> str:
    """The whole page, Markdown."""
    parts = [HEAD, document["info"]["description"].strip(), "", "## Contents", *_contents(document)]
    parts += ["", REFUSALS, "", *_refusals(document)]
    for tag in document["tags"]:
        parts += ["", f"## {tag['name']}", tag["description"]]
        for method, path, operation in _operations(document, tag["name"]):
            parts += ["", *_operation(document, method, path, operation)]
    parts += ["", "## Bodies", *_bodies(document)]
    return "\n".join(parts).rstrip() + "\n"


def _operations(document: Document, tag: str) -> Iterator[tuple[str, str, Document]]:
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations and tag in operations[method]["tags"]:
                yield method.upper(), path, operations[method]


def _contents(document: Document) -> Iterator[str]:
    for tag in document["tags"]:
        name = tag["name"]
        yield f"- [{name}](#{name.replace(' ', '-')}): {tag['description']}"
    yield "- [Bodies](#bodies): every field of what is sent and answered."


def _refusals(document: Document) -> Iterator[str]:
    responses = document["paths"]["/api/assistants"]["get"]["responses"]
    for status in EVERYWHERE:
        yield f"- **{status}**: {responses[status]['description']}"


def _operation(document: Document, method: str, path: str, operation: Document) -> Iterator[str]:
    yield f"### {method} {path}"
    yield operation["description"]
    parameters = operation.get("parameters", ())
    if parameters:
        yield ""
        yield "| parameter | where | type | what |"
        yield "|---|---|---|---|"
        for parameter in parameters:
            name = f"`{parameter['name']}`{' (required)' if parameter.get('required') else ''}"
            what = _cell(parameter.get("description", ""))
            kind = _type(parameter["schema"]).removesuffix(" or null")
            yield f"| {name} | {parameter['in']} | {kind} | {what} |"
    yield ""
    body = operation.get("requestBody")
    if body:
        yield f"Body: {_type(body['content']['application/json']['schema'])}."
        yield ""
    yield from _answers(operation)
    yield ""
    yield "```"
    yield from _curl(document, method, path, operation)
    yield "```"


def _answers(operation: Document) -> Iterator[str]:
    guarded = "security" in operation
    for status, response in sorted(operation["responses"].items()):
        if guarded and status in EVERYWHERE:
            continue
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        shape = f" {_type(schema)}:" if schema and status < "400" else ""
        yield f"- **{status}**{shape} {response['description']}"


def _curl(document: Document, method: str, path: str, operation: Document) -> Iterator[str]:
    filled = path
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            number = parameter["schema"].get("type") == "integer"
            filled = filled.replace(
                f"{{{parameter['name']}}}", "1" if number else f"${parameter['name'].upper()}"
            )
    command = f"curl -X {method} $REST_SERVICE_URL{filled}".replace("-X GET ", "")
    if operation.get("security"):
        command += ' -H "Authorization: Bearer $ADMIN_API_KEY"'
    if "requestBody" not in operation:
        yield command
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    example = json.dumps(_example(document, schema), ensure_ascii=False, indent=2)
    yield f"{command} \\"
    yield f"  -H 'Content-Type: application/json' -d '{example}'"


def _example(document: Document, schema: Document) -> Any:  # noqa: ANN401 - JSON
    if schema.get("type") == "array":
        return [_example(document, schema["items"])]
    schema = _resolved(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    fields = schema.get("properties", {})
    wanted = schema.get("required", list(fields))
    return {name: fields[name]["examples"][0] for name in wanted if "examples" in fields[name]}


def _bodies(document: Document) -> Iterator[str]:
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield ""
        yield f"### {name}"
        yield schema.get("description", "")
        if "enum" in schema:
            yield ""
            yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
            continue
        yield ""
        yield "| field | type | what | example |"
        yield "|---|---|---|---|"
        for field, kind in schema.get("properties", {}).items():
            required = " (required)" if field in schema.get("required", ()) else ""
            example = f"`{json.dumps(kind['examples'][0], ensure_ascii=False)}`" if "examples" in kind else ""
            what = _cell(kind.get("description", ""))
            yield f"| `{field}`{required} | {_type(kind)} | {what} | {_cell(example)} |"


def _type(schema: Document) -> str:
    """A schema in a few words, linked where it has a section of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(kind) for kind in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind: str = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    named: dict[str, str] = {"string": "text", "object": "object", "boolean": "true or false", "null": "null"}
    words: str | None = schema.get("format") if kind == "string" else None
    return " ".join([words or named.get(kind, kind), *_bounds(schema)])


def _bounds(schema: Document) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and low > -(10**6):
        yield f"{low:g} to {high:g}" if high < 10**6 else f"from {low:g}"
    if "maxLength" in schema:
        yield f"of at most {schema['maxLength']} characters"


def _resolved(document: Document, schema: Document) -> Document:
    name = schema["$ref"].rpartition("/")[2]
    found: Document = document["components"]["schemas"][name]
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(application().openapi()))


if __name__ == "__main__":
    main()
