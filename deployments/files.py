"""The files of this folder that Prefect reads, as data."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow

FOLDER = Path(__file__).parent
Entry = Mapping[str, Any]


def read_deployments(name: str = "prefect.yaml") -> list[Entry]:
    """The deployments of a file, as `prefect deploy` reads them."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["deployments"]


def load_flow(entry: Entry) -> Flow:
    """The flow that a deployment runs."""
    path, _, function = entry["entrypoint"].partition(":")
    return getattr(importlib.import_module(".".join(Path(path).with_suffix("").parts)), function)
