"""What the Swagger UI shows beside the routes themselves."""

from typing import Any

from fastapi.routing import APIRoute

TITLE = "Assistant Service API"
DESCRIPTION = """
The data of Smart Assistant: who answers, with which tools, to whom, and when.

**First** press *Authorize* and paste the value of `ADMIN_API_KEY` from `.env`. **Then** try
`GET /api/assistants`. A change is in force for the next message a user writes.

Lists take `limit` and `offset` and tell the total in `X-Total-Count`. `PUT` replaces a row whole, `PATCH`
changes the fields that are sent. Every refusal has the same shape: a `code` for programs, a sentence
for people, and the offending `field`.
"""
TAGS: list[dict[str, Any]] = [
    {"name": "assistants", "description": "Who answers: secretaries and the sub-assistants they ask."},
    {"name": "tools", "description": "What assistants can do."},
    {"name": "assistant-tools", "description": "Which assistant may use which tool."},
    {"name": "users", "description": "Who may talk to the assistants."},
    {"name": "cron-jobs", "description": "Reminders and other jobs, and their firings."},
    {"name": "calendar", "description": "Who has linked Google Calendar."},
    {"name": "user-threads", "description": "Conversations kept at the provider."},
    {"name": "health", "description": "Open to everybody."},
]
UI: dict[str, Any] = {
    "persistAuthorization": True,
    "displayRequestDuration": True,
    "filter": True,
    "tryItOutEnabled": True,
    "docExpansion": "none",
    "defaultModelsExpandDepth": -1,
}


def operation_id(route: APIRoute) -> str:
    """The handler's name: short, and stable when a path changes."""
    return route.name
