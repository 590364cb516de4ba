"""Every mistake a newcomer makes in the Swagger UI is answered with a sentence that says what to do.

The sentences are written out whole: this table is where a person has read them.
"""

from typing import Any

import pytest

from rest_service.tests.support import ADMIN_KEY
from service_kit.contracts.errors import ErrorBody

pytestmark = pytest.mark.integration

GONE = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
JSON = {"Content-Type": "application/json"}
ASSISTANT = {"name": "Ada", "model": "default", "instructions": "You are Ada."}
TOOL = {"name": "clock", "tool_type": "time", "description": "Tells the time."}
JOB = {"name": "Vitamins", "user_id": 1, "message": "Take them"}
DAILY = JOB | {"cron_expression": "0 9 * * *"}

NO_ID = "is not an id; ids look like 3fa85f64-5717-4562-b3fc-2c963f66afa6, copy one from the list"
ONE_TIME = "give exactly one of cron_expression (recurring) and run_at (once)"
TIME = "must be a time like 2026-12-24T18:00:00+01:00"

MISTAKES: dict[str, tuple[Any, Any]] = {
    # what is sent: method, path, body; what is answered: status, code, field, sentence
    "wrong id": (
        ("GET", "/api/assistants/abc", None),
        (422, "invalid", "path.assistant_id", f"assistant_id in the address {NO_ID}."),
    ),
    "wrong id in a body": (
        ("POST", "/api/assistant-tools", {"assistant_id": "Ada", "tool_id": GONE}),
        (422, "invalid", "assistant_id", f"assistant_id {NO_ID}."),
    ),
    "a name for a number": (
        ("GET", "/api/users/ada", None),
        (422, "invalid", "path.user_id", "user_id in the address must be a whole number."),
    ),
    "unknown id": (
        ("GET", f"/api/assistants/{GONE}", None),
        (
            404,
            "not_found",
            None,
            f"There is no assistant {GONE}. It may have been deleted; look at the list.",
        ),
    ),
    "unknown id in a body": (
        ("POST", "/api/assistant-tools", {"assistant_id": GONE, "tool_id": GONE}),
        (
            422,
            "invalid",
            "assistant_id",
            "There is no assistant with this id. Take one from GET /api/assistants.",
        ),
    ),
    "missing field": (
        ("POST", "/api/assistants", {"name": "Ada", "model": "default"}),
        (422, "invalid", "instructions", "instructions is required."),
    ),
    "two missing fields": (
        ("POST", "/api/assistants", {"name": "Ada"}),
        (422, "invalid", "model", "model is required (1 more in details)."),
    ),
    "no body": (
        ("POST", "/api/assistants", b""),
        (422, "invalid", "body", "The body is required."),
    ),
    "broken JSON": (
        ("POST", "/api/assistants", b'{"name": "Ada" "model": "default"}'),
        (
            422,
            "invalid",
            "body",
            "The body is not valid JSON at character 15: Expecting ',' delimiter.",
        ),
    ),
    "not an object": (
        ("POST", "/api/assistants", []),
        (422, "invalid", "body", 'The body must be an object: {"field": "value", …}.'),
    ),
    "empty text": (
        ("POST", "/api/assistants", ASSISTANT | {"name": "  "}),
        (422, "invalid", "name", "name must not be empty."),
    ),
    "too long a text": (
        ("POST", "/api/assistants", ASSISTANT | {"name": "a" * 129}),
        (422, "invalid", "name", "name has more than 128 characters; shorten it."),
    ),
    "unknown field": (
        ("POST", "/api/assistants", ASSISTANT | {"modle": "x"}),
        (422, "invalid", "modle", "modle is not a field that exists here; remove it or check its spelling."),
    ),
    "unknown type": (
        ("POST", "/api/assistants", ASSISTANT | {"assistant_type": "gpt"}),
        (422, "invalid", "assistant_type", "assistant_type must be one of 'llm' or 'openai_api'."),
    ),
    "yes for true": (
        ("POST", "/api/assistants", ASSISTANT | {"is_active": "yes"}),
        (422, "invalid", "is_active", "is_active must be true or false."),
    ),
    "temperature too high": (
        ("POST", "/api/assistants", ASSISTANT | {"settings": {"temperature": 5}}),
        (422, "invalid", "settings.temperature", "settings.temperature must be 2 or less."),
    ),
    "null in a change": (
        ("PATCH", f"/api/assistants/{GONE}", {"name": None}),
        (422, "invalid", "name", "name cannot be null; leave it out to keep it as it is."),
    ),
    "tool name with a space": (
        ("POST", "/api/tools", TOOL | {"name": "my clock"}),
        (
            422,
            "invalid",
            "name",
            (
                "name must have 1 to 64 letters (a to z, A to Z), digits, '_' or '-', and no spaces; "
                "such as world_clock."
            ),
        ),
    ),
    "sub_assistant without its assistant": (
        ("POST", "/api/tools", TOOL | {"tool_type": "sub_assistant"}),
        (
            422,
            "invalid",
            "assistant_id",
            (
                "A tool of type sub_assistant needs assistant_id (whom it asks); the "
                "other types must not have one."
            ),
        ),
    ),
    "schema that is no JSON": (
        ("POST", "/api/tools", TOOL | {"input_schema": "{type: object}"}),
        (
            422,
            "invalid",
            "input_schema",
            (
                "The schema is not valid JSON: Expecting property name enclosed in "
                "double quotes in line 1, column 2."
            ),
        ),
    ),
    "schema of another type": (
        ("POST", "/api/tools", TOOL | {"input_schema": {"type": "string"}}),
        (
            422,
            "invalid",
            "input_schema",
            'The schema\'s top level must be an object: {"type": "object", "properties": {…}}.',
        ),
    ),
    "schema with an unknown type": (
        (
            "POST",
            "/api/tools",
            TOOL | {"input_schema": {"type": "object", "properties": {"city": {"type": "text"}}}},
        ),
        (
            422,
            "invalid",
            "input_schema",
            (
                "The schema is not a valid JSON Schema at properties/city/type: 'text' is not a known "
                "type; use string, number, integer, boolean, array, object or null."
            ),
        ),
    ),
    "schema that requires what it does not have": (
        ("POST", "/api/tools", TOOL | {"input_schema": {"type": "object", "required": ["city"]}}),
        (
            422,
            "invalid",
            "input_schema",
            (
                "The schema requires 'city' at its top level, but has no such property there. Add it to "
                "properties or remove it from required."
            ),
        ),
    ),
    "cron with four fields": (
        ("POST", "/api/cron-jobs", JOB | {"cron_expression": "0 9 * *"}),
        (
            422,
            "invalid",
            "cron_expression",
            (
                "A cron expression has five fields (minute hour day month weekday), this one has 4; "
                "'0 9 * * 1-5' is 9:00 on weekdays."
            ),
        ),
    ),
    "cron at 25 o'clock": (
        ("POST", "/api/cron-jobs", JOB | {"cron_expression": "0 25 * * *"}),
        (422, "invalid", "cron_expression", "'25' is not a valid hour (0-23)."),
    ),
    "cron as a word": (
        ("POST", "/api/cron-jobs", JOB | {"cron_expression": "@daily"}),
        (
            422,
            "invalid",
            "cron_expression",
            (
                "Macros like @daily are not supported; write five fields, such as '0 9 "
                "* * *' for 9:00 every day."
            ),
        ),
    ),
    "both times": (
        ("POST", "/api/cron-jobs", DAILY | {"run_at": "2026-12-24T18:00:00Z"}),
        (
            422,
            "invalid",
            "cron_expression",
            f"cron_expression is given together with run_at: {ONE_TIME}.",
        ),
    ),
    "no time": (
        ("POST", "/api/cron-jobs", JOB),
        (422, "invalid", "cron_expression", f"cron_expression is missing: {ONE_TIME}."),
    ),
    "wrong zone": (
        ("POST", "/api/cron-jobs", DAILY | {"timezone": "Berlin"}),
        (
            422,
            "invalid",
            "timezone",
            (
                "timezone 'Berlin' is not an IANA time zone; write it like "
                "'Europe/Berlin', 'Asia/Tokyo' or 'UTC'."
            ),
        ),
    ),
    "time without a zone": (
        ("POST", "/api/cron-jobs", JOB | {"run_at": "2026-12-24T18:00:00"}),
        (
            422,
            "invalid",
            "run_at",
            "run_at needs its offset from UTC: 2026-12-24T18:00:00+01:00, or Z for UTC.",
        ),
    ),
    "time in words": (
        ("POST", "/api/cron-jobs", JOB | {"run_at": "tomorrow"}),
        (422, "invalid", "run_at", f"run_at {TIME}."),
    ),
    "user who is not there": (
        ("POST", "/api/cron-jobs", DAILY | {"user_id": 4711}),
        (422, "invalid", "user_id", "There is no user with this id. Take one from GET /api/users."),
    ),
    "too large a page": (
        ("GET", "/api/users?limit=1000", None),
        (422, "invalid", "query.limit", "The parameter limit must be 500 or less."),
    ),
    "misspelt filter": (
        ("GET", "/api/users?rolle=owner", None),
        (
            422,
            "invalid",
            "query.rolle",
            (
                "There is no parameter 'rolle' here (possible are bot_id, is_active, limit, offset, role, "
                "telegram_id). Remove it or check its spelling."
            ),
        ),
    ),
    "parameter where there is none": (
        ("GET", f"/api/assistants/{GONE}?full=1", None),
        (
            422,
            "invalid",
            "query.full",
            "There is no parameter 'full' here (there are none). Remove it or check its spelling.",
        ),
    ),
    "wrong place": (
        ("GET", "/api/assistant", None),
        (404, "not_found", None, "There is no address /api/assistant. See /docs for all addresses."),
    ),
    "wrong method": (
        ("DELETE", "/api/users", None),
        (405, "method_not_allowed", None, "DELETE is not possible at /api/users; possible: GET, POST."),
    ),
    "wrong language": (
        ("POST", "/api/users", {"telegram_id": 1, "language": "english, please"}),
        (422, "invalid", "language", "language must be a language code such as 'en', 'ru' or 'pt-br'."),
    ),
}


