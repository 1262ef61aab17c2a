"""A page of another site in the user's browser, against each server of the local stack.

A browser lets such a page send requests anywhere on this machine, with the page's own Origin, and in the
plainest form without asking the server; and a name that the page's owner rebinds to 127.0.0.1 makes it of one
origin with the server. What it can't do is to choose `Host` and `Origin`; what it can't know are the keys.
"""

import stat
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.policies import CustomHookPolicy
from azure.storage.blob import BlobServiceClient

from batch_emulator import DEFAULT_KEY
from tests.stacks import csrf_headers, prefect_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PAGE = "http://evil.example"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# What a browser sends for such a page: asked as usual, asked without waiting for leave ("no-cors"), from a
# sandboxed frame, from another server on this machine, and from a name that leads here.
FOREIGN = {
    "fetch": {"Origin": PAGE, "Content-Type": "application/json"},
    "no-cors": {"Origin": PAGE, "Content-Type": "text/plain"},
    "sandboxed": {"Origin": "null", "Content-Type": "text/plain"},
    "neighbour": {"Origin": "http://127.0.0.1:9", "Content-Type": "application/json"},
    "rebound": {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
    "rebound, same origin": {"Host": "evil.example:{port}"},
}
KINDS = pytest.mark.parametrize("kind", FOREIGN)
REFUSED = 403


def headers_of(kind: str, address: str) -> dict[str, str]:
    port = str(urlsplit(address).port)
    return {name: value.format(port=port) for name, value in FOREIGN[kind].items()}


def send(address: str, method: str, path: str, headers: dict[str, str], body: str = "") -> httpx.Response:
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        return client.request(method, path, headers=headers, content=body)


@KINDS
def test_a_page_runs_nothing_through_prefect(local_stack, kind):
    """No run with the page's command; nor with the key and the token, were they known."""
    deployments = local_stack.api("POST", "/deployments/filter", {})
    before = local_stack.api("POST", "/flow_runs/count", {})
    path = f"/api/deployments/{deployments[0]['id']}/create_flow_run"
    headers = headers_of(kind, local_stack.address)
    body = '{"job_variables": {"command": "touch /tmp/owned"}}'
    assert send(local_stack.address, "POST", path, headers, body).status_code == REFUSED
    with prefect_client(local_stack.address, local_stack.variables["PREFECT_API_AUTH_STRING"]) as client:
        known = headers | csrf_headers(client)
        assert client.post(path, headers=known, content=body).status_code == REFUSED
    assert local_stack.api("POST", "/flow_runs/count", {}) == before


@KINDS
def test_a_page_reads_no_block(local_stack, kind):
    """Neither the accounts' keys nor that an answer may be read by another origin are in what it gets."""
    body = '{"include_secrets": true}'
    headers = headers_of(kind, local_stack.address)
    answer = send(local_stack.address, "POST", "/api/block_documents/filter", headers, body)
    assert answer.status_code == REFUSED
    assert "access-control-allow-origin" not in answer.headers
    assert local_stack.variables["AZURE_BATCH_ACCESS_KEY"] not in answer.text


def test_no_key_no_answer(local_stack):
    """What a page can send without an Origin, as an image's address, is refused for want of a key."""
    for path in ("/api/deployments/count", "/api/admin/settings", "/api/variables/filter"):
        for method in ("GET", "POST"):
            assert send(local_stack.address, method, path, {}).status_code in (401, 403)


def test_the_dashboard_is_shown_in_no_frame(local_stack):
    """Another page can't lay its own buttons over it; nor does a question for leave get one."""
    page = send(local_stack.address, "GET", "/dashboard", {"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "DENY"
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert send(local_stack.address, "OPTIONS", "/api/deployments/filter", asked).status_code == REFUSED


@pytest.mark.parametrize("path", ["/dashboard", "/v2/", "/docs", "/redoc", "/open", "/api/docs"])
def test_no_page_runs_a_script_of_anybody_else_s(local_stack, path):
    """It could read the key: each page says that only what comes from here is to run, whatever it names."""
    page = send(local_stack.address, "GET", path, {"Accept": "text/html"})
    policies = dict(
        part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";")
    )
    kinds = {"'self'", "'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'", "blob:"}
    assert set(policies["script-src"].split()) <= kinds
    assert policies["base-uri"] == "'self'"
    asked = {urlsplit(place).hostname for place in policies["connect-src"].split() if "/" in place}
    assert asked == {"127.0.0.1", "localhost", "::1"}


WEBSOCKETS = ("events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled")


def test_a_websocket_of_a_page_is_refused(local_stack):
    """No stream opens for another origin, nor for who has no key, however it is asked for."""
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    wanted |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    pages = [headers_of(kind, local_stack.address) for kind in FOREIGN]
    asked = [{**page, "Sec-WebSocket-Protocol": "prefect"} for page in pages] + [{}]
    answers = {
        (path, str(headers)): send(local_stack.address, "GET", f"/api/{path}", wanted | headers).status_code
        for path in WEBSOCKETS
        for headers in asked
    }
    assert {one for one in answers.items() if one[1] != REFUSED} == set()


@KINDS
def test_a_page_gets_nothing_of_batch(local_stack, kind):
    """With the published key and with the stack's own it is refused, by Batch and by the control API."""
    endpoint = local_stack.variables["AZURE_BATCH_ENDPOINT"]
    headers = headers_of(kind, endpoint)
    for key in (DEFAULT_KEY, local_stack.variables["AZURE_BATCH_ACCESS_KEY"]):
        credential = AzureNamedKeyCredential(local_stack.variables["AZURE_BATCH_ACCOUNT"], key)
        with BatchClient(endpoint, credential, custom_hook_policy=sent_with(headers)) as client:
            with pytest.raises(HttpResponseError) as refused:
                list(client.list_pools())
            assert refused.value.status_code == REFUSED
    assert send(endpoint, "PUT", "/_emulator/faults", headers, "{}").status_code == REFUSED
    assert send(endpoint, "GET", "/_emulator/faults", headers).status_code == REFUSED


def sent_with(headers: dict[str, str]) -> CustomHookPolicy:
    return CustomHookPolicy(raw_request_hook=lambda request: request.http_request.headers.update(headers))


@KINDS
def test_a_page_gets_nothing_of_the_storage(local_stack, kind):
    """Azurite looks at no Host, but the key that is published for it doesn't open this one."""
    endpoint = dict(
        one.partition("=")[::2] for one in local_stack.variables["AZURE_STORAGE_CONNECTION_STRING"].split(";")
    )["BlobEndpoint"]
    credential = AzureNamedKeyCredential("devstoreaccount1", AZURITE_KEY)
    headers = headers_of(kind, endpoint)
    with BlobServiceClient(endpoint, credential, raw_request_hook=hook_of(headers)) as client:
        with pytest.raises((ClientAuthenticationError, HttpResponseError)) as refused:
            list(client.list_containers())
        assert refused.value.status_code in (400, REFUSED)


def hook_of(headers: dict[str, str]):
    return lambda request: request.http_request.headers.update(headers)


def test_no_key_is_an_argument(local_stack):
    """Of no process of the stack: any program may look at those."""
    secrets = secrets_of(local_stack)
    commands = [" ".join(process.cmdline()) for process in [psutil.Process(), *local_stack.processes()]]
    assert len(commands) > 4
    assert not [command for command in commands if any(secret in command for secret in secrets)]


def test_what_the_stack_keeps_is_for_its_owner(local_stack):
    """Its folder can be entered by nobody else, and a file with a key or a signature is closed besides."""
    variables = local_stack.env_file
    location = Path(local_stack.location)
    assert stat.S_IMODE(location.stat().st_mode) == 0o700
    kept = ("keys.json", "batch/state.db*", "prefect/prefect.db*", "logs/*")
    found = {one: list(location.glob(one)) for one in kept}
    # Python 3.10 finds files by "*/", too.
    found["*/"] = [one for one in location.iterdir() if one.is_dir()]
    assert all(found.values()), found
    closed = [variables, *(path for paths in found.values() for path in paths)]
    assert not [path for path in closed if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_no_log_has_a_key(local_stack):
    """The logs of all services and the tables of Prefect's server are without the stack's keys."""
    secrets = [secret.encode() for secret in secrets_of(local_stack)]
    kept = [
        *Path(local_stack.location, "logs").iterdir(),
        *Path(local_stack.location, "prefect").glob("*.db*"),
    ]
    assert not [path for path in kept if any(secret in path.read_bytes() for secret in secrets)]


def secrets_of(stack) -> list[str]:
    account = stack.variables["AZURE_STORAGE_CONNECTION_STRING"].partition("AccountKey=")[2].partition(";")[0]
    return [account, stack.variables["AZURE_BATCH_ACCESS_KEY"], stack.variables["PREFECT_API_AUTH_STRING"]]
