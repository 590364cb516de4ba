"""Whatever is sent, the answer is a refusal in the one shape, never a defect."""

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rest_service.tests.support import ADMIN_KEY, SERVICE_KEY
from service_kit.contracts.errors import ErrorBody

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}
NIL = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def refusal(response, status):
    assert response.status_code == status, response.text
    body = ErrorBody.model_validate_json(response.content)
    assert body.message[-1:] in ".}", body.message
    return body


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "invalid"),
        (b"{", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"\x80{}", 400, "bad_request"),
        (b"\xff\xfe{}", 422, "invalid"),
        (b'{"name": "\xff"}', 400, "bad_request"),
        (b"[" * 60 + b"]" * 60, 422, "invalid"),
        (b"[" * 100_000, 400, "bad_request"),
        (b'{"settings":' * 70 + b"1" + b"}" * 70, 400, "bad_request"),
        (b'{"telegram_id": ' + b"9" * 5000 + b"}", 400, "bad_request"),
        (b'{"telegram_id": NaN}', 422, "invalid"),
        (b'{"telegram_id": 1e400}', 422, "invalid"),
        (b'{"telegram_id": 1, "first_name": "\\ud800"}', 422, "invalid"),
        (b'{"telegram_id": 1, "\\ud800": 1}', 422, "invalid"),
        (b'{"telegram_id": 1, "\\u0000": "\\u0000"}', 422, "invalid"),
        (b'{"telegram_id": 1, "first_name": "a\\u0000"}', 422, "invalid"),
    ],
)
async def test_a_body_of_rubbish(api, content, status, code):
    answer = await api.ask("POST", "/api/users", content=content, headers=JSON)
    assert refusal(answer, status).code == code


async def test_a_body_without_its_type_is_refused(api):
    answer = await api.ask(
        "POST", "/api/users", content=b'{"telegram_id": 1}', headers={"Content-Type": "text/plain"}
    )
    assert refusal(answer, 415).code == "unsupported_media_type"


async def test_a_body_above_the_limit(api):
    large = b'{"telegram_id": 1, "first_name": "' + b"x" * (1024 * 1024) + b'"}'
    answer = await api.ask("POST", "/api/users", content=large, headers=JSON)
    assert refusal(answer, 413).code == "too_large"

    async def in_pieces():
        for _ in range(20):
            yield b" " * 100_000

    answer = await api.ask("POST", "/api/users", content=in_pieces(), headers=JSON)
    assert refusal(answer, 413)


async def test_the_largest_body_that_is_right_is_served(api):
    await api.an_assistant(instructions="я" * 100_000)


@pytest.mark.parametrize("value", ["0", "-1", str(2**31), str(2**63), str(10**30), "x", "1.5", "%00", "%ff"])
@pytest.mark.parametrize("place", ["/api/users/{}", "/api/cron-jobs/{}", "/api/calendar/{}"])
async def test_a_number_that_no_row_can_have(api, place, value):
    assert refusal(await api.get(place.format(value)), 422).field


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "offset=-1",
        f"offset={2**31}",
        "lmit=5",
        "role=king",
        "telegram_id=x",
    ],
)
async def test_a_wrong_query_names_its_parameter(api, query):
    body = refusal(await api.get(f"/api/users?{query}"), 422)
    assert body.field == f"query.{query.split('=')[0]}"


@pytest.mark.parametrize("query", ["search=%00", "search=", "assistant_type=%00", f"search={'x' * 200}"])
async def test_a_wrong_search_is_refused(api, query):
    refusal(await api.get(f"/api/assistants?{query}"), 422)


async def test_what_is_not_there(api):
    for path in ("/api/nothing", "/api", "/nothing", "/api/users/1/nothing"):
        assert refusal(await api.get(path), 404).code == "not_found"
    body = refusal(await api.ask("PATCH", "/api/users"), 405)
    assert body.code == "method_not_allowed"
    for path in (f"/api/assistants/{NIL}", f"/api/tools/{NIL}", "/api/users/1", f"/api/user-threads/{NIL}"):
        assert refusal(await api.get(path), 404)
        assert refusal(await api.patch(path, {}), 404)
        assert refusal(await api.delete(path), 404)


async def test_all_findings_are_listed(api):
    body = refusal(await api.post("/api/assistants", {"name": "", "is_active": "perhaps", "nmae": 1}), 422)
    assert {detail.message for detail in body.details if detail.field == "instructions"} == {"Required"}
    assert {detail.field for detail in body.details} == {"name", "model", "instructions", "is_active", "nmae"}
    nested = {"name": "a", "model": "m", "instructions": "i", "settings": {"temperature": 5}}
    assert refusal(await api.post("/api/assistants", nested), 422).field == "settings.temperature"


async def test_a_trailing_slash_makes_no_difference(api):
    made = await api.made("/api/users/", {"telegram_id": 1})
    assert (await api.get(f"/api/users/{made['id']}/")).json() == made
    assert (await api.get("/api/users/?limit=1")).json() == [made]


async def test_the_services_key_does_not_shape_assistants(api):
    made = await api.an_assistant()
    tool = await api.a_tool()
    body = {"name": "x", "model": "m", "instructions": "i"}
    for method, path, sent in (
        ("POST", "/api/assistants", body),
        ("PATCH", f"/api/assistants/{made['id']}", {}),
        ("DELETE", f"/api/assistants/{made['id']}", None),
        ("PATCH", f"/api/tools/{tool['id']}", {}),
        ("POST", "/api/assistant-tools", {"assistant_id": made["id"], "tool_id": tool["id"]}),
        ("DELETE", "/api/users/1", None),
    ):
        refused = await api.ask(method, path, json=sent, key=SERVICE_KEY)
        assert refusal(refused, 403).code == "forbidden"
    assert (await api.get("/api/assistants", key=SERVICE_KEY)).status_code == 200


