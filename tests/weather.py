"""When a service fails, and how: what the faulty proxy does to requests."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "refuse",
    "silent",
    "500",
    "503",
    "403 once",
    "429",
    "reset",
    "200 page",
    "200 JSON",
    "403 page",
    "404 page",
    "slow head",
    "slow body",
]
PAGES = {
    "page": ("text/html", b"<html><body>Sign in</body></html>"),
    "JSON": ("application/json; charset=utf-8", b'{"statusCode": 200, "value": "no list"}'),
}


@dataclass
class Outage:
    """What a service's clients meet, from the first request that matches on."""

    kind: Kind
    seconds: float
    at: str = ""
    """A pattern, searched in `METHOD /path?query`."""

    began_seconds: float | None = None
    struck: list[str] = field(default_factory=list)
    """The requests that met it."""

    over: threading.Event = field(default_factory=threading.Event)

    def meets(self, request: str) -> bool:
        """Whether a request meets it; the first that matches begins it."""
        if self.began_seconds is None:
            if not re.search(self.at, request):
                return False
            self.began_seconds = time.monotonic()
        elif self.kind == "403 once" or self.is_over:
            return False
        self.struck.append(request)
        return True

    @property
    def is_over(self) -> bool:
        return self.over.is_set() or not self.seconds_left

    @property
    def seconds_left(self) -> float:
        if self.began_seconds is None:
            return self.seconds
        return max(0.0, self.began_seconds + self.seconds - time.monotonic())

    def wait(self) -> None:
        """Wait until it is over."""
        self.over.wait(self.seconds_left)


@dataclass
class Weather:
    """What requests meet by chance, each way with its rate. With the same seed a request meets the same,
    whatever is asked beside it."""

    seed: int
    rates: dict[Kind, float]
    struck: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def draw(self, request: str) -> Outage | None:
        self.seen[request] += 1
        chance = random.Random(f"{self.seed} {request} {self.seen[request]}").random()
        for kind, rate in self.rates.items():
            if chance < rate:
                self.struck[kind] += 1
                return Outage(kind, 0)
            chance -= rate
        return None
