"""The chat interface, the controls, what they keep out, and what survives a restart."""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from sandbox.main import serving
from sandbox.tests.conftest import SECRET, TOKEN
from service_kit import http_limits


async def test_the_same_name_is_the_same_person(outside: Any):
    ada, default = (
        await outside.post("/chat/people", {"name": " Ada "}),
        await outside.post("/chat/people", {}),
    )
    assert ada == {"id": 1001, "name": "Ada"}
    assert default == {"id": 1002, "name": "You"}
    assert await outside.post("/chat/people", {"name": "Ada"}) == ada
    assert (await outside.get("/chat/people"))["people"] == [ada, default]


async def test_both_sides_of_a_conversation(outside: Any):
    person = await outside.person()
    said = await outside.say(person, "hello")
    [update] = await outside.updates()
    assert said == {"number": 1, "update_id": update["update_id"]}
    await outside.bot(
        "sendMessage", chat_id=person, text="hi", entities=[{"type": "bold", "offset": 0, "length": 2}]
    )
    shown = await outside.messages(person)
    assert [(message["number"], message["from"], message["text"]) for message in shown["messages"]] == [
        (1, "user", "hello"),
        (2, "bot", "hi"),
    ]
    assert shown["messages"][1]["entities"] == [{"type": "bold", "offset": 0, "length": 2}]
    assert shown["typing"] is False
    assert [message["number"] for message in (await outside.messages(person, "after=1"))["messages"]] == [2]


async def test_waiting_for_an_answer(outside: Any):
    person = await outside.person()
    wait = asyncio.create_task(outside.messages(person, "after=0&wait=20"))
    await outside.bot("sendMessage", chat_id=person, text="hi")
    assert [message["text"] for message in (await asyncio.wait_for(wait, 5))["messages"]] == ["hi"]


async def test_typing_comes_and_ends_with_the_answer(outside: Any):
    person = await outside.person()
    assert (await outside.bot("sendChatAction", chat_id=person, action="dance"))["error_code"] == 400
    await outside.bot("sendChatAction", chat_id=person, action="typing")
    told = await asyncio.wait_for(outside.messages(person, "after=0&wait=20&typing=0"), 5)
    assert (told["typing"], told["messages"]) == (True, [])
    await outside.bot("sendMessage", chat_id=person, text="hi")
    assert (await outside.messages(person))["typing"] is False


@pytest.mark.parametrize("text", ["", " ", "x" * 4097])
async def test_messages_that_telegram_would_not_send(outside: Any, text: str):
    answer = await outside.say(await outside.person(), text)
    assert answer["code"] in {"invalid", "empty", "too_long"}


async def test_unknown_people_are_not_found(outside: Any):
    for call in (outside.messages(5), outside.say(5, "x")):
        assert (await call)["code"] == "not_found"


@pytest.mark.parametrize(
    "path",
    ["/", "/chat/people", "/control/stats", "/static/app.js", "/health", "/telegram/bot7:a/getMe"],
)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:8010"}, 200),
        ({"Host": "[::1]:8010"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
async def test_other_web_sites_are_kept_out(outside: Any, path: str, headers: dict[str, str], status: int):
    async with outside.session.get(outside.url + path, headers=headers) as response:
        assert response.status == status


PRIVATE = ["/chat/bot", "/chat/people", "/control/stats", "/control/sent", "/static/app.js", "/"]


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Cookie": "key=wrong"}, 401),
        ({"Authorization": f"Bearer {SECRET}"}, 200),
        ({"Cookie": f"key={SECRET}"}, 200),
        ({"Cookie": f"key={SECRET}", "Origin": "http://127.0.0.1:1"}, 403),
    ],
)
async def test_who_does_not_know_the_secret_sees_nothing(
    locked: Any, path: str, headers: dict[str, str], status: int
):
    async with locked.session.get(locked.url + path, headers=headers) as response:
        assert response.status == status
        if status != 200:
            assert "set-cookie" not in response.headers


@pytest.mark.parametrize("header", [b"Authorization: Bearer \xff\xfe", b"Cookie: key=\xff"])
async def test_a_secret_that_is_no_text_is_wrong_like_any_other(locked: Any, header: bytes):
    place = urlsplit(locked.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        b"GET /chat/people HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    )
    said = await reader.read()
    writer.close()
    assert said.split()[1] == b"401"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/chat/people/{'1' * 5000}/messages", 404),
        ("/nothing", 404),
        ("/chat/people/{person}/messages?after=inf", 200),
        ("/chat/people/{person}/messages?after=1e999&wait=inf&since=nan", 200),
        ("/control/sent?after=inf", 200),
        ("/control/requests?limit=1e999", 200),
    ],
)
async def test_odd_numbers_are_answered_in_the_suites_shape(outside: Any, path: str, status: int):
    address = path.replace("{person}", str(await outside.person()))
    if status == 200 and "/chat/" in path:
        await outside.say(await outside.person(), "hello")
    async with outside.session.get(outside.url + address) as response:
        answer = await response.json()
    assert response.status == status
    assert status == 200 or {"code", "message"} <= answer.keys()