async def test_a_wrong_key_is_refused_before_the_body_is_read(api):
    async def never_read():
        yield pytest.fail("the body was read")

    answer = await api.ask("POST", "/api/users", key="wrong", content=never_read(), headers=JSON)
    assert refusal(answer, 401).code == "unauthorized"


async def test_a_defect_is_answered_with_an_incident_and_logged(api, caplog, monkeypatch):
    monkeypatch.setattr("rest_service.app.routers.users.UserRepository", None)
    body = refusal(await api.get("/api/users"), 500)
    assert body.incident_id
    assert "NoneType" not in body.message
    assert body.incident_id in caplog.text
    assert "Traceback" in caplog.text


async def test_answers_carry_security_headers(api):
    for path in ("/api/users", "/api/nothing", "/docs", "/health"):
        headers = (await api.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
    assert (await api.get("/api/users")).headers["Cache-Control"] == "no-store"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["\0", "default", "0 9 * * *", "2026-12-24T18:00:00Z", "UTC", NIL, "a" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def bodies(document, operation):
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    one = schema.get("items", schema)
    names = document["components"]["schemas"][one["$ref"].rsplit("/", 1)[1]]["properties"]
    rows = st.dictionaries(st.sampled_from([*names]), values)
    return (rows if one is schema else st.lists(rows, max_size=3)) | values


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_nothing_that_can_be_sent_is_a_defect(api, app, data):
    document = app.openapi()
    places = [(path, method) for path, methods in document["paths"].items() for method in methods]
    path, method = data.draw(st.sampled_from(sorted(places)))
    operation = document["paths"][path][method]
    part = st.sampled_from(["1", NIL, "0", "x", str(2**40)]) | st.text(max_size=8).map(
        lambda t: quote(t, safe="")
    )
    filled = re.sub(r"\{\w+\}", lambda _: data.draw(part), path)
    sent = {}
    if "requestBody" in operation:
        sent = {"content": json.dumps(data.draw(bodies(document, operation))).encode(), "headers": JSON}
    query = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
    params = data.draw(st.dictionaries(st.sampled_from(query), st.text(max_size=8))) if query else {}
    for key in (ADMIN_KEY, SERVICE_KEY):
        answer = await api.ask(method.upper(), filled, key=key, params=params, **sent)
        assert answer.status_code < 500, (method, filled, params, sent, answer.text)
        if answer.status_code >= 400:
            ErrorBody.model_validate_json(answer.content)


def example(document, path, method, **known):
    """What the Swagger UI fills in; ids that only the admin can know are put in from `known`."""
    schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    model = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    fields = model["properties"]
    shown = (
        model["examples"][0]
        if "examples" in model
        else {name: field["examples"][0] for name, field in fields.items()}
    )
    return shown | {name: value for name, value in known.items() if name in shown}


async def test_the_examples_of_the_documents_succeed_when_sent(api, app):
    document = app.openapi()
    user = await api.made("/api/users", example(document, "/api/users", "post"))
    tool = await api.made("/api/tools", example(document, "/api/tools", "post"))
    assistant = await api.made("/api/assistants", example(document, "/api/assistants", "post"))
    ids = {"user_id": user["id"], "tool_id": tool["id"], "assistant_id": assistant["id"]}
    rows = {"/api/users/{user_id}": user, "/api/tools/{tool_id}": tool} | {
        "/api/assistants/{assistant_id}": assistant
    }
    for listing, place in (
        ("/api/assistant-tools", "/api/assistant-tools/{link_id}"),
        ("/api/user-threads", "/api/user-threads/{thread_row_id}"),
        ("/api/cron-jobs", "/api/cron-jobs/{job_id}"),
    ):
        rows[place] = await api.made(listing, example(document, listing, "post", **ids))
    for place, row in rows.items():
        for method in ("patch", "put"):
            body = example(document, place, method, **(ids if method == "put" else {}))
            answer = await api.ask(method.upper(), re.sub(r"{\w+}", str(row["id"]), place), json=body)
            assert answer.status_code == 200, (method, place, answer.text)
    job = rows["/api/cron-jobs/{job_id}"]["id"]
    due = (await api.get(f"/api/cron-jobs/{job}")).json()["next_run_at"]
    firings = "/api/cron-jobs/{job_id}/firings"
    claim = example(document, firings, "post", scheduled_for=due)
    firing = await api.made(firings.format(job_id=job), claim, key=SERVICE_KEY)
    report = example(document, f"{firings}/{{firing_id}}", "patch")
    path = f"/api/cron-jobs/{job}/firings/{firing['id']}"
    assert (await api.patch(path, report, key=SERVICE_KEY)).status_code == 200
    tokens = "/api/calendar/{user_id}/tokens"
    stored = await api.put(tokens.format(**ids), example(document, tokens, "put"), key=SERVICE_KEY)
    assert stored.status_code == 200
    calendar = "/api/calendar/{user_id}"
    assert (await api.patch(calendar.format(**ids), example(document, calendar, "patch"))).status_code == 200
    assert (await api.post("/api/import", example(document, "/api/import", "post"))).status_code == 200
