"""Which occasion a fault strikes: rules applied, with dice that fall the same way for the same seed.

Each rule has dice of its own, thrown once for each occasion that it is for, so that the n-th task collection
fails whatever other requests come between.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from batch_emulator.faults.rules import (
    KINDS,
    RESIZE_ERRORS,
    AllocationFault,
    Faults,
    NodeFault,
    RequestFault,
    Rule,
)
from batch_emulator.node.failures import nonzero_exit
from batch_emulator.node.launch import Launch, Outcome
from batch_emulator.resources.model import Node, Wire, key


@dataclass(slots=True)
class _Dice:
    rule: Rule
    random: random.Random
    met: int = 0
    struck: int = 0

    def throw(self) -> bool:
        """Whether the rule strikes this occasion."""
        self.met += 1
        hit = self.random.random() < self.rule.rate
        if not hit or self.met <= self.rule.skip or self.struck == self.rule.times:
            return False
        self.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class RequestFate:
    """What a request meets: a delay, then `end`, if any, instead of its own answer."""

    latency_seconds: float
    end: RequestFault | None


class Injector:
    """The faults of one service, and how often each has struck."""

    def __init__(self, faults: Faults):
        self.replace(faults)

    def replace(self, faults: Faults) -> None:
        """Take other rules; all counts and dice begin anew."""
        self.faults = faults
        self._dice = {
            kind: [
                _Dice(rule, random.Random(f"{faults.seed}/{kind}/{number}"))
                for number, rule in enumerate(getattr(faults, kind))
            ]
            for kind in KINDS
        }

    def struck(self) -> dict[str, list[int]]:
        """For each kind how often each of its rules has struck, in their order."""
        return {kind: [dice.struck for dice in of_kind] for kind, of_kind in self._dice.items()}

    def _striking(self, kind: str, concerns: Callable[[Any], bool]) -> list[Any]:
        """The rules of a kind that strike an occasion; the dice of all that it concerns are thrown."""
        of_kind = self._dice[kind]
        return [dice.rule for dice in of_kind if concerns(dice.rule) and dice.throw()] if of_kind else []

    def meet_request(self, operation: str) -> RequestFate:
        """What a request of this operation meets. Delays add up; the first rule that ends it counts."""
        rules: list[RequestFault] = self._striking(
            "requests", lambda rule: not rule.operations or operation in rule.operations
        )
        latency_seconds = sum(rule.latency_seconds for rule in rules)
        return RequestFate(latency_seconds, next((rule for rule in rules if rule.ends_request), None))

    def meet_boot(self, node: Node) -> list[NodeFault]:
        """What will happen to a node that has just booted."""
        return self._striking(
            "nodes",
            lambda rule: (
                _is_for(rule.pool_ids, node.pool_key) and not (rule.event == "preempt" and node.dedicated)
            ),
        )

    def spoil_start_task(self, pool_key: str, outcome: Outcome) -> Outcome:
        """How a start task is said to have ended. One that was stopped is left as it is."""
        if outcome.stopped:
            return outcome
        rules = self._striking("start_tasks", lambda rule: _is_for(rule.pool_ids, pool_key))
        return Outcome(rules[0].exit_code, nonzero_exit(), retriable=True) if rules else outcome

    def limit_allocation(self, pool_key: str, *, dedicated: bool, growing: bool) -> AllocationFault | None:
        """What a resize meets that asks for more, or fewer, nodes of this kind."""
        rules = self._striking(
            "allocations",
            lambda rule: (
                _is_for(rule.pool_ids, pool_key)
                and rule.dedicated in (None, dedicated)
                and growing == (rule.code != "RemoveNodesFailed")
            ),
        )
        return rules[0] if rules else None

    def spoil_disk(self, pool_key: str, launch: Launch) -> Launch:
        """A Batch task's launch, with the disk that it will find."""
        rules = self._striking("disks", lambda rule: _is_for(rule.pool_ids, pool_key))
        if not rules:
            return launch
        return replace(launch, disk_full=rules[0].full, disk_bytes_per_second=rules[0].bytes_per_second)


def _is_for(pool_ids: tuple[str, ...], pool_key: str) -> bool:
    return not pool_ids or pool_key in map(key, pool_ids)


def resize_error(code: str, dedicated: bool, **values: str) -> Wire:
    """A resize error as the service writes it."""
    message = RESIZE_ERRORS[code].format(kind="dedicated" if dedicated else "low priority")
    wire: Wire = {"code": code, "message": message}
    if values:
        wire["values"] = [{"name": name, "value": value} for name, value in values.items()]
    return wire
