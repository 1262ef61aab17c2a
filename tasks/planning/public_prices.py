"""What nodes cost by Azure's public price list, where that is asked for and can be had."""

from datetime import datetime, timezone
from typing import Any

from prefect import task

from tasks.azure.accounts import current_accounts
from tasks.azure.retail_prices import ask_prices, describe_failure, find_region
from tasks.logs import run_logger
from tasks.prefect.caching import WhileUnchanged, keyed_afterwards, of_inputs
from tasks.spec.prices import Prices, PriceSpec, say_amount


def find_public_prices(given: PriceSpec, vm_size: str, run_key: str) -> Prices | None:
    """What the list says of the size in the run's region; None, and a line in the log, if it says nothing."""
    region = given.region or find_region(current_accounts().batch_endpoint)
    if region is None:
        run_logger().warning(
            "Public prices are left out: the address of the Batch account doesn't say its region. Give "
            "prices.region."
        )
        return None
    found = look_up_prices(run_key, region.lower(), vm_size, given.currency)
    return Prices(**found) if found else None


def _find_day(**_: Any) -> str:
    """What is known of the list without asking it: prices of another day may be others."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d}"


def _day_of_answer(found: dict[str, Any] | None, **_: Any) -> str | None:
    return _find_day() if found else None


@task(
    name="look up prices",
    task_run_name="look up prices",
    cache_policy=WhileUnchanged(look=_find_day, made=_day_of_answer, work=of_inputs(lambda **inputs: inputs)),
    result_serializer="json",
)
@keyed_afterwards
def look_up_prices(run_key: str, region: str, vm_size: str, currency: str) -> dict[str, Any] | None:
    """Ask the public price list, once for the attempts of a run on one day; None if it can't be reached, or
    has no such size."""
    try:
        prices = ask_prices(region, vm_size, currency)
    except (OSError, ValueError) as error:
        reason = describe_failure(error)
        run_logger().warning("Public prices are left out: the price list can't be asked: %s", reason)
        return None
    kinds = (("dedicated", prices.dedicated), ("Spot", prices.spot))
    said = [f"{say_amount(price, currency)} {kind}" for kind, price in kinds if price is not None]
    if not said:
        run_logger().warning("Public prices are left out: the price list has no %s in %s", vm_size, region)
        return None
    run_logger().info("Public retail prices of %s in %s, an hour: %s", vm_size, region, ", ".join(said))
    return {"dedicated": prices.dedicated, "spot": prices.spot, "currency": currency}
