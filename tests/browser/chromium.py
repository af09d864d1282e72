"""A real Chromium, driven over its DevTools protocol. No driver, no further package."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.browser.called_off import CALLED_OFF

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Tab:
    """One page: commands by id, events kept as they come."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.session = ""
        self.events: list[dict[str, Any]] = []

    async def listen(self) -> None:
        """Sort what the browser says until it hangs up."""
        async for raw in self._socket:
            message = json.loads(raw)
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if not answer.done():  # Whoever asked may have given up.
                    answer.set_result(message)
            else:
                self.events.append(message)

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result."""
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        command: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        await self._socket.send(json.dumps(command))
        async with asyncio.timeout(20):
            message = await answer
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = await self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str, seconds: float = 15) -> None:
        """Wait until the expression is true."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        if await self.evaluate(f"Boolean({expression})"):
                            return
                    except AssertionError:
                        pass  # The page is just being replaced by the next one.
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never true: {expression}") from None

    async def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Size and colour scheme."""
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        scheme = "dark" if dark else "light"
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def photograph(self, path: Path) -> None:
        """A PNG of what is on the screen."""
        shot = await self.do("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def middle_of(self, selector: str) -> tuple[float, float]:
        """Where to point at for an element."""
        box = await self.evaluate(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])({_find(selector)}.getBoundingClientRect())"
        )
        return box[0], box[1]

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """``mousePressed``, ``mouseMoved`` or ``mouseReleased`` of the left button."""
        await self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    async def key(self, kind: str, key: str, *, repeat: bool = False) -> None:
        """``keyDown`` or ``keyUp``."""
        code, number = {"Enter": ("Enter", 13), " ": ("Space", 32)}[key]
        await self.do(
            "Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, autoRepeat=repeat
        )

    async def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self.evaluate(f"{_find(selector)}.focus()")
        await self.do("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Point and click."""
        await self.evaluate(f"{_find(selector)}.scrollIntoView({{block: 'center'}})")
        x, y = await self.middle_of(selector)
        await self.mouse("mousePressed", x, y)
        await self.mouse("mouseReleased", x, y)

    def complaints(self) -> list[str]:
        """Everything the browser logged as a warning or an error: CSP violations, script errors, failed loads."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                # A press calls off the parts that are being fetched; htmx calls that an error.
                if not str(params["args"][0].get("value", "")).startswith(CALLED_OFF):
                    found.append(str(params["args"]))
            elif event["method"] == "Audits.issueAdded" and "Policy" in params["issue"]["code"]:
                found.append(str(params["issue"]))
            elif event["method"] == "Page.javascriptDialogOpening":
                found.append(f"dialog: {params['message']}")
        return found


@asynccontextmanager
async def open_tab(profile: Path) -> AsyncIterator[Tab]:
    """A headless browser with a fresh profile and one blank page."""
    binary = shutil.which("chromium")
    assert binary is not None
    browser = subprocess.Popen(
        [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with (
            connect(await _endpoint(profile), max_size=2**26, proxy=None) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            tab = Tab(socket)
            listener = tasks.create_task(tab.listen())
            targets = (await tab.do("Target.getTargets"))["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            tab.session = (await tab.do("Target.attachToTarget", targetId=page, flatten=True))["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
                await tab.do(f"{domain}.enable")
            try:
                yield tab
            finally:
                listener.cancel()
    finally:
        browser.terminate()
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()


async def _endpoint(profile: Path) -> str:
    note = profile / "DevToolsActivePort"
    async with asyncio.timeout(30):
        while not (note.exists() and note.read_text().count("\n") >= 1):
            await asyncio.sleep(0.05)
    port, path = note.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"


def _find(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"
