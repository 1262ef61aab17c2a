"""The dashboard as one sees it: a run from the deployment's form to its artifacts; a failed run's report."""

import re

import pytest

from deployments.local.settings import REPOSITORY
from flows.top_n_words import top_n_words
from tasks.spec.specs import Cleanup, PoolSpec
from tests.browser.conftest import PATIENCE_SECONDS, take_screenshot
from tests.browser.dashboard import description, field
from tests.flows.services import write_files

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

RUN_SECONDS = 240
FILLED = {"Number of words": "4", "Delay seconds": "2", "Nodes": "2"}
FAILING = """sh -c 'grep -q fine "$FAN_OUT_INPUT" || (echo "nothing fine in $FAN_OUT_NAME" >&2; exit 3)'"""


@pytest.fixture
def expect(browser):
    """Playwright's assertions, which wait for what they state."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    return expect


@pytest.fixture
def wait_for_end(dashboard, page, expect):
    """Wait until the page of a flow run shows that state."""

    def wait(run_id: str, state: str) -> None:
        dashboard.open_run(page, run_id)
        ended = page.get_by_text(re.compile(r"^\s*(Completed|Failed|Crashed)\s*$")).first
        expect(ended).to_be_visible(timeout=RUN_SECONDS * 1000)
        assert ended.inner_text().strip() == state, page.locator("body").inner_text()
        # What the page fetched while the run went on it doesn't always fetch again.
        dashboard.open_run(page, run_id)

    return wait


def test_a_run_from_the_form_to_the_picture(dashboard, page, expect, wait_for_end, keep_screenshot, tmp_path):
    """A run that is started from the form completes, and its four artifacts tell what became of it."""
    dashboard.open_form(page, "top-n-words/count-words")
    field(page, "Run Name").fill("from-the-form")
    for label, value in {
        "Inputs": str(REPOSITORY / "data"),
        "Output folder": str(tmp_path),
        **FILLED,
    }.items():
        field(page, label).fill(value)
    keep_screenshot("form")
    answer = dashboard.submit(page)
    assert answer.status == 201, answer.text()
    expect(page.get_by_text("scheduled to start").first).to_be_visible()
    assert_untouched_fields_are_defaults(answer.json()["parameters"])
    run_id = answer.json()["id"]
    wait_for_end(run_id, "Completed")
    expect(page.locator("body")).to_contain_text("from-the-form: data, 3 files")
    expect(page.locator("body")).to_contain_text("dataset:data")
    expect(page.locator("body")).to_contain_text("Files: 3, 3 succeeded, 0 failed")
    keep_screenshot("run")

    dashboard.open_artifact_of(page, run_id, "fan-out-progress")
    expect(page.get_by_text("Progress: 100%")).to_be_visible()
    expect(page.get_by_text("3/3, 0 running, 0 waiting")).to_be_visible()
    keep_screenshot("progress")

    dashboard.open_run(page, run_id)
    dashboard.open_artifact(page, "fan-out-files")
    row = page.get_by_role("row").filter(has_text="taskdata2.txt")
    expect(row).to_contain_text("succeeded")
    expect(row.get_by_text("taskdata2_OUTPUT.txt", exact=True)).to_be_visible()
    keep_screenshot("files")

    dashboard.open_run(page, run_id)
    dashboard.open_artifact(page, "fan-out-summary")
    expect(page.get_by_role("listitem").filter(has_text="Files: 3, 3 succeeded, 0 failed")).to_be_visible()
    keep_screenshot("summary")

    for ui in ("", "/v2"):
        dashboard.open_artifact_of(page, run_id, "fan-out-timeline", ui)
        picture = page.get_by_role("img", name="3 files, 3 succeeded, 0 failed")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 500")
        keep_screenshot(f"timeline{ui.replace('/', '-')}")


def assert_untouched_fields_are_defaults(recorded: dict) -> None:
    """What the server made of the form the flow takes as the values filled in, and its own defaults."""
    taken = top_n_words.validate_parameters(recorded)
    assert taken["num_words"] == 4
    assert (taken["nodes"], taken["pool"]) == (2, PoolSpec())
    assert taken["cleanup"] == Cleanup()
    assert (taken["timeout_seconds"], taken["run_key"], taken["accounts"]) == (1200, None, None)


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        ("Number of words", "0", "Validation failed for field 'num_words'."),
        ("Nodes", "0", "Validation failed for field 'nodes'."),
    ],
)
def test_an_invalid_value_is_refused(dashboard, page, expect, keep_screenshot, label, value, message):
    """The form says which field it is that the server doesn't take, and there is no flow run."""
    before = dashboard.count_runs()
    dashboard.open_form(page, "top-n-words/count-words")
    field(page, label).fill(value)
    assert dashboard.submit(page).status == 409
    expect(page.get_by_text(message).first).to_be_visible()
    keep_screenshot("form-refused")
    assert dashboard.count_runs() == before


