"""What a file name, a template's text or a start command becomes when a real shell runs it."""

import os
import shlex
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.command_line import DOUBLED_PLACE, build_command, start_command_line, task_environment

# Prints its arguments: what a program on the node would see.
SHOW = r"printf '%s\0'"
FILE_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=30
).filter(lambda name: name not in (".", ".."))


def run_on_node(template: str, input_name: str, folder: Path, output_name: str = "out.txt") -> list[str]:
    """Split the command line as the service does, with no shell, and run it in a folder."""
    command = build_command(template, "app name.py")
    settings = task_environment(command, input_name, output_name)
    places = {"AZ_BATCH_NODE_SHARED_DIR": "/shared dir", "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        shlex.split(command.command_line),
        env={**places, **settings},
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return ran.stdout.decode().split("\0")[:-1]


@given(name=FILE_NAMES)
def test_a_file_name_reaches_the_program_as_it_is(name, tmp_path_factory):
    """Whatever a file is called, the program gets it as one argument, and the shell does nothing with it."""
    folder = tmp_path_factory.mktemp("wd")
    seen = run_on_node(f"{SHOW} {{input}} {{name}} --of={{input}}", name, folder)
    assert seen == [f"inputs/{name}", name, f"--of=inputs/{name}"]
    assert not os.listdir(folder)


def double_braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# What would be a place in single braces is refused in double ones.
OWN_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30).filter(
    lambda text: not DOUBLED_PLACE.search(double_braces(text))
)


@given(text=OWN_TEXTS)
def test_a_template_s_own_text_is_no_shell_either(text, tmp_path_factory):
    """A quoted argument of the template reaches the program unread by any shell."""
    folder = tmp_path_factory.mktemp("wd")
    template = f"{SHOW} {shlex.quote(double_braces(text))} last"
    assert run_on_node(template, "a", folder) == [text, "last"]
    assert not os.listdir(folder)


def test_application_is_found_in_the_shared_folder(tmp_path):
    """{application} is a path in the node's shared folder."""
    assert run_on_node(f"{SHOW} {{application}}", "a", tmp_path) == ["/shared dir/app name.py"]


def test_a_command_may_have_several_lines(tmp_path):
    """A backslash at the end of a line joins it to the next, as in a shell; in quotes it is the program's."""
    assert run_on_node(f"{SHOW} one \\\n  two 'three \\\n'\nfour", "a", tmp_path) == [
        "one",
        "two",
        "three \\\n",
        "four",
    ]


def test_start_task_shares_the_application_with_all_users(tmp_path):
    """The start task runs the user's command, then copies the program where every task user can read it."""
    name = "0a1b/my $(app) 'x'.py"
    (tmp_path / "application" / "0a1b").mkdir(parents=True)
    (tmp_path / "application" / name).write_text("program")
    (tmp_path / "application" / name).chmod(0o600)
    shared = tmp_path / "shared"
    shared.mkdir()
    command_line, settings = start_command_line(name, "echo 'installed' > \"$HOME/done\"")
    places = {"AZ_BATCH_NODE_SHARED_DIR": str(shared), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(shlex.split(command_line), env={**places, **settings}, cwd=tmp_path, check=True)
    assert (shared / name).read_text() == "program"
    assert (shared / name).stat().st_mode & 0o555 == 0o555
    assert (shared / name).parent.stat().st_mode & 0o555 == 0o555
    assert (tmp_path / "done").read_text() == "installed\n"


def test_start_task_fails_when_the_user_s_command_fails(tmp_path):
    """A failing installation makes the start task fail, whatever comes after it."""
    command_line, settings = start_command_line("app.py", "exit 7")
    ran = subprocess.run(shlex.split(command_line), env=settings, cwd=tmp_path, check=False)
    assert ran.returncode == 7