def judged(response, status, code, field, sentence):
    body = ErrorBody.model_validate_json(response.content)
    assert (response.status_code, body.code, body.field, body.message) == (status, code, field, sentence)


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_answered_with_a_sentence(api, mistake):
    (method, path, body), answer = MISTAKES[mistake]
    sent = {"content": body, "headers": JSON} if isinstance(body, bytes) else {"json": body}
    judged(await api.ask(method, path, **(sent if body is not None else {})), *answer)


async def test_a_missing_and_a_wrong_key(api):
    hint = "Send `Authorization: Bearer <ADMIN_API_KEY>`; the key is in .env."
    judged(await api.get("/api/users", key=None), 401, "unauthorized", None, f"A key is required. {hint}")
    judged(await api.get("/api/users", key="wrong"), 401, "unauthorized", None, f"The key is wrong. {hint}")


async def test_a_body_that_is_not_sent_as_json(api):
    answer = await api.ask(
        "POST", "/api/users", content=b"telegram_id=1", headers={"Content-Type": "text/plain"}
    )
    hint = "Send JSON with the header `Content-Type: application/json`."
    sentence = f"The body has the content type 'text/plain'. {hint}"
    judged(answer, 415, "unsupported_media_type", None, sentence)


async def test_names_that_are_taken(api):
    await api.an_assistant("Ada")
    await api.a_tool("clock")
    await api.a_user(1)
    for path, body, field, sentence in (
        (
            "/api/assistants",
            ASSISTANT,
            "name",
            "An assistant with this name already exists. Choose another name.",
        ),
        ("/api/tools", TOOL, "name", "A tool with this name already exists. Choose another name."),
        (
            "/api/users",
            {"telegram_id": 1},
            "telegram_id",
            (
                "A user with this telegram_id already exists. Read it at "
                "/api/users/by-telegram-id/{telegram_id}."
            ),
        ),
    ):
        judged(await api.post(path, body), 409, "conflict", field, sentence)


