"""Which flow runs `sweep` looks at, of those that Prefect calls running."""

import pkgutil
from importlib import import_module

from prefect import Flow

import flows
from flows.running import clean_up_after
from tasks.leftovers.silent_runs import OUR_FLOWS


def test_each_flow_that_makes_things_is_found_when_it_is_killed_unnoticed():
    """`sweep` looks for dead ones among the flows of these names."""
    names = {found.name for found in pkgutil.iter_modules(flows.__path__)}
    modules = [import_module(f"flows.{name}") for name in names - {"temporary_server"}]
    all_flows = {
        one.name: one for module in modules for one in vars(module).values() if isinstance(one, Flow)
    }
    makers = {name for name, one in all_flows.items() if clean_up_after in (one.on_crashed_hooks or [])}
    assert makers == set(OUR_FLOWS)
