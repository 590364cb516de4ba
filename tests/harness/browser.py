"""A tiny client of the Chrome DevTools Protocol: enough to drive one page and look at it."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip
START_TIMEOUT = 60.0
END_TIMEOUT = 15.0
WAIT_TIMEOUT = 40.0


def find_chromium() -> str | None:
    """The browser's binary, None where there is none."""
    given = os.environ.get("CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


_AIM = """new Promise((resolve, reject) => {
    const selector = %s, end = Date.now() + 30000;
    let before = "", why = "is not there";
    const runs = (animation) => animation.playState === "running";
    const isAnimated = (element) =>
        element && (element.getAnimations().some(runs) || isAnimated(element.parentElement));
    const look = () => {
        const element = document.querySelector(selector);
        if (element) {
            let box = element.getBoundingClientRect();
            if (box.top < 0 || box.bottom > innerHeight) {
                element.scrollIntoView({block: "nearest", behavior: "instant"});
                box = element.getBoundingClientRect();
            }
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const now = JSON.stringify([box.x, box.y, box.width, box.height]);
            const top = document.elementFromPoint(x, y);
            if (!element.contains(top)) why = "is behind " + (top?.outerHTML.slice(0, 200) ?? "nothing");
            else if (now !== before || isAnimated(element)) why = "moves";
            else return resolve([x, y]);
            before = now;
        }
        if (Date.now() > end) reject(new Error(selector + " " + why));
        else requestAnimationFrame(() => requestAnimationFrame(look));
    };
    look();
})"""
"""Where to press: the same place before and after a new picture was drawn, and nothing in front of it.

On a busy machine time passes without a picture, and what moves seems to stand still."""


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        """Uncaught exceptions and refused loads of the page, but for those that the test provokes."""
        self.provoked: set[str] = set()
        """Words of errors that are no fault of the page; they may arrive late."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(WAIT_TIMEOUT):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    if "error" in message:
                        raise RuntimeError(f"{method}: {message['error']}")
                    return dict(message["result"])
                self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(event["params"]["exceptionDetails"])[:1000])
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            text = event["params"]["entry"]["text"]
            if not any(words in text for words in self.provoked):
                self.errors.append(text)

    async def open(self, url: str) -> None:
        """Go to `url`."""
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def window(self, width: int, height: int, *, dark: bool = False, touch: bool = False) -> None:
        """Look like a device."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:1000])
        return result["result"].get("value")

    async def until(self, condition: str, *, seconds: float = WAIT_TIMEOUT * 0.9) -> None:
        """Wait until a JavaScript expression is true; RuntimeError when that takes longer."""
        script = f"""new Promise((resolve, reject) => {{
            const end = Date.now() + {seconds * 1000};
            const look = () => {{
                let value = false;
                try {{ value = (() => {condition})(); }} catch {{ /* the page is not there yet */ }}
                if (value) resolve(true);
                else if (Date.now() > end) reject(new Error("never: " + {json.dumps(condition)}));
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        await self.run(script)

    async def click(self, selector: str) -> None:
        """Press the middle of an element with the mouse, once it is there, stands still and is on top."""
        place = await self.run(_AIM % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    async def write(self, text: str) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press Enter, Escape, …"""
        text = {"Enter": "\r"}.get(key, "")
        common = {
            "key": key,
            "code": key,
            "modifiers": 8 if shift else 0,
            "windowsVirtualKeyCode": 13 if text else 0,
        }
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def screenshot(self, path: Path) -> None:
        """What is seen, as PNG."""
        picture = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))


@asynccontextmanager
async def browser_page(binary: str, folder: Path, *, language: str = "en-US") -> AsyncIterator[Page]:
    """A tab of a new browser whose profile lies in `folder`."""
    process = await asyncio.create_subprocess_exec(
        binary, *FLAGS, f"--user-data-dir={folder}", f"--lang={language}", f"--accept-lang={language}",
        "about:blank", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(folder)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _tab(session, port), max_msg_size=0) as socket,
        ):
            yield Page(socket)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _tab(session: aiohttp.ClientSession, port: int) -> str:
    """The address of the first tab, which opens a moment after the browser listens."""
    async with asyncio.timeout(START_TIMEOUT):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                tabs = await response.json()
            for tab in tabs:
                if tab["type"] == "page":
                    return str(tab["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)


async def _port(folder: Path) -> int:
    """The browser writes its port into its profile once it listens."""
    file = folder / "DevToolsActivePort"
    async with asyncio.timeout(START_TIMEOUT):
        while not (file.exists() and file.read_text().count("\n")):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