async def test_an_assistant_that_others_ask(api):
    asking, asked = await api.an_assistant("Ada"), await api.an_assistant("Bob")
    tool = await api.a_sub_assistant_tool("ask_bob", asked)
    await api.a_link(asking, tool)
    judged(
        await api.delete(f"/api/assistants/{asked['id']}"),
        409,
        "conflict",
        None,
        "Assistant 'Bob' is still asked by tool 'ask_bob'. "
        "Delete these or let them ask another assistant first.",
    )
    judged(
        await api.post("/api/assistant-tools", {"assistant_id": asked["id"], "tool_id": tool["id"]}),
        409,
        "conflict",
        None,
        "Assistants would ask each other in a circle: 'Bob' → 'Bob'. Let one of them ask somebody else.",
    )


async def test_no_sentence_is_in_the_words_of_a_library(api):
    words = ("pydantic", "Input should", "urn:uuid", "psycopg", "asyncpg", "constraint", "NoneType")
    for (method, path, body), answer in MISTAKES.values():
        assert not any(word in answer[3] for word in words), (method, path, body)
    rubbish: dict[str, list[dict[str, str]]] = {
        name: [{}] for name in ("name", "model", "instructions", "is_secretary", "settings", "is_active")
    }
    answer = await api.ask("POST", "/api/assistants", json=rubbish, key=ADMIN_KEY)
    for detail in ErrorBody.model_validate_json(answer.content).details:
        assert not any(word in detail.message for word in words), detail
