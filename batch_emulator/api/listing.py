"""Pages of lists: filtered, ordered by key, with a link to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.responses import Response

from batch_emulator.api.answers import json_answer, with_statistics
from batch_emulator.api.call import Call
from batch_emulator.api.odata import Field, Filter, compile_filter, project
from batch_emulator.api.paging import (
    MAX_PAGE,
    decode_skiptoken,
    encode_skiptoken,
    next_link,
    parse_maxresults,
)
from batch_emulator.api.properties import read_select
from batch_emulator.api.versions import trim
from batch_emulator.resources.model import Wire


def read_filter(call: Call, fields: Mapping[str, Field]) -> Filter | None:
    """The request's `$filter`, compiled; None where it has none."""
    text = call.option("$filter")
    return compile_filter(text, fields) if text else None


def start_key(call: Call) -> str | None:
    """The key behind which the wanted page begins, from `$skiptoken`."""
    token = call.option("$skiptoken")
    return decode_skiptoken(token) if token else None


def list_page(
    call: Call,
    metadata: str,
    candidates: Iterable[tuple[str, Any]],
    render: Callable[[Any], Wire],
    wanted: Filter | None,
    longest: int = MAX_PAGE,
) -> Response:
    """One page of `candidates`, which are (key, resource) in order from `start_key` on; at most `longest`."""
    most = parse_maxresults(call.option("maxresults"), longest)
    select = read_select(call, metadata)
    version = call.version
    page: list[Wire] = []
    last = ""
    for found, resource in candidates:
        if wanted and not wanted.matches(resource):
            continue
        if len(page) == most:
            link = next_link(call.url, call.query, encode_skiptoken(last))
            return json_answer(call, metadata, {"value": page, "odata.nextLink": link})
        page.append(
            project(
                trim(metadata, with_statistics(call, metadata, resource, render(resource)), version), select
            )
        )
        last = found
    return json_answer(call, metadata, {"value": page})


def behind(sorted_mapping: Any, after: str | None) -> Iterable[tuple[str, Any]]:
    """The (key, value) pairs of a SortedDict behind a key."""
    keys = sorted_mapping.irange(after, inclusive=(False, True))
    return [(each, sorted_mapping[each]) for each in keys]
