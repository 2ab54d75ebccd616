"""A browser that sees the built site and nothing else."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[3]
SITE = Path(os.environ.get("PSGD_REF_SITE", ROOT / "out/site"))
AXE = ROOT / ".cache/site/npm/node_modules/axe-core/axe.min.js"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# Sums up the shifts of what is on the page while it loads; those that follow a key or a tap are no fault.
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="session")
def address():
    """The site on this machine's loopback."""
    assert (SITE / "index.html").exists(), "build the site first: make site"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, the one that is installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "Chromium is not installed; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield made
        made.close()


class Reader:
    """Somebody who looks at pages, and all that goes wrong while they do."""

    def __init__(self, browser, address, **options):
        self.address = address
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.troubles = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}"))
        self.page.on("response", self._response)
        self.context.route("**/*", self._route)
        self.page.add_init_script(SHIFTS)

    def open(self, path):
        """The page, as soon as it is at rest."""
        self.page.goto(f"{self.address}/{path}", wait_until="load")
        self.page.evaluate("document.fonts.ready")
        return self.page

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _response(self, response):
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def _route(self, route):
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.troubles.append(f"left the machine: {route.request.url}")
            route.abort()


@pytest.fixture
def reader(browser, address):
    """Makes readers, by size, theme and motion; at the end nothing must have gone wrong for any of them."""
    made = []

    def make(width=1440, height=900, dark=False, still=True, **options):
        scheme, motion = ("dark" if dark else "light"), ("reduce" if still else "no-preference")
        size = {"width": width, "height": height}
        made.append(
            Reader(browser, address, viewport=size, color_scheme=scheme, reduced_motion=motion, **options)
        )
        return made[-1]

    yield make
    for each in made:
        each.context.close()
    assert [trouble for each in made for trouble in each.troubles] == []
