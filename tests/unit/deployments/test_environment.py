"""The file through which a local stack is found."""

import stat
from pathlib import Path

from deployments.local import environment
from deployments.local.keys import new_keys
from deployments.local.settings import Settings

ODD = {
    "PLAIN": "a",
    "EMPTY": "",
    "SPACES": "a b",
    "SHELL": "a;b=$(touch x)'\"`\\",
    "HASH": "#1",
    "UMLAUT": "ü",
}


def settings(location: Path) -> Settings:
    return Settings(location, storage_port=1, batch_port=2, prefect_port=3, keys=new_keys())


def test_values_survive_the_file(tmp_path):
    """What is written is read back, whatever characters the values have."""
    environment.write(tmp_path / "env", ODD)
    assert environment.read(tmp_path / "env") == ODD


def test_only_the_owner_reads_the_keys(tmp_path):
    """The file is for its owner alone, also when it replaces one that was open to all."""
    path = tmp_path / "env"
    path.touch(mode=0o644)
    environment.write(path, ODD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_but_the_file_is_left(tmp_path):
    """The folder is made if need be, and no partial file stays in it."""
    path = tmp_path / "new" / "env"
    environment.write(path, ODD)
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_has_no_variables(tmp_path):
    """No file means no stack, not an error."""
    assert environment.read(tmp_path / "env") == {}
    assert environment.read_live(tmp_path / "env") == {}


def test_published_goes_with_the_stack(tmp_path):
    """The file is there while the stack is, with the variables that a client needs."""
    path = tmp_path / "env"
    with environment.published(path, settings(tmp_path)):
        assert environment.read(path)["AZURE_BATCH_ENDPOINT"] == "http://127.0.0.1:2"
    assert not path.exists()


def test_the_file_of_a_later_stack_stays(tmp_path):
    """A stack that stops doesn't take away what another has written since to the same file."""
    path = tmp_path / "env"
    with (
        environment.published(path, settings(tmp_path / "second")),
        environment.published(path, settings(tmp_path / "first")),
    ):
        environment.write(path, {environment.LOCATION: str(tmp_path / "third")})
    assert environment.read(path)[environment.LOCATION] == str(tmp_path / "third")


def test_the_file_of_a_killed_stack_is_not_live(tmp_path):
    """A stack that was killed leaves its file, but holds no lock: it isn't taken for a running one."""
    path = tmp_path / "env"
    environment.write(
        path, {environment.LOCATION: str(tmp_path), "PREFECT_API_URL": "http://127.0.0.1:3/api"}
    )
    (tmp_path / "lock").touch()
    assert environment.read_live(path) == {}
