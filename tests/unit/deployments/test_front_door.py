"""Who is let in by what stands before Prefect's server, and what others are told."""

import pytest

from deployments.local.front_door import is_unopened

GOES = {"sec-fetch-mode": "navigate"}
OPENED = {**GOES, "cookie": "a=b; opened-4200=1"}


@pytest.mark.parametrize(
    ("path", "headers", "port", "expected"),
    [
        ("/runs/flow-run/1", GOES, 4200, True),
        ("/v2/runs", GOES, 4200, True),
        ("/runs", OPENED, 4200, False),
        ("/runs", OPENED, 4201, True),
        ("/runs", {**GOES, "cookie": "opened-4200=10"}, 4200, True),
        ("/assets/index.js", {"sec-fetch-mode": "no-cors"}, 4200, False),
        ("/runs", {}, 4200, False),
        ("/api/docs", GOES, 4200, False),
    ],
)
def test_a_browser_without_the_key_is_told_of_the_link(path, headers, port, expected):
    """Where it goes to a page of this stack's dashboard; programs, parts of pages and the API are let be."""
    assert is_unopened(path, headers, port) is expected
