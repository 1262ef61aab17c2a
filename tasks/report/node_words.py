"""What nodes say, made short enough to be read in a table or a list."""

import re
from functools import lru_cache

# Azure names nodes by hashes: the first digits tell those of a pool apart.
NODE_ID_DIGITS = 8
LONG_HASH = re.compile(rf"([0-9a-f]{{{NODE_ID_DIGITS}}})[0-9a-f]{{24,}}")
# The folder in which a Batch task works: of `/mnt/batch/tasks/workitems/JOB/job-1/TASK/wd/a.txt` the part
# before `a.txt`, which is the same for all that the task says. It is looked for where a path begins alone:
# else a log of one long word would take the square of its length.
#
# Programs are in folders of their own below that which a node's tasks share. In quotes paths may have blanks.
OF_A_NODE = r"""(?:(?:workitems/[^/\s"']+/[^/\s"']+/[^/\s"']+|startup)/wd|shared/[0-9a-f]{16,64})/"""
NODE_FOLDER = re.compile(rf"""(?<=["'])/[^"'\n]*?/{OF_A_NODE}|(?<![^\s"'=(,:])[^\s"'=(,:]*/{OF_A_NODE}""")


# A run has few nodes and many files.
@lru_cache(maxsize=10_000)
def shorten_node_id(node_id: str) -> str:
    """Enough of it to tell nodes apart."""
    return LONG_HASH.sub(r"\1…", node_id)


def shorten_node_paths(text: str) -> str:
    """The text with paths in a Batch task's folder as the program itself may name them."""
    return NODE_FOLDER.sub("", text)


def find_last_line(stderr: str) -> str:
    """The last line that says something."""
    if not stderr:
        return ""
    lines = [line.strip() for line in shorten_node_paths(stderr).splitlines() if line.strip()]
    return lines[-1] if lines else ""