@pytest.mark.parametrize(
    "path",
    ["/telegram/bot7:abc/sendMessage", "/openai/v1/chat/completions", "/chat/people", "/control/faults"],
)
async def test_a_body_that_nests_without_end_is_refused(outside: Any, path: str):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-any"}
    async with outside.session.post(outside.url + path, data=b"[" * 50_000, headers=headers) as response:
        assert (response.status, response.content_type) in [
            (400, "application/json"),
            (422, "application/json"),
        ]


async def test_every_route_but_the_stand_ins_and_health_needs_the_secret(locked: Any):
    open_to_all = ("/telegram", "/openai", "/weather", "/google", "/health")
    app = locked.app
    paths = {route.resource.canonical: route.method for route in app.router.routes() if route.resource}
    private = {path: method for path, method in paths.items() if not path.startswith(open_to_all)}
    assert len(private) > 10
    for path, method in private.items():
        url = locked.url + path.replace("{id}", "1001").replace("{name}", "app.js")
        async with locked.session.request(method, url, json={}) as response:
            assert response.status == 401, path


async def test_the_link_leaves_its_secrets_in_cookies_and_not_in_the_address(locked: Any):
    link = f"{locked.url}/?key={SECRET}&start=code-1"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(link) as page:
            assert (page.status, str(page.url)) == (200, f"{locked.url}/")
            kept = page.history[0].cookies
        async with browser.get(f"{locked.url}/chat/people") as people:
            assert people.status == 200
    assert (kept["key"]["httponly"], kept["key"]["samesite"]) == (True, "Lax")
    assert kept["start"].value == "code-1"
    async with locked.session.get(f"{locked.url}/?key=wrong") as page:
        assert page.status == 401


@pytest.mark.parametrize("token", ["7:a", "8:the-token-that-is-configured", TOKEN + "x"])
async def test_the_bot_api_takes_the_configured_token_only(locked: Any, token: str):
    assert (await locked.bot("getUpdates", token))["error_code"] == 401
    assert (await locked.bot("getMe", TOKEN))["ok"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_of_another_site_changes_nothing(outside: Any, kind: str):
    for path in ("/chat/people", "/control/reset", "/control/faults"):
        async with outside.session.post(
            outside.url + path, data=b"{}", headers={"Content-Type": kind}
        ) as response:
            assert response.status == 415


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 403), ("none", 200)])
async def test_a_web_page_is_no_bot(outside: Any, site: str, status: int):
    url = f"{outside.url}/telegram/bot7:a/getMe"
    async with outside.session.get(url, headers={"Sec-Fetch-Site": site}) as response:
        assert response.status == status


async def test_the_bot_learns_the_language_of_the_app(outside: Any):
    person = await outside.person("You")
    await outside.post(f"/chat/people/{person}/messages", {"text": "/start", "language": "ru"})
    await outside.say(await outside.person("Борис"), "привет")
    await outside.say(await outside.person("Ada"), "hello")
    languages = [update["message"]["from"]["language_code"] for update in await outside.updates()]
    assert languages == ["ru", "ru", "en"]


async def test_the_page_loads_nothing_from_elsewhere(outside: Any):
    async with outside.session.get(outside.url + "/") as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        page = await response.text()
    loaded = re.findall(r"""(?:src|href|action)=["']?([^"'\s>]+)""", page)
    assert len(loaded) > 3
    assert [address for address in loaded if not re.match(r"/static/|#", address)] == []
    for address in loaded:
        async with outside.session.get(outside.url + address) as response:
            assert response.status == 200, address
            assert not re.search(r"""(import|from|url\()\s*["']?(https?:)?//""", await response.text()), (
                address
            )


async def test_health(outside: Any):
    assert (await outside.get("/health"))["status"] == "ok"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_head_is_answered_as_get_without_the_body(outside: Any, path: str):
    async with (
        outside.session.get(outside.url + path) as get,
        outside.session.head(outside.url + path) as head,
    ):
        assert (head.status, head.headers["Content-Length"]) == (get.status, get.headers["Content-Length"])
        assert await head.read() == b""


