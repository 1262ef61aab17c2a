"""What the image of the worker is made of, used without a container engine, and what the flows load."""

import shutil
import subprocess
import sys
from pathlib import Path

from deployments.files import read_deployments
from tests.dockerfile import ROOT, copied


def test_the_flows_can_be_imported_from_what_is_copied(tmp_path):
    """Nothing that the flows import is left out of the image; and no library that draws is loaded."""
    for source in copied():
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    files = {Path(entry["entrypoint"].partition(":")[0]) for entry in read_deployments("azure.yaml")}
    modules = sorted(".".join(path.with_suffix("").parts) for path in files)
    code = f"import {', '.join([*modules, 'flows.command_line'])}; print(flows.__file__, tasks.__file__)"
    code += "; assert not {'matplotlib', 'numpy'} & {*sys.modules}"
    imported = subprocess.run(
        [sys.executable, "-c", f"import sys, tasks, flows; {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert all(path.startswith(str(tmp_path)) for path in imported.stdout.split())
