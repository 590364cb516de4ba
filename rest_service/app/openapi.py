"""What the Swagger UI shows beside the routes themselves."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service_kit.contracts.errors import ErrorBody

from .access import SCOPES, Allow, Role

TITLE = "Assistant Service API"
DESCRIPTION = """
The data of Smart Assistant: who answers, with which tools, to whom, and when.

### First steps
1. Press **Authorize** and paste the value of `ADMIN_API_KEY` from `.env`. This browser remembers it.
2. **Make an assistant**: open *assistants*, `POST /api/assistants`, press **Execute**. The example works
   as it stands. Copy the `id` from the answer.
3. **Make a tool**: *tools*, `POST /api/tools`, the same way.
4. **Link them**: *assistant-tools*, `POST /api/assistant-tools` with the two ids.
5. **Look**: `GET /api/assistants/{assistant_id}/tree` shows the assistant with all it can reach.

A change is in force for the next message that a user writes.

### Good to know
- `PUT` replaces a row whole, `PATCH` changes the fields that are sent.
- Lists take filters, `limit` and `offset`, and tell the total in the header `X-Total-Count`.
- Times carry their offset: `2026-12-24T18:00:00+01:00`, or `Z` for UTC.
- Recurring jobs take cron, read in the job's own time zone: `0 9 * * 1-5` is 9:00 on weekdays,
  `*/15 8-18 * * *` every quarter of an hour by day, `0 8 1 * *` 8:00 on the first of the month,
  `0 20 * * SUN` Sundays at 20:00.
- What answering has cost, by day, user, assistant or model: `GET /api/usage/totals`.
- Every refusal has the same shape: a `code` for programs, a sentence for people that says what to do, and
  the offending `field`.
"""
KEY = "Key"
KEY_DESCRIPTION = "Paste the value of `ADMIN_API_KEY` from `.env`, without the name and without `Bearer`."
TAGS: list[dict[str, Any]] = [
    {"name": "assistants", "description": "Who answers: secretaries and the sub-assistants they ask."},
    {"name": "tools", "description": "What assistants can do."},
    {"name": "assistant-tools", "description": "Which assistant may use which tool."},
    {"name": "import and export", "description": "The assistants, tools and links as one document."},
    {"name": "users", "description": "Who may talk to the assistants, through the current bot."},
    {"name": "cron-jobs", "description": "Reminders and other jobs, and their firings."},
    {"name": "usage", "description": "What answering has cost: tokens and time."},
    {"name": "calendar", "description": "Who has linked Google Calendar."},
    {"name": "user-threads", "description": "Conversations kept at the provider."},
    {"name": "discards", "description": "What was deleted here and is still kept at the provider."},
    {"name": "health", "description": "Whether the service works. Open to everybody."},
]
PARAMETERS = {
    "assistant_id": "The assistant's id.",
    "tool_id": "The tool's id.",
    "link_id": "The link's own id.",
    "thread_row_id": "The row's id, not the provider's name of the thread.",
    "user_id": "The user's number here, not at Telegram.",
    "telegram_id": "The user's id at Telegram.",
    "job_id": "The job's number.",
    "firing_id": "The firing's number.",
    "discard_id": "The number of the row.",
    "is_active": "Only rows that are active, or only those that are not.",
    "is_secretary": "Only secretaries, or only the others.",
    "assistant_type": "Only assistants of this type: `llm` or `openai_api`.",
    "tool_type": "Only tools of this type.",
    "role": "Only users of this role.",
    "status": "Only rows of this status.",
    "type": "Only jobs of this type.",
    "search": "Part of the name, in any case.",
}
"""What parameters mean wherever they stand without a description of their own."""
DONE = {"200": "Done.", "201": "Made; this is the row.", "204": "Gone; there is nothing to answer."}
REFUSALS = {
    "400": ("bad_request", "The body cannot be read: send JSON in UTF-8.", None),
    "401": ("unauthorized", "A key is required. Send `Authorization: Bearer <ADMIN_API_KEY>`.", None),
    "403": ("forbidden", "This key is not allowed to do this. Use the key of admin.", None),
    "404": ("not_found", "There is no such row. It may have been deleted; look at the list.", None),
    "409": ("conflict", "An assistant with this name already exists. Choose another name.", "name"),
    "413": ("too_large", "The body is larger than 1048576 bytes. Send less at once.", None),
    "415": ("unsupported_media_type", "Send JSON with `Content-Type: application/json`.", None),
    "422": ("invalid", "name is required.", "name"),
    "500": ("internal", "Something went wrong. The log has details under 5f3a9c0d1b2e.", None),
    "503": ("unavailable", "The database does not answer at the moment. Try again shortly.", None),
}
"""What each refusal looks like: code, sentence, field."""
UI: dict[str, Any] = {
    "persistAuthorization": True,
    "displayRequestDuration": True,
    "filter": True,
    "tryItOutEnabled": True,
    "docExpansion": "none",
    "defaultModelsExpandDepth": -1,
    "defaultModelExpandDepth": 3,
}


def operation_id(route: APIRoute) -> str:
    """The handler's name: short, and stable when a path changes."""
    return route.name


def install(app: FastAPI) -> None:
    """Complete the document by what only we know: whose key opens a route, and how a title reads."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain(), {route.name: route for route in _routes(app.routes)})
        return plain()

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this


def _complete(document: dict[str, Any], routes: dict[str, APIRoute]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            _explain(operation, routes[operation["operationId"]])
    # "Is Secretary" and "AssistantCreate" say nothing that the name beside it does not
    for schema in document["components"]["schemas"].values():
        names = list(schema.get("properties", {}))
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
        for example in schema.get("examples", ()):
            # pydantic sorts the keys, people want the name first
            for name in sorted(example, key=names.index):
                example[name] = example.pop(name)


def _explain(operation: dict[str, Any], route: APIRoute) -> None:
    sentences = operation["description"]
    operation["summary"] = sentences.split("\n")[0].partition(". ")[0].partition("; ")[0].rstrip(".")
    rules = [rule.dependency for rule in route.dependencies if isinstance(rule.dependency, Allow)]
    if rules:
        operation["description"] = f"{sentences}\n\n**Key:** {whose(rules[0])}."
    for status, response in operation["responses"].items():
        _exemplify(status, response)
    for parameter in operation.get("parameters", ()):
        parameter["schema"].pop("title", None)
        if "description" not in parameter:
            parameter["description"] = PARAMETERS[parameter["name"]]


def _exemplify(status: str, response: dict[str, Any]) -> None:
    if response["description"] == "Successful Response":
        response["description"] = DONE[status]
    if status in REFUSALS and response["content"]["application/json"]["schema"]["$ref"].endswith("ErrorBody"):
        code, message, field = REFUSALS[status]
        error = ErrorBody(code=code, message=message, field=field)
        response["content"]["application/json"]["example"] = error.model_dump(exclude={"details"})


def whose(rule: Allow) -> str:
    """Whose keys open a route, in words."""
    roles = [role for role in Role if rule.scope in SCOPES[role]]
    if len(roles) == len(Role):
        return "the admin's and every service's"
    names = {Role.ADMIN: "the admin's", Role.SERVICE: "the services' common one"}
    return ", ".join(names.get(role, f"{role}'s") for role in roles)


def _routes(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    """Every route of the API, through included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        elif isinstance(route, APIRoute):
            yield route
