"""How often a run does what costs a little each time: more seldom the longer it takes anyway."""

import math
import time
from dataclasses import dataclass, field

# Of the time so far, an interval is this part.
PART = 0.1


def find_interval(
    elapsed_seconds: float, least_seconds: float, most_seconds: float = math.inf, part: float = PART
) -> float:
    """How long to leave something alone, so long after its beginning."""
    return min(most_seconds, max(least_seconds, part * elapsed_seconds))


@dataclass
class Pace:
    """When something is to be done again, that was done last at a reading of `time.monotonic()`."""

    least_seconds: float
    done_seconds: float = field(default_factory=time.monotonic)
    began_seconds: float = field(default_factory=time.monotonic)
    most_seconds: float = math.inf
    part: float = PART

    @property
    def is_due(self) -> bool:
        now_seconds = time.monotonic()
        waited_seconds = now_seconds - self.done_seconds
        elapsed_seconds = now_seconds - self.began_seconds
        return waited_seconds >= find_interval(
            elapsed_seconds, self.least_seconds, self.most_seconds, self.part
        )

    def note(self, rest_seconds: float = 0.0) -> None:
        """It was done now, and is to rest for so long besides."""
        self.done_seconds = time.monotonic() + rest_seconds
