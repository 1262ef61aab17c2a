"""The names of all that a run makes, derived from its key so that a second attempt finds them again."""

import hashlib
import re
from dataclasses import dataclass

from tasks.errors import InputError

MADE_BY = "prefect-azure-batch"
# Containers have 63 characters for `application-` and the key, and know no upper case or double hyphen.
RUN_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RUN_KEY_MAX = 50
SLUG_MAX = 40
# In the output container: what tasks have printed, kept beyond their nodes.
LOGS_FOLDER = ".logs"


@dataclass(frozen=True)
class RunNames:
    """The ids of one run's resources."""

    key: str
    application_container: str
    input_container: str
    output_container: str
    job_id: str
    pool_id: str

    @property
    def containers(self) -> tuple[str, str, str]:
        return self.application_container, self.input_container, self.output_container


def names_of_run(key: str, pool_id: str | None = None) -> RunNames:
    """The names for a run key, by default the flow run's id. Raises InputError if it can't be one."""
    if not RUN_KEY.fullmatch(key) or len(key) > RUN_KEY_MAX:
        raise InputError(
            f"The run key {key!r} can't be part of container names: use up to {RUN_KEY_MAX} lower-case "
            f"letters, digits and single hyphens."
        )
    return RunNames(
        key=key,
        application_container=f"application-{key}",
        input_container=f"input-{key}",
        output_container=f"output-{key}",
        job_id=f"fan-out-{key}",
        pool_id=pool_id or f"fan-out-{key}",
    )


def derive_task_id(name: str, content_md5: str) -> str:
    """The id of the Batch task for an input: the same for the same name and content, another otherwise.

    So a second attempt finds the tasks of the first, and a file that changed in between is run anew.
    """
    digest = hashlib.sha256(f"{name}\0{content_md5}".encode()).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-SLUG_MAX:].strip("-")
    return f"{slug}-{digest}" if slug else digest


def log_blob(task_id: str, log: str) -> str:
    """The blob in the output container that keeps what a failed task printed."""
    return f"{LOGS_FOLDER}/{task_id}/{log}"
