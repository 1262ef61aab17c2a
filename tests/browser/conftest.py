"""A local stack with the flows deployed, and its dashboard in a real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from deployments.local.keys import load_keys
from deployments.local.settings import Settings, service_environment
from deployments.local.stack import serve
from deployments.processes import free_port
from tests.browser.dashboard import Dashboard

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# QUIC and the background services would ask the network for what the tests don't need.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parent / "screenshots"
VIEWPORT = {"width": 1400, "height": 900}
# Each page of the dashboard takes seconds of a small machine that has other work too.
PATIENCE_SECONDS = 120


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """The machine's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install -e '.[flows,browser]'")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser found: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, headless=True, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def dashboard(browser, tmp_path_factory) -> Iterator[Dashboard]:
    """The dashboard of a local stack of this session's own."""
    location = tmp_path_factory.mktemp("stack")
    settings = Settings(location, free_port(), free_port(), free_port(), load_keys(location))
    with serve(settings, lambda _text: None):
        link, variables = settings.dashboard_link, service_environment(settings)
        yield Dashboard(settings.dashboard, link, settings.keys.prefect, variables)


@pytest.fixture
def page(browser, request) -> Iterator[object]:
    """A page that has to do with nothing but this machine; what it showed at last is kept."""
    page = browser.new_page(viewport=VIEWPORT)
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    abroad = []

    def refuse(route) -> None:
        abroad.append(route.request.url)
        route.abort()

    page.route(is_abroad, refuse)
    yield page
    take_screenshot(page, f"last-of-{request.node.name}")
    page.close()
    assert abroad == [], "the dashboard asked other machines"


def is_abroad(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "blob:", "data:"))


@pytest.fixture
def keep_screenshot(page) -> Callable[[str], None]:
    """Keep what the page shows as an image among the output of the tests."""
    return lambda name: take_screenshot(page, name)


def take_screenshot(page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{quote(name, safe='[]')}.png", animations="disabled")
