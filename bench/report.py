"""What a measurement says: a value beside what bounds it, measured in the same run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`limit` is in the same unit and says what `of` can do at best, or does with less to do."""

    name: str
    value: float
    unit: str
    limit: float
    of: str

    def __str__(self) -> str:
        ratio = self.value / self.limit if self.limit else float("nan")
        shown = f"{_number(self.value)} {self.unit}"
        return f"{self.name:<58} {shown:>18}   {ratio:6.2f} x {_number(self.limit)} ({self.of})"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_row(row: Row) -> None:
    print(row, flush=True)
