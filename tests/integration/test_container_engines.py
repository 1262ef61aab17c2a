"""What an engine's client says, and what is made of it; the client is a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_emulator.node import containers as containers_module
from batch_emulator.node.containers import Containers, find_engine, remove_abandoned
from batch_emulator.node.launch import Launch
from batch_emulator.settings import Settings, check

LAUNCH = Launch("node", "workitems/job/job-1/task", "run", attempt="1.1", container={"imageName": "image:1"})


def write_engine(folder: Path, *lines: str) -> Path:
    engine = folder / "engine"
    engine.write_text("\n".join(("#!/bin/sh", *lines)))
    engine.chmod(0o755)
    return engine


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [
        pytest.param("2026-02-03T00:00:16.4Z", False, id="ran"),
        pytest.param("2026-02-03 00:00:16.4 +0000 UTC", False, id="ran-by-podman"),
        pytest.param("0001-01-01T00:00:00Z", True, id="never-started"),
        pytest.param("0001-01-01 00:00:00 +0000 UTC", True, id="never-started-by-podman"),
        pytest.param(None, True, id="never-made"),
        pytest.param("", False, id="says-nothing"),
    ],
)
async def test_engine_s_exit_code_may_be_the_program_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started_at: str | None, expected: bool
) -> None:
    """Where its container has run, or the engine does not tell, the exit code is the program's; where there
    is none, or it was made and could not be started, the engine's."""
    if started_at == "":
        monkeypatch.setattr(containers_module, "_ANSWER_SECONDS", 0.2)
    says = {None: "exit 1", "": "exec sleep 600"}.get(started_at, f"echo '{started_at}'")
    containers = Containers(str(write_engine(tmp_path, says)), str(tmp_path / "nodes"))
    assert await containers.ran_nothing(LAUNCH, 125) is expected
    assert not await containers.ran_nothing(LAUNCH, 126)


async def test_what_is_removed_goes_with_its_volumes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So does what an image's VOLUME has made; where that fails it is told, unless nothing was there."""
    calls = f'echo "$*" >> {tmp_path / "calls"}'
    engine = write_engine(
        tmp_path, calls, 'test "$1" = ps && exec echo left', f"cat {tmp_path}/error; exit 1"
    )
    containers = Containers(str(engine), str(tmp_path / "nodes"))
    (tmp_path / "error").write_text("Error: No such container: x")
    await containers.remove(LAUNCH)
    assert not caplog.messages
    (tmp_path / "error").write_text("device busy")
    await containers.remove(LAUNCH)
    assert caplog.messages == [f"container {containers.name(LAUNCH)} may be left: device busy"]
    containers.remove_all()
    assert len(caplog.messages) == 2
    removed = [line for line in (tmp_path / "calls").read_text().splitlines() if not line.startswith("ps")]
    name = containers.name(LAUNCH)
    assert removed == [f"rm --force --volumes {each}" for each in (name, name, "left")]


def test_what_a_service_that_was_killed_has_left_goes_with_its_location(tmp_path: Path) -> None:
    """Stopped containers whose location is there are that service's, or the next one's."""
    (tmp_path / "there" / "nodes").mkdir(parents=True)
    engine = write_engine(
        tmp_path,
        f'echo "$*" >> {tmp_path / "calls"}',
        'test "$1" = ps && echo a && echo b && exit',
        f'test "$1" = container && echo "a {tmp_path}/there/nodes" && echo "b {tmp_path}/not there/nodes"',
    )
    remove_abandoned(str(engine))
    listed, _, removed = (tmp_path / "calls").read_text().splitlines()
    assert "--filter status=created --filter status=exited" in listed
    assert "running" not in listed
    assert removed == "rm --force --volumes b"


def test_an_engine_that_does_not_answer_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client without its daemon is no engine; what is neither engine nor way is refused by name."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="docker or podman does not answer"):
        find_engine("engine")
    (tmp_path / "podman").symlink_to("/bin/true")
    assert find_engine("engine") == str(tmp_path / "podman")
    with pytest.raises(ValueError, match="rkt"):
        check(Settings(containers="rkt"))
