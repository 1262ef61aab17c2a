"""What a flow run is called in Prefect's lists: the name that it was given, and what it is over."""

import os
from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from tasks.base.printable import make_printable
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.input_files import InputFile, find_folders


def label_flow_run(files: Sequence[InputFile]) -> None:
    """Add the dataset and the number of its files to the flow run's name, and the dataset to its tags.

    A server that refuses becomes a warning: a run doesn't fail for its name.
    """
    if flow_run.id is None:
        return
    dataset = find_dataset(files)
    name, tags = build_run_name(flow_run.name, dataset, len(files)), {*flow_run.tags, f"dataset:{dataset}"}
    with left_out_on_failure("The dataset in the flow run's name"), get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=make_printable(name), tags=sorted(map(make_printable, tags)))


def name_flow_run(name: str) -> None:
    """Give the flow run that this runs in another name, if the server takes it."""
    if flow_run.id is None:
        return
    with left_out_on_failure("The flow run's name"), get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=make_printable(name))


def build_run_name(given: str, dataset: str, count: int) -> str:
    """The name that a run was given and what it is over, which a later attempt of it finds there."""
    over = f"{dataset}, {count:,} file{'' if count == 1 else 's'}"
    return given if given.endswith(f": {over}") else f"{given}: {over}"


def find_dataset(files: Sequence[InputFile]) -> str:
    """The name of the folder in which all the files are, or of the only file."""
    if len(files) == 1:
        return os.path.basename(files[0].name)
    folder = os.path.commonpath(list(map(os.path.abspath, find_folders(files))))
    return os.path.basename(folder) or folder
