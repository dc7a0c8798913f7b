"""A headless Chromium driven over the DevTools protocol; the fixture `browser` of conftest.py gives one.

page = browser.open(file.as_uri(), width=360, dark=True)
assert page.evaluate("document.title") == "…" and not page.errors and not page.requests
"""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 30  # to wait for anything
KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), " ": (" ", 32), "ArrowRight": ("", 39)}


class Browser:
    """One Chromium process with a profile of its own. Use as a context manager."""

    def __init__(self, profile: Path):
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        own = [f"--user-data-dir={profile}", "--remote-debugging-port=0", "--no-first-run", "about:blank"]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([CHROMIUM, *flags, *own], **streams)
        told = profile / "DevToolsActivePort"
        _wait(lambda: told.is_file() and "\n" in told.read_text(), f"{CHROMIUM} opened no DevTools port")
        self.port = told.read_text().split()[0]
        self.pages: list[Page] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for page in self.pages:
            page.close()
        self.process.terminate()
        self.process.wait(SECONDS)

    def open(self, url: str, width: int = 1400, height: int = 900, dark: bool = False, scripts: bool = True) -> "Page":
        """A page in a tab of its own, loaded. Args: width, height in CSS px; dark — colour scheme; scripts — run."""
        new = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(new, timeout=SECONDS) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        self.pages.append(page)
        page.resize(width, height)
        page.emulate(dark=dark)
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.go(url)
        return page


class Page:
    """A tab. `errors`: console errors, exceptions, policy violations; `requests`: addresses asked for, the page's and
    `data:` apart; `opened`: the page's own."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self.number, self.errors, self.requests, self.opened, self.loads = 0, [], [], "", 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self.socket.close()

    def call(self, method: str, **parameters) -> dict:
        """One DevTools command and its result. Raises: RuntimeError with the browser's message."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != self.number:
            self._hear(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def go(self, url: str) -> None:
        """Loads an address and waits for its load event."""
        loads, self.opened = self.loads, url
        self.call("Page.navigate", url=url)
        while self.loads == loads:
            self._hear(json.loads(self.socket.recv()))
        self.call("Log.enable")  # an answer means that what the load told has been heard

    def evaluate(self, script: str):
        """The value of an expression (JSON), a promise awaited. Raises: RuntimeError if it throws."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = SECONDS):
        """The value of an expression as soon as it is true."""
        return _wait(lambda: self.evaluate(script), f"never true: {script}", seconds)

    def click(self, selector: str) -> None:
        """Clicks the middle of the first element that a CSS selector finds, as a mouse does."""
        middle = self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": middle[0], "y": middle[1]}
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def press(self, key: str) -> None:
        """Presses a key of KEYS where the focus is."""
        text, code = KEYS[key]
        names = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **names)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def write(self, text: str) -> None:
        """Types text where the focus is."""
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int = 900) -> None:
        """Sets the window, in CSS px."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def emulate(self, dark: bool = False, media: str = "") -> None:
        """Sets the preferred colour scheme, and the medium (`print`)."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def overflow(self) -> int:
        """By how many px the page is wider than its window."""
        return self.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def screenshot(self, file: Path, whole: bool = True) -> Path:
        """Saves a PNG of the whole page, or of what the window shows."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
        return file

    def print(self, file: Path) -> Path:
        """Saves the page as printed on A4."""
        sheet = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        file.write_bytes(base64.b64decode(sheet["data"]))
        return file

    def _hear(self, event: dict) -> None:
        method, told = event["method"], event["params"]
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append([argument.get("value") for argument in told["args"]])
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = told["request"]["url"]
            if address != self.opened and not address.startswith("data:"):
                self.requests.append(address)


def _wait(condition, complaint: str, seconds: float = SECONDS):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.05)
    return found
