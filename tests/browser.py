"""Headless Chromium over the WebDriver protocol, with nothing but the standard library.

Pages are looked at as a reader does: opened from a file, at the width of a desk or of a phone, in light or
in the dark. What they write to the console and what they ask the network for is kept, and must be nothing.
"""

import base64
import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
OWN = ("data:", "chrome:")  # in the page itself; of the tab the browser starts with
PATIENCE = 60  # seconds; the browser starts slowly on a busy machine
DESK, PHONE = (1280, 900), (390, 844)


@dataclass(slots=True)
class Browser:
    """A browser with one tab.

    Attributes:
        address: Of the driver.
        session: Its name for this browser.
        console: What pages have written to the console so far.
        requests: Every address that was asked for, but for the pages themselves.
    """

    address: str
    session: str = ""
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, fragment: str = "", size: tuple[int, int] = DESK) -> None:
        """Show a file at this width and height."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics, mobile=size == PHONE)
        self.call("POST", "/url", url="about:blank")  # a new fragment alone would not load it again
        self.call("POST", "/url", url=path.resolve().as_uri() + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        """What a function body of JavaScript returns."""
        return self.call("POST", "/execute/sync", script=script, args=arguments)

    def settled(self, script: str, *arguments: object) -> Any:
        """The same, after what the script set off has been drawn."""
        self.run(script, *arguments)
        again = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(null)))"
        return self.call("POST", "/execute/async", script=again, args=[])

    def press(self, selector: str, keys: str) -> None:
        """Type into an element."""
        found = self.call("POST", "/element", using="css selector", value=selector)
        self.call("POST", f"/element/{next(iter(found.values()))}/value", text=keys)

    def text(self, selector: str) -> str:
        """What a reader sees of the first such element."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def prefer(self, scheme: str = "light", media: str = "") -> None:
        """Light or dark; `media="print"` for paper."""
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", media=media, features=[scheme_feature])

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page, or of what is in sight."""
        root = "document.documentElement"
        across, down = self.run(f"return [{root}.scrollWidth, {root}.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": across, "height": down, "scale": 1}
        shot = (
            self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
            if whole
            else self.devtools("Page.captureScreenshot")
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def devtools(self, command: str, **parameters: object) -> Any:
        """A command of the DevTools protocol."""
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def heard(self) -> list[str]:
        """Errors and requests since the browser was started: of a page that is whole and quiet, none."""
        for one in self.call("POST", "/se/log", type="browser"):
            self.console.append(one["message"])
        for one in self.call("POST", "/se/log", type="performance"):
            event = json.loads(one["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                own = event["params"].get("type") == "Document" or url.startswith(OWN)
                if not own:
                    self.requests.append(url)
        return self.console + self.requests

    def call(self, method: str, path: str, **body: object) -> Any:
        """One command of the WebDriver protocol."""
        whole = f"{self.address}/session" + (f"/{self.session}{path}" if self.session else "")
        sent = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(
            whole, sent, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise AssertionError(f"{told['error']}: {told['message'][:2000]}") from None


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser of its own, with its profile in `folder`; skipped where Chromium is not installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    with subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        made = None
        try:
            made = Browser(f"http://127.0.0.1:{_port(process)}")
            wanted = {
                "goog:chromeOptions": {
                    "binary": chromium,
                    "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}"],
                },
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            started = made.call("POST", "", capabilities={"alwaysMatch": wanted})
            made.session = started["sessionId"]
            yield made
        finally:
            if made is not None and made.session:
                made.call("DELETE", "")
            process.terminate()


def _port(process: subprocess.Popen[str]) -> int:
    """The driver tells which port it found free."""
    assert process.stdout is not None
    for line in process.stdout:
        if "started successfully on port" in line:
            return int(line.rstrip().rstrip(".").rsplit(" ", 1)[1])
    raise AssertionError("chromedriver did not start")