@pytest.mark.parametrize("begun", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_a_connection_without_a_request_is_given_up(monkeypatch, begun: bytes):
    monkeypatch.setattr(http_limits, "IDLE_TIMEOUT", 0.2)
    async with serving(web.Application(), "127.0.0.1", 0) as runner:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(begun)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_a_body_that_does_not_come_is_given_up(outside: Any, monkeypatch):
    monkeypatch.setattr(http_limits, "RECEIVE_TIMEOUT", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(outside.url.rpartition(":")[2]))
    writer.write(
        b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nabc"
    )
    async with asyncio.timeout(20):
        assert b"408" in await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 429, "retry_after": 3}, (429, "Too Many Requests: retry after 3", {"retry_after": 3})),
        ({"status": 403}, (403, "Forbidden: bot was blocked by the user", None)),
        ({"status": 401}, (401, "Unauthorized", None)),
        ({"status": 400, "description": "Bad Request: can't parse entities: x"},
         (400, "Bad Request: can't parse entities: x", None)),
        ({"status": 502}, (502, "Bad Gateway", None)),
    ],
)  # fmt: skip
async def test_telegram_faults(outside: Any, fault: dict[str, Any], expected: tuple[int, str, Any]):
    ada, bob = await outside.person("Ada"), await outside.person("Bob")
    await outside.fault(target="telegram", kind="status", method="sendMessage", chat_id=ada, times=1, **fault)
    assert (await outside.bot("sendMessage", chat_id=bob, text="x"))["ok"]
    refused = await outside.bot("sendMessage", chat_id=ada, text="x")
    assert (refused["error_code"], refused["description"], refused.get("parameters")) == expected
    assert (await outside.bot("sendMessage", chat_id=ada, text="x"))["ok"]


@pytest.mark.parametrize(("after", "arrived"), [(True, 1), (False, 0)])
async def test_an_answer_that_is_lost_before_or_after_the_effect(outside: Any, after: bool, arrived: int):
    person = await outside.person()
    await outside.fault(target="telegram", kind="disconnect", after=after)
    with pytest.raises(aiohttp.ClientError):
        await outside.bot("sendMessage", chat_id=person, text="x")
    await outside.session.delete(outside.url + "/control/faults")
    assert len((await outside.messages(person))["messages"]) == arrived


async def test_garbage_and_truncated_answers(outside: Any):
    await outside.fault(target="telegram", kind="garbage", times=1)
    async with outside.session.get(f"{outside.url}/telegram/bot7:a/getMe") as response:
        assert response.content_type == "text/html"
    await outside.fault(target="telegram", kind="truncate", times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await outside.bot("getMe")
    assert (await outside.get("/control/stats"))["faults"] == {"telegram.garbage": 1, "telegram.truncate": 1}


async def test_a_fault_that_makes_no_sense_is_refused(outside: Any):
    answer = await outside.post("/control/faults", {"target": "openai", "kind": "explode"})
    assert answer["code"] == "invalid"
    assert answer["details"][0]["field"] == "kind"


async def test_what_was_sent_is_counted(outside: Any):
    person = await outside.person()
    for text in ("one", "two", "two"):
        await outside.bot("sendMessage", chat_id=person, text=text)
    stats = await outside.get("/control/stats")
    assert (stats["sent"], stats["repeated"], stats["calls"]["telegram.sendMessage"]) == (3, 1, 3)
    sent = (await outside.get("/control/sent?after=1"))["sent"]
    assert [(one["number"], one["chat_id"], one["text"]) for one in sent] == [
        (2, person, "two"),
        (3, person, "two"),
    ]


async def test_a_burst_in_one_call(outside: Any):
    ada, bob = await outside.person("Ada"), await outside.person("Bob")
    burst = [{"person_id": (ada, bob)[number % 2], "text": str(number)} for number in range(10)]
    assert len((await outside.post("/control/messages", {"messages": burst}))["messages"]) == 10
    assert [update["message"]["text"] for update in await outside.updates()] == [str(n) for n in range(10)]


async def test_reset(outside: Any):
    person = await outside.person()
    await outside.say(person, "hello")
    wait = asyncio.create_task(outside.messages(person, "after=1&wait=20"))
    await outside.post("/control/reset", {})
    assert (await asyncio.wait_for(wait, 5))["code"] == "not_found"
    assert await outside.updates() == []
    assert (await outside.get("/chat/people"))["people"] == []


async def test_people_messages_and_updates_survive_a_restart(restarted: Any):
    async with restarted() as before:
        person = await before.person()
        await before.updates()
        await before.say(person, "one")
        confirmed = (await before.updates())[0]["update_id"]
        await before.updates(offset=confirmed + 1)
        await before.bot("sendMessage", chat_id=person, text="answer")
        await before.say(person, "two")
    async with restarted() as after:
        assert await after.person() == person
        texts = [message["text"] for message in (await after.messages(person))["messages"]]
        assert texts == ["one", "answer", "two"]
        await after.say(person, "three")
        updates = await after.updates()
        assert [update["message"]["text"] for update in updates] == ["two", "three"]
        assert confirmed < updates[0]["update_id"] < updates[1]["update_id"]
        await after.post("/control/reset", {})
    async with restarted() as forgotten:
        assert (await forgotten.get("/chat/people"))["people"] == []


async def test_update_ids_do_not_come_again_without_a_state(outside: Any):
    first = (await outside.say(await outside.person(), "x"))["update_id"]
    assert first > 1_700_000_000_000
