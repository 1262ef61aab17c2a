"""Runs that tell what their nodes cost, and that end when it is enough."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from prefect.artifacts import Artifact

from flows.fan_out import fan_out
from flows.submitting import Submitted
from tasks.base.listeners import listening
from tasks.errors import CostLimitError, InputError
from tasks.plans import Plan
from tasks.report.failed_logs import make_plain
from tasks.reuse.earlier_attempts import list_computed
from tasks.reuse.earlier_runs import read_program
from tasks.spec.naming import names_of_run
from tasks.spec.prices import PriceSpec
from tasks.spec.recipe import digest_recipe
from tasks.spec.specs import Cleanup
from tasks.spec.work import WorkItems
from tasks.watch.progress import Counts
from tasks.watch.spending import Spending
from tests.flows.services import batch, wait_for_remains, write_files
from tests.price_list import ROW, page, send, served

PRICES = PriceSpec(public=True, region="WestEurope", currency="EUR")
LISTED = ROW | {"retailPrice": 3600, "currencyCode": "EUR"}
KEEP = Cleanup(containers="never", job="never")


@pytest.fixture
def listed(monkeypatch) -> Iterator[list[str]]:
    """What the public price list is asked, which has one price."""
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        send(handler, page([LISTED]))

    with served(answer) as address:
        monkeypatch.setenv("AZURE_RETAIL_PRICES_URL", address)
        yield asked


def test_at_the_limit_no_task_begins_and_those_that_run_are_finished(kept, tmp_path, monkeypatch, listed):
    """The error says what was spent; the next attempt does the rest, and what it cost is in the summary."""
    inputs = write_files(tmp_path / "in", {f"{number}.txt": f"text {number}" for number in range(3)})
    hold, ran = tmp_path / "hold", tmp_path / "ran"
    hold.touch()
    script = f'echo "$FAN_OUT_NAME" >> {ran}; while [ -e {hold} ]; do sleep 0.1; done; cat "$FAN_OUT_INPUT"'
    run = {"inputs": str(inputs), "application": None, "command": f"sh -c '{script}'"}
    run |= {"output_dir": str(tmp_path / "out"), "run_key": kept, "prices": PRICES}

    def let_go_at_the_limit(news: object) -> None:
        if isinstance(news, Counts) and batch().get_job(names_of_run(kept).job_id).state == "disabling":
            hold.unlink(missing_ok=True)

    with monkeypatch.context() as patch, listening(let_go_at_the_limit):
        # What is enough is a matter of time, and of unit tests: here, as soon as a program runs.
        patch.setattr(Spending, "is_over", lambda self, now, part=1.0: ran.exists())
        patch.setattr("tasks.waiting.HEALTH_SECONDS", 0.2)
        with pytest.raises(CostLimitError, match=r"node-hours of STANDARD_D2S_V3, about .* EUR") as caught:
            fan_out(**run, max_cost=1, cleanup=KEEP)
    assert list(caught.value.result.outputs) == ran.read_text().split()
    assert caught.value.result.counts == {"succeeded": 1, "unfinished": 2}
    wait_for_remains(kept, {"containers", "job"})

    (output,) = (tmp_path / "out").glob("*.txt")
    output.unlink()
    with pytest.raises(CostLimitError, match="Earlier attempts of the run") as caught:
        fan_out(**run, max_cost=1e-9, cleanup=KEEP)
    # Nothing is run, but what was made is fetched, and told.
    assert caught.value.result.counts == {"succeeded": 1, "unfinished": 2}
    assert output.exists()
    wait_for_remains(kept, {"containers", "job"})

    result = fan_out(**run, cleanup=KEEP)
    assert 0 < result.spent.earlier.total < result.spent.hours.total
    assert sorted(ran.read_text().split()) == sorted(result.outputs)
    assert result.spent.hours.dedicated > 0
    assert result.spent.cost == pytest.approx(3600 * result.spent.hours.dedicated)
    assert make_plain(f"Nodes: {result.spent} until the end") in Artifact.get("fan-out-summary").data
    assert len(listed) == 1, "the other attempts have it from Prefect's cache"


def test_uploads_that_end_early_keep_no_output_back(kept, tmp_path, monkeypatch):
    """What tasks of an earlier attempt's job have made meanwhile is fetched, though nobody waits for them."""
    inputs = write_files(tmp_path / "in", {"a.txt": "text a"})
    run = {"inputs": str(inputs), "application": None, "command": "cat {input}", "run_key": kept}
    run |= {"output_dir": str(tmp_path / "out"), "cleanup": KEEP}
    (output,) = map(Path, fan_out(**run).outputs.values())
    output.unlink()

    def end_early(plan: Plan, *_) -> Submitted:
        recipe = digest_recipe(plan.spec, None, read_program(plan))
        [items] = list_computed.fn(plan.outputs, plan.files, recipe)
        return Submitted([], WorkItems(items), stopped=CostLimitError("enough"))

    monkeypatch.setattr("flows.running.submit_files", end_early)
    with pytest.raises(CostLimitError, match="enough") as caught:
        fan_out(**run)
    assert (caught.value.result.counts, output.read_text()) == ({"succeeded": 1}, "text a")


def test_a_limit_without_a_price_is_refused_in_the_plan(accounts, tmp_path):
    """Nothing is made."""
    inputs = write_files(tmp_path / "in", {"a.txt": "a"})
    with pytest.raises(InputError, match="max_cost needs to know what a node costs"):
        fan_out(str(inputs), None, "cat {input}", str(tmp_path / "out"), max_cost=5)
