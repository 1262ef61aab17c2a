"""How many Batch tasks a run will soon have, which its pool gets nodes for before there is any."""

import math
from collections.abc import Sequence

from tasks.spec.input_files import InputFile

# What a common line and one driver carry; which of the two it is, is no matter here.
UPLOAD_BYTES_PER_SECOND = 10e6
UPLOADS_PER_SECOND = 200
# Nodes take as long to boot, at the least: within it none would have to wait for uploads.
BOOT_SECONDS = 180.0


def _estimate_upload_seconds(files: Sequence[InputFile]) -> float:
    """How long the local ones of the inputs are on their way; about, as nobody has measured the line."""
    sizes = [file.size_bytes for file in files if not file.blob]
    return sum(sizes) / UPLOAD_BYTES_PER_SECOND + len(sizes) / UPLOADS_PER_SECOND


def count_first_tasks(files: Sequence[InputFile], files_per_task: int, is_added_early: bool) -> int:
    """For how many Batch tasks nodes begin to boot at once: for all, if they will be there by then.

    Else for the first, which is added a moment later; none, if tasks are added when all is uploaded.
    """
    if _estimate_upload_seconds(files) <= BOOT_SECONDS:
        return math.ceil(len(files) / files_per_task)
    return 1 if is_added_early else 0