def test_a_failed_run_says_why(dashboard, page, expect, wait_for_end, keep_screenshot, tmp_path):
    """The page of a failed run leads to the file that failed, its exit code and what it printed."""
    inputs = write_files(tmp_path / "in", {"good.txt": "all is fine", "bad.txt": "nothing of the kind"})
    parameters = {
        "inputs": str(inputs),
        "application": None,
        "command": FAILING,
        "output_dir": str(tmp_path / "out"),
    }
    run_id = dashboard.start("fan-out/run-program", parameters)
    wait_for_end(run_id, "Failed")
    expect(page.locator("body")).to_contain_text("nothing fine in bad.txt")
    keep_screenshot("failed-run")

    dashboard.open_artifact(page, "fan-out-summary")
    report = page.get_by_role("article").filter(has_text="Failed files")
    expect(report).to_contain_text("bad.txt: exit code 3")
    expect(report).to_contain_text("nothing fine in bad.txt")
    keep_screenshot("failed-summary")

    dashboard.open_run(page, run_id)
    dashboard.open_artifact(page, "fan-out-files")
    expect(page.get_by_role("row").nth(1)).to_contain_text("bad.txt")
    expect(page.get_by_role("row").nth(1)).to_contain_text("exit code 3")
    keep_screenshot("failed-files")
    with page.expect_popup() as opened:
        page.get_by_role("row").nth(1).get_by_role("link", name="log").click()
    expect(opened.value.get_by_text("nothing fine in bad.txt")).to_be_visible()
    take_screenshot(opened.value, "failed-log")


@pytest.mark.parametrize("deployment", ["top-n-words/count-words", "fan-out/run-program"])
def test_the_form_describes_each_parameter(dashboard, page, deployment, keep_screenshot):
    """Each parameter of a flow and each field of its models has a text beside its name."""
    dashboard.open_form(page, deployment)
    labels = page.locator("label .schema-form-property__label").all_inner_texts()
    names = [label.removesuffix(" (Optional)").removesuffix("*").strip() for label in labels]
    assert {"Inputs", "Nodes", "Time limit in seconds", "Pool"} <= set(names)
    assert [name for name in names if not description(page, name)] == []
    keep_screenshot(f"form-{deployment.partition('/')[0]}")


@pytest.mark.parametrize("ui", ["", "/v2"])
def test_the_printed_link_signs_in(browser, dashboard, ui):
    """In a browser that knows nothing, both dashboards list the deployments after one click on the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(dashboard.link.replace("#", f"?page={ui}/deployments#"))
    page.get_by_text("nightly").first.wait_for()
    context.close()


@pytest.mark.parametrize("key", ["local:another", "%", "local:%C5%81"])
def test_a_link_of_another_stack_is_told(browser, dashboard, key):
    """A key that doesn't open this stack, or is none, is not kept, and the page says what to do."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{dashboard.address}/open#{key}")
    page.get_by_text("This link is of another local stack").wait_for()
    assert page.evaluate("localStorage.length") == 0
    context.close()


@pytest.mark.parametrize("ui", ["", "/v2"])
def test_a_page_without_the_key_says_what_opens_it(browser, dashboard, ui):
    """Of an address as a terminal prints it: the page names the link that is needed, and works after it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{dashboard.address}{ui}/deployments")
    page.get_by_text("that its stack has printed at its start").wait_for()
    page.goto(dashboard.link.replace("#", f"?page={ui}/deployments#"))
    page.get_by_text("nightly").first.wait_for()
    # Whoever leaves while the page still asks is signed out by it.
    page.wait_for_load_state("networkidle")
    # A browser that has the key and lost the cookie is let in all the same.
    context.clear_cookies()
    page.goto(f"{dashboard.address}{ui}/deployments")
    page.get_by_text("nightly").first.wait_for()
    context.close()
