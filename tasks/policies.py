"""How Prefect treats our tasks: what it retries, and what it must not remember."""

from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from tasks.errors import is_temporary

RETRIES = {
    "retries": 4,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
}

# For what makes, reads or deletes live resources. A remembered "uploaded" or "created" would lie as soon as
# somebody deletes the thing, so nothing is remembered: each such task asks the service first and does only
# what is missing, which makes repeating it cheap.
LIVE = {"cache_policy": NO_CACHE, "persist_result": False, **RETRIES}
