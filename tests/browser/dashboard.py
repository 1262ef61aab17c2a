"""Where things are in Prefect's dashboard (its first UI), and its API beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tests.stacks import csrf_headers, prefect_client
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

SUBMISSIONS = 5
BUSY_SECONDS = 30


@dataclass(frozen=True)
class Dashboard:
    """One stack's dashboard; `link` opens it signed in, `auth_string` is for its API, `variables` are what
    its flow runs have in their environment."""

    address: str
    link: str
    auth_string: str
    variables: dict[str, str]

    def go_to(self, page: Page, path: str) -> None:
        """Open a page of the dashboard by the link that the stack prints, which signs in on the way.

        Whoever leaves a page of Prefect's while it still asks for something is signed out by that page: it
        takes the request that was broken off for one with a wrong key.
        """
        page.goto(self.link.replace("#", f"?page={path}#"))
        page.wait_for_url(f"{self.address}{path}*")

    def open_form(self, page: Page, deployment: str) -> None:
        """The page on which a run of the deployment, `flow/name`, is started."""
        found = self.api("GET", f"/deployments/name/{deployment}")
        self.go_to(page, f"/deployments/deployment/{found['id']}/run")
        page.get_by_role("button", name="Submit").wait_for()

    def submit(self, page: Page) -> Response:
        """Send the form; the server's answer.

        The server answers 503 while its SQLite database is written to. Prefect's client then asks again,
        this UI says that something went wrong and leaves that to the user.
        """
        for _ in range(SUBMISSIONS):
            with page.expect_response("**/create_flow_run") as caught:
                page.get_by_role("button", name="Submit").click()
            if caught.value.status != 503:
                break
        return caught.value

    def open_run(self, page: Page, run_id: str) -> None:
        self.go_to(page, f"/runs/flow-run/{run_id}")

    def open_artifact(self, page: Page, key: str) -> None:
        """From the page of a flow run through its tab Artifacts."""
        page.get_by_role("tablist").get_by_text("Artifacts", exact=True).click()
        page.get_by_role("link", name=key).click()
        page.wait_for_url("**/artifacts/artifact/**")

    def open_artifact_of(self, page: Page, run_id: str, key: str, ui: str = "") -> None:
        """By its address. The progress belongs to a task run, so the tab of its flow run may lack it.

        `ui` is "" or, for the newer of the two UIs, "/v2".
        """
        chosen = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}
        (found,) = self.api("POST", "/artifacts/filter", {"artifacts": chosen})
        self.go_to(page, f"{ui}/artifacts/artifact/{found['id']}")

    def count_runs(self) -> int:
        return self.api("POST", "/flow_runs/count", {})

    def start(self, deployment: str, parameters: dict[str, object]) -> str:
        """Start a run through the API, and return its id."""
        found = self.api("GET", f"/deployments/name/{deployment}")
        path = f"/deployments/{found['id']}/create_flow_run"
        return self.api("POST", path, {"parameters": parameters})["id"]

    def api(self, method: str, path: str, body: object = None):
        """The server's answer, also if its database is busy at first."""
        with prefect_client(self.address, self.auth_string) as client:
            headers = csrf_headers(client) if method != "GET" else {}

            def ask() -> httpx.Response | None:
                response = client.request(method, f"/api{path}", json=body, headers=headers)
                return None if response.status_code == 503 else response

            response = wait_until(ask, BUSY_SECONDS, "answer of the Prefect server", 0.2)
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
