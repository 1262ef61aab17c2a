"""What stands before Prefect's server: no page of another origin gets in, and one link opens the dashboard.

Prefect's own settings ask every client for a key, but look at no Host: a page whose name was rebound to
this machine would be of the same origin as the dashboard. Here a request has to name the address that is
served, and a browser's has to come from the dashboard itself.
"""

from collections.abc import Collection, Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from deployments.local.settings import OPEN_PATH

HOSTS = ("127.0.0.1", "localhost", "[::1]")
# What runs in the dashboard's pages can read its key, and whom these ask can be told it: so only scripts that
# this server sends, and only its answers. (Its pages about the API, made for a CDN, stay empty; and the newer
# dashboard's telemetry stays here, whatever the server's settings say.) No page may show it in a frame, over
# which it would lay its own buttons.
POLICY = (
    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
    "connect-src 'self' blob: data: {websockets}"
)
POLICY_VIOLATION = 1008

# Both dashboards keep their user's key under this name. It is tried before: anybody could make such a link.
OPEN_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Prefect</title>
<p id="told">Opening the dashboard ...</p>
<script>
const page = new URLSearchParams(location.search).get("page") || "/";
(async () => {
  const key = btoa(decodeURIComponent(location.hash.slice(1)));
  const answer = await fetch("/api/admin/version", {headers: {Authorization: "Basic " + key}});
  if (!answer.ok) throw new Error();
  localStorage.setItem("prefect-password", key);
  document.cookie = "opened-" + location.port + "=1; path=/; SameSite=Lax";
  const there = new URL(page, location.origin);
  location.replace(there.origin === location.origin ? there.href : "/");
})().catch(() => {
  document.getElementById("told").textContent =
    "This link is of another local stack. The one that runs here has printed its own at its start.";
});
</script>
"""

# In a browser that hasn't been let in, Prefect's own page says no more than that something went wrong. The
# cookie opens nothing: it says that there is a key, which is kept where only pages of this port find it.
CLOSED_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Prefect</title>
<p id="told"></p>
<script>
const cookie = "opened-" + location.port + "=1";
if (localStorage.getItem("prefect-password")) document.cookie = cookie + "; path=/; SameSite=Lax";
if (document.cookie.includes(cookie)) location.reload();
else document.getElementById("told").textContent = "This dashboard is for whoever has its key. Open the " +
  "link " + location.origin + "/open#local:... that its stack has printed at its start, then this one again.";
</script>
"""


def behind_front_door(app: ASGIApp, port: int) -> ASGIApp:
    """The application, for those who come by a loopback address and no other site's page."""
    hosts = frozenset(f"{host}:{port}" for host in HOSTS)
    guards = _build_guards(hosts)
    opening = {**guards, "Cache-Control": "no-store"}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif why := _why_refused(Headers(scope=scope), hosts):
            await refusal(scope, why)(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == OPEN_PATH:
            await HTMLResponse(OPEN_PAGE, headers=opening)(scope, receive, send)
        elif scope["type"] == "http" and is_unopened(scope["path"], Headers(scope=scope), port):
            await HTMLResponse(CLOSED_PAGE, headers=opening)(scope, receive, send)
        else:
            await app(scope, receive, guarded(send, guards))

    return answer


def _why_refused(headers: Headers, hosts: Collection[str]) -> str | None:
    """Why a request with these headers gets no answer; None if it may go on."""
    named = headers.getlist("host")
    if len(named) != 1 or named[0].lower() not in hosts:
        return "This server answers by its loopback address only."
    origins = {f"http://{host}" for host in hosts}
    if any(origin.lower() not in origins for origin in headers.getlist("origin")):
        return "This server answers no page but its own dashboard."
    return None


def is_unopened(path: str, headers: Mapping[str, str], port: int) -> bool:
    """Whether a browser goes to a page of the dashboard, and has not opened it by its link before."""
    is_page = headers.get("sec-fetch-mode") == "navigate" and not path.startswith("/api/")
    return is_page and f"opened-{port}=1" not in headers.get("cookie", "").split("; ")


def refusal(scope: Scope, why: str) -> ASGIApp:
    if scope["type"] == "websocket":
        return WebSocketClose(POLICY_VIOLATION, why)
    return PlainTextResponse(why, status_code=403)


def _build_guards(hosts: Iterable[str]) -> dict[str, str]:
    """What each answer tells a browser to keep out of it."""
    websockets = " ".join(f"ws://{host}" for host in sorted(hosts))
    return {"X-Frame-Options": "DENY", "Content-Security-Policy": POLICY.format(websockets=websockets)}


def guarded(send: Send, guards: Mapping[str, str]) -> Send:
    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(guards)
        await send(message)

    return send_guarded
