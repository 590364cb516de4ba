"""The chat page in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.tests.conftest import SECRET, TOKEN
from tests.harness.browser import Page, browser_page, find_chromium

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the chat page is not checked"),
]
ONLINE = "document.querySelector('#status').dataset.is === 'online'"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    async with browser_page(CHROMIUM, tmp_path / "profile") as page:
        await page.window(390, 844, touch=True)
        yield page
        assert page.errors == []


def last(what: str = "innerText") -> str:
    return f"[...document.querySelectorAll('.row .text')].at(-1)?.{what}"


async def updates(outside: Any, **parameters: Any) -> list[Any]:
    """What the page has sent, as soon as there is something."""
    return list(await asyncio.wait_for(outside.updates(timeout=30, **parameters), 40))


async def test_the_page_opens_with_the_printed_link_alone(locked: Any, page: Page):
    page.provoked.add("401")
    await page.open(locked.url)
    await page.until("document.body?.innerText.includes('manage.py start')")
    assert not await page.run("document.querySelector('#messages')")
    await page.open(f"{locked.url}/?key={SECRET}&start=code-1")
    await page.until(ONLINE)
    history = (await page.call("Page.getNavigationHistory"))["entries"]
    assert {entry["url"] for entry in history} == {"about:blank", f"{locked.url}/"}
    await page.click("#start")
    [start] = (await locked.bot("getUpdates", TOKEN, timeout=30))["result"]
    assert start["message"]["text"] == "/start code-1"
    await page.until("document.cookie === ''")
    await page.open(locked.url)
    await page.until(ONLINE)


async def test_a_first_conversation(outside: Any, page: Page):
    await page.open(f"{outside.url}/?start=code-1")
    await page.until(ONLINE)
    assert await page.run("location.search") == ""
    assert await page.run("document.querySelector('#composer').hidden")
    await page.click("#start")
    [start] = await updates(outside)
    assert start["message"]["text"] == "/start code-1"
    person = start["message"]["chat"]["id"]
    await page.until("document.cookie === ''")

    await outside.bot("sendMessage", chat_id=person, text="welcome")
    await page.until("!document.querySelector('#suggestions').hidden")
    await page.click("#text")
    await page.write("first line")
    await page.press("Enter", shift=True)
    await page.write("second line")
    await page.press("Enter")
    [said] = await updates(outside, offset=start["update_id"] + 1)
    assert said["message"]["text"] == "first line\nsecond line"

    await outside.bot("sendChatAction", chat_id=person, action="typing")
    await page.until("!document.querySelector('#typing').hidden")
    await outside.bot("sendMessage", chat_id=person, text="the answer")
    await page.until(f"{last()}.includes('the answer')")
    await page.until("document.querySelector('#typing').hidden")
    assert await page.run("document.querySelectorAll('.row.user').length") == 2
    assert await page.run("document.querySelectorAll('.row.bot:not(.typing)').length") == 2
    assert await page.run("document.querySelector('#suggestions').hidden")


async def test_entities_are_rendered_and_nothing_is_html(outside: Any, page: Page):
    person = await outside.person("You")
    text = "<img src=x onerror=alert(1)> 👋 bold code hidden link bad /help\nquoted\nx = 1"
    at = {word: len(text[: text.index(word)].encode("utf-16-le")) // 2 for word in
          ("bold", "code", "hidden", "link", "bad", "quoted", "x = 1")}  # fmt: skip
    kinds = {"bold": {"type": "bold"}, "code": {"type": "code"}, "hidden": {"type": "spoiler"},
             "link": {"type": "text_link", "url": "https://example.org/"},
             "bad": {"type": "text_link", "url": "javascript:alert(1)"},
             "quoted": {"type": "blockquote"}, "x = 1": {"type": "pre", "language": "python"}}  # fmt: skip
    entities = [kinds[word] | {"offset": offset, "length": len(word)} for word, offset in at.items()]
    assert (await outside.bot("sendMessage", chat_id=person, text=text, entities=entities))["ok"]
    await page.open(outside.url)
    await page.until("document.querySelector('.code pre')")
    assert await page.run("document.querySelectorAll('.text img').length") == 0
    found = await page.run("""['strong', 'code', '.spoiler', 'a', 'blockquote', '.code pre', '.command']
        .map(selector => document.querySelector('.text ' + selector).textContent)""")
    assert found == ["bold", "code", "hidden", "link", "quoted", "x = 1", "/help"]
    assert await page.run("[...document.querySelectorAll('.text a')].map(a => a.href)") == [
        "https://example.org/"
    ]
    await page.click(".spoiler")
    assert await page.run("document.querySelector('.spoiler').classList.contains('shown')")
    await page.click(".command")
    assert [u["message"]["text"] for u in await updates(outside)] == ["/help"]


async def test_overlapping_entities_keep_the_whole_text(outside: Any, page: Page):
    person = await outside.person("You")
    entities = [
        {"type": "bold", "offset": 0, "length": 4},
        {"type": "italic", "offset": 2, "length": 5},
        {"type": "underline", "offset": 2, "length": 1},
    ]
    await outside.bot("sendMessage", chat_id=person, text="abcdefgh", entities=entities)
    await page.open(outside.url)
    await page.until("document.querySelector('.text em')")
    html = await page.run("""(() => { const copy = document.querySelector('.text').cloneNode(true);
        copy.querySelectorAll('.meta, .visually-hidden').forEach(node => node.remove());
        return copy.innerHTML; })()""")
    assert html == "<strong>ab<em><u>c</u>d</em></strong><em>efg</em>h"


async def test_edits_and_buttons(outside: Any, page: Page):
    person = await outside.person("You")
    await page.open(outside.url)
    await page.until(ONLINE)
    markup = {"inline_keyboard": [[{"text": "Done", "callback_data": "d"}]]}
    await outside.updates()
    await outside.bot("sendMessage", chat_id=person, text="Tea", reply_markup=markup)
    await page.until("document.querySelector('.keyboard button')")
    await page.click(".keyboard button")
    [pressed] = await updates(outside)
    assert pressed["callback_query"]["data"] == "d"
    await outside.bot("editMessageText", chat_id=person, message_id=1, text="Tea, done")
    await page.until(f"{last()}.includes('Tea, done')")
    assert await page.run("document.querySelectorAll('.row.bot:not(.typing)').length") == 1


async def test_a_lost_connection_is_told_and_heals(outside: Any, page: Page):
    await page.open(outside.url)
    await page.until(ONLINE)
    await page.call("Network.enable")
    page.provoked.add("net::ERR_INTERNET_DISCONNECTED")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await page.call("Network.emulateNetworkConditions", offline=True, **offline)
    await page.until("!document.querySelector('#offline').hidden")
    await page.click("#text")
    await page.write("lost")
    await page.press("Enter")
    await page.until("document.querySelector('.failed')")
    await page.click("#retry")
    await page.until("!document.querySelector('#offline').hidden")
    await page.call("Network.emulateNetworkConditions", offline=False, **offline)
    await page.until("document.querySelector('#offline').hidden")
    await page.click(".failed")
    assert [u["message"]["text"] for u in await updates(outside)] == ["lost"]


@pytest.mark.parametrize(("width", "height"), [(360, 640), (390, 844), (1280, 800)])
async def test_nothing_is_wider_than_the_window(outside: Any, page: Page, width: int, height: int):
    person = await outside.person("You")
    pre = {"type": "pre", "offset": 0, "length": 300}
    await outside.bot("sendMessage", chat_id=person, text="x" * 300, entities=[pre])
    await outside.bot("sendMessage", chat_id=person, text="y" * 300)
    await page.window(width, height)
    await page.open(outside.url)
    await page.until("document.querySelectorAll('.row .text').length === 2")
    overflow = """[document.documentElement, document.querySelector('#scroller')]
        .map(part => part.scrollWidth - part.clientWidth)"""
    assert await page.run(overflow) == [0, 0]
    bottom = "document.querySelector('#composer').getBoundingClientRect().bottom"
    assert await page.run(bottom) <= height


async def test_people_have_chats_of_their_own(outside: Any, page: Page):
    ada = await outside.person("Ada")
    await outside.bot("sendMessage", chat_id=ada, text="for Ada")
    await page.open(outside.url)
    await page.until(ONLINE)
    await page.until("!document.querySelector('#welcome').hidden")
    await page.click("#person")
    await page.until("document.querySelectorAll('#people-list button').length === 2")
    await page.click("#people-list button")
    await page.until(f"{last()}?.includes('for Ada')")
    assert await page.run("document.querySelector('#person-name').textContent") == "Ada"
