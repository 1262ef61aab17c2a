"""Tables of which `make test` takes a sample, and `make soak` the rest."""

from collections.abc import Mapping
from typing import TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

T = TypeVar("T")


def sample(table: Mapping[str, T], *quick: str) -> list[ParameterSet]:
    """The rows as parameters, by their keys as ids; all but the `quick` ones are left to `make soak`.

    A row that is a tuple has a value for each of several parameters.

    A quick row that the table doesn't have is an error: KeyError.
    """
    if unknown := set(quick) - set(table):
        raise KeyError(f"the table has no rows {sorted(unknown)}")
    soak = pytest.mark.soak
    return [
        pytest.param(*(row if isinstance(row, tuple) else (row,)), id=key, marks=[] if key in quick else soak)
        for key, row in table.items()
    ]
