"""Where things are in Prefect's dashboard (its first UI), and its API beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SUBMISSIONS = 5
# What this UI says for any error that has no explanation, of which one is usual: the server answers 503 while
# its SQLite database is being written to. Prefect's client then asks again, the UI leaves that to the user.
BUSY = "Something went wrong trying to create a flow run"


@dataclass(frozen=True)
class Dashboard:
    """One stack's dashboard."""

    address: str

    def open_form(self, page: Page, deployment: str) -> None:
        """The page on which a run of the deployment, `flow/name`, is started."""
        found = self.api("GET", f"/deployments/name/{deployment}")
        page.goto(f"{self.address}/deployments/deployment/{found['id']}/run")
        page.get_by_role("button", name="Submit").wait_for()

    def submit(self, page: Page) -> None:
        """Start the run that the form describes, and follow the message's link to its page.

        The list of runs that the UI shows next may lack the run: it leaves out those that are only scheduled,
        and is fetched once.
        """
        started, busy = page.get_by_role("button", name="View run").first, page.get_by_text(BUSY).first
        for _ in range(SUBMISSIONS):
            page.get_by_role("button", name="Submit").click()
            started.or_(busy).first.wait_for()
            if started.is_visible():
                break
            busy.wait_for(state="hidden")
        started.click()
        page.wait_for_url("**/runs/flow-run/**")

    def open_run(self, page: Page, run_id: str) -> None:
        page.goto(f"{self.address}/runs/flow-run/{run_id}")

    def open_artifact(self, page: Page, key: str) -> None:
        """From the page of a flow run through its tab Artifacts."""
        page.get_by_role("tablist").get_by_text("Artifacts", exact=True).click()
        page.get_by_role("link", name=key).click()
        page.wait_for_url("**/artifacts/artifact/**")

    def open_progress(self, page: Page, run_id: str) -> None:
        """The progress belongs to a task run, so the run's tab does not always list it."""
        chosen = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["fan-out-progress"]}}
        (found,) = self.api("POST", "/artifacts/filter", {"artifacts": chosen})
        page.goto(f"{self.address}/artifacts/artifact/{found['id']}")

    def start(self, deployment: str, parameters: dict[str, object]) -> str:
        """Start a run through the API, and return its id."""
        found = self.api("GET", f"/deployments/name/{deployment}")
        path = f"/deployments/{found['id']}/create_flow_run"
        return self.api("POST", path, {"parameters": parameters})["id"]

    def api(self, method: str, path: str, body: object = None):
        response = httpx.request(method, f"{self.address}/api{path}", json=body, trust_env=False, timeout=30)
        response.raise_for_status()
        return response.json()


def labelled(page: Page, label: str) -> Locator:
    """The part of a form with that label; a parameter with a default has "(Optional)" after it.

    A part with parts of its own stands around them, so the last one that holds the label is the label's own.
    """
    name = re.compile(rf"^{re.escape(label)}( \(Optional\))?$")
    return page.locator(".p-label").filter(has=page.locator("label").filter(has_text=name)).last


def field(page: Page, label: str) -> Locator:
    return labelled(page, label).locator("textarea, input").first


def description(page: Page, label: str) -> str:
    """What the form says below a parameter's name."""
    return labelled(page, label).get_by_role("article").first.inner_text()
