"""The admin's way through the Swagger UI, in a real browser: authorise, create, link, look."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from rest_service.app.config import Settings
from rest_service.tests.support import ADMIN_KEY, until
from service_kit.testing.servers import free_port
from service_kit.web import serve
from tests.harness.browser import Page, browser_page, find_chromium

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the Swagger UI is not checked"),
]
PICTURES = os.environ.get("PICTURES")
"""A folder for pictures of each step, for people who want to see what the admin sees."""


READY = """(() => {
    const block = document.querySelector(%s), { specSelectors, oas3Selectors } = ui.getSystem();
    const path = block.querySelector('[data-path]').dataset.path;
    const method = block.querySelector('.opblock-summary-method').innerText.toLowerCase();
    const text = block.querySelector('textarea');
    return specSelectors.specResolvedSubtree(['paths', path, method])
        && (!text || oas3Selectors.requestBodyValue(path, method) === text.value);
})()"""
"""The page shows an operation before it knows it whole, and a body before it would send it: then the press
of Execute fails the page's own check without a word."""


@pytest.fixture
async def url(app: FastAPI, settings: Settings) -> AsyncIterator[str]:
    place = settings.model_copy(update={"http_host": "127.0.0.1", "http_port": free_port()})
    address = f"http://127.0.0.1:{place.http_port}"
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, place, stop))
    async with httpx2.AsyncClient(base_url=address) as http:

        async def answers() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                return (await http.get("/health")).status_code == 200
            return False

        await until(answers)
    yield address
    stop.set()
    await task


class Swagger:
    """The page as the admin uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._pictures = 0

    async def open(self, url: str) -> None:
        await self.page.open(f"{url}/docs")
        await self.page.until("document.querySelectorAll('.opblock-tag').length >= 8")

    async def click(self, selector: str) -> None:
        # not with the mouse: the page unfolds with animations, and what is aimed at moves away; and in the
        # moment in which it is there, for the page draws it anew at any time
        found = f"document.querySelector({json.dumps(selector)})"
        await self.page.until(f"{found} && !{found}.disabled && ({found}.focus(), {found}.click(), true)")

    async def authorise(self, key: str) -> None:
        await self.click(".auth-wrapper .authorize")
        await self.click(".auth-container input")
        await self.page.write(key)
        await self.picture("authorise")
        await self.click(".auth-btn-wrapper .authorize")
        await self.click(".btn-done")
        await self.page.until("document.querySelector('.auth-wrapper .authorize.locked')")

    async def unfold(self, tag: str, operation: str) -> str:
        """The selector of an operation that is open and can be sent."""
        block = f"#operations-{tag}-{operation}"
        if not await self.page.run(f"!!document.querySelector('{block}')"):
            await self.click(f"#operations-tag-{tag}")
        await self.click(f"{block} .opblock-summary-control")
        await self.page.until(f"document.querySelector('{block} .execute')")
        return block

    async def execute(self, block: str, body: dict[str, Any] | None = None) -> tuple[str, Any]:
        """Send it, the example as it stands unless `body` is given: status and answer."""
        if body is not None:
            await self.click(f"{block} textarea")
            await self.page.run(f"document.querySelector('{block} textarea').select()")
            await self.page.write(json.dumps(body, indent=2))
        await self.page.until(READY % json.dumps(block))
        answer = f"document.querySelector('{block} .live-responses-table')"
        loading = f"document.querySelector('{block} .loading-container')"
        if await self.page.run(f"!!{answer}"):  # of the request before: not to be taken for this one's
            await self.click(f"{block} .btn-clear")
            await self.page.until(f"!{answer}")
        await self.click(f"{block} .execute")
        await self.page.until(f"{answer} && !{loading}")
        await self.page.until(f"{answer}.querySelector('tbody .response-col_description code')")
        await self.page.run(f"{answer}.scrollIntoView({{block: 'center'}})")
        await self.picture(block.rpartition("-")[2])
        status = await self.page.run(f"{answer}.querySelector('tbody .response-col_status').innerText")
        text = await self.page.run(
            f"{answer}.querySelector('tbody .response-col_description code').innerText"
        )
        return status.split()[0], json.loads(text)

    async def picture(self, name: str) -> None:
        self._pictures += 1
        if PICTURES:
            await self.page.screenshot(Path(PICTURES) / f"{self._pictures:02}-{name}.png")


@pytest.fixture
async def swagger(url: str, tmp_path: Path) -> AsyncIterator[Swagger]:
    assert CHROMIUM is not None
    async with browser_page(CHROMIUM, tmp_path / "profile") as page:
        await page.window(1280, 900)
        opened = Swagger(page)
        await opened.open(url)
        yield opened
        # a refusal is an error to the browser's console; anything else there is one to us
        assert [text for text in page.errors if "status of 4" not in text] == []


async def test_authorise_create_link_and_look(swagger: Swagger, url: str):
    await swagger.picture("first-look")
    listing = await swagger.unfold("assistants", "list_assistants")
    status, refusal = await swagger.execute(listing)
    assert (status, refusal["code"]) == ("401", "unauthorized")
    await swagger.authorise(ADMIN_KEY)

    creating = await swagger.unfold("assistants", "create_assistant")
    await swagger.picture("form")
    status, assistant = await swagger.execute(creating)
    assert (status, assistant["name"]) == ("201", "Travel planner"), assistant
    status, again = await swagger.execute(creating)
    assert (status, again["field"]) == ("409", "name")

    status, tool = await swagger.execute(await swagger.unfold("tools", "create_tool"))
    assert (status, tool["name"]) == ("201", "world_clock"), tool
    linking = await swagger.unfold("assistant-tools", "create_assistant_tool")
    ids = {"assistant_id": assistant["id"], "tool_id": tool["id"]}
    status, link = await swagger.execute(linking, ids)
    assert (status, link["tool_id"]) == ("201", tool["id"]), link

    status, links = await swagger.execute(await swagger.unfold("assistant-tools", "list_assistant_tools"))
    assert (status, [row["id"] for row in links]) == ("200", [link["id"]])
    status, assistants = await swagger.execute(listing)
    assert (status, [row["name"] for row in assistants]) == ("200", ["Travel planner"])

    await swagger.open(url)  # the key is remembered
    await swagger.page.until("document.querySelector('.auth-wrapper .authorize.locked')")
    status, _ = await swagger.execute(await swagger.unfold("tools", "list_tools"))
    assert status == "200"


async def test_the_tags_stand_in_the_order_of_the_work(swagger: Swagger):
    tags = await swagger.page.run(
        "[...document.querySelectorAll('.opblock-tag')].map(tag => tag.dataset.tag)"
    )
    assert tags[:3] == ["assistants", "tools", "assistant-tools"]
    assert tags[-1] == "health"


async def test_nothing_is_wider_than_a_narrow_window(swagger: Swagger):
    await swagger.page.window(480, 800)
    await swagger.unfold("tools", "create_tool")
    await swagger.picture("narrow")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await swagger.page.run(overflow) <= 0
