"""Several files of a run in one Batch task. Why, and how: docs/decisions/0015-bundles.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.spec.command_line import BUNDLE_FOLDER
from tasks.spec.naming import LOGS_FOLDER, name_task
from tasks.spec.recipe import SOURCE_DIGITS, digest_json
from tasks.spec.work import WorkItem, WorkItems

BUNDLES_FOLDER = ".bundles"
# What the ids of bundles begin with.
BUNDLE = "bundle-of-"


@dataclass(frozen=True)
class Bundle:
    """Some files of a run, of which one Batch task makes the outputs."""

    task_id: str
    items: Sequence[WorkItem]


# What one Batch task does.
Unit = WorkItem | Bundle


def make_bundle(items: Iterable[WorkItem]) -> Bundle:
    """The bundle of these files: its id is a digest of all that makes their outputs, whatever their order."""
    items = WorkItems(items)
    source = digest_json(sorted(item.source for item in items))[:SOURCE_DIGITS]
    return Bundle(name_task(f"{BUNDLE}{len(items)}", source), items)


def make_bundles(items: Sequence[WorkItem], size: int) -> list[Bundle]:
    """The files in bundles of that size, in their order."""
    return [make_bundle(items[start : start + size]) for start in range(0, len(items), size)]


def list_items(unit: Unit) -> Sequence[WorkItem]:
    return unit.items if isinstance(unit, Bundle) else (unit,)


def find_bundles(units: Iterable[Unit]) -> list[Bundle]:
    return [unit for unit in units if isinstance(unit, Bundle)]


def map_bundled(bundles: Iterable[Bundle]) -> dict[str, str]:
    """The ids of the bundles of files, by the ids that the files' own Batch tasks would have."""
    return {item.task_id: bundle.task_id for bundle in bundles for item in bundle.items}


def bundled_log(task_id: str, log: str) -> str:
    """Where on its node what a file's program has printed lies, below the folder of the bundle's task."""
    return f"wd/{BUNDLE_FOLDER}/files/{task_id}/{log}"


def manifest_blob(job_id: str, task_id: str) -> str:
    """Where in the input container it stands what a bundle is to do."""
    return f"{BUNDLES_FOLDER}/{job_id}/{task_id}.json"


def outcomes_blob(job_id: str, task_id: str) -> str:
    """Where in the output container it stands what has become of a bundle's files."""
    return f"{LOGS_FOLDER}/{BUNDLES_FOLDER}/{job_id}/{task_id}.json"
