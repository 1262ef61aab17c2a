"""A whole local stack, started once."""

from collections.abc import Iterator

import pytest

from tests.stacks import Stack


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole local stack with the flows deployed, as `make up` starts it."""
    folder = tmp_path_factory.mktemp("local-stack")
    with Stack(folder, "--location", str(folder / "location")) as stack:
        stack.wait_until_ready()
        yield stack
