"""Under which ports a node can be reached from outside, as JSON. Nothing listens there.

Source: recorded nodes of Linux pools, of cloud service pools and of pools with inbound NAT pools. Since API
version 2024-07-01 a node has no port for remote login but the one that a NAT pool gives it.
"""

from __future__ import annotations

from batch_emulator.api.versions import FIRST_WITHOUT_LOGIN
from batch_emulator.catalogue.images import runs_windows
from batch_emulator.resources.model import Node, Pool, Wire

_HOST = "localhost"
_ADDRESSES = {"": "127.0.0.1", "-ipv6": "::1"}
_FIRST_LOGIN_PORT = 50000
_LOGIN_BACKENDS = (22, 3389)


def render_endpoints(node: Node, pool: Pool, version: str) -> list[Wire]:
    """A node's `inboundEndpoints`: those of the pool's NAT pools, then the one for remote login."""
    own = [] if version >= FIRST_WITHOUT_LOGIN else [_login_endpoint(node, pool)]
    return [*_nat_endpoints(node, pool), *own]


def render_login(node: Node, pool: Pool) -> Wire:
    """Where a node takes remote logins: at a NAT pool's port for them, else (inferred) at one of its own."""
    found = [each for each in _nat_endpoints(node, pool) if each["backendPort"] in _LOGIN_BACKENDS]
    ports = {each["publicIPAddress"]: each["frontendPort"] for each in reversed(found)}
    wire: Wire = {
        "remoteLoginIPAddress": _ADDRESSES[""],
        "remoteLoginPort": ports.get(_ADDRESSES[""], _login_port(node)),
    }
    if (second := _ADDRESSES["-ipv6"]) in ports:
        wire |= {"ipv6RemoteLoginIPAddress": second, "ipv6RemoteLoginPort": ports[second]}
    return wire


def ipv6_address(pool: Pool) -> str | None:
    """Of each node of a pool that asks for both kinds of address."""
    public = pool.spec.get("networkConfiguration", {}).get("publicIPAddressConfiguration", {})
    return _ADDRESSES["-ipv6"] if "IPv6" in public.get("ipFamilies", ()) else None


def _nat_endpoints(node: Node, pool: Pool) -> list[Wire]:
    """One for each NAT pool and kind of address."""
    network = pool.spec.get("networkConfiguration", {})
    nat_pools = network.get("endpointConfiguration", {}).get("inboundNATPools", [])
    kinds = ("", "-ipv6") if ipv6_address(pool) else ("",)
    return [_nat_endpoint(node, each, kind) for each in nat_pools for kind in kinds]


def _nat_endpoint(node: Node, nat_pool: Wire, kind: str) -> Wire:
    index = node.number - 1
    return {
        "name": f"{nat_pool['name']}{kind}.{index}",
        "protocol": nat_pool["protocol"],
        "publicIPAddress": _ADDRESSES[kind],
        "publicFQDN": _HOST,
        "frontendPort": nat_pool["frontendPortRangeStart"] + index,
        "backendPort": nat_pool["backendPort"],
    }


def _login_endpoint(node: Node, pool: Pool) -> Wire:
    if "cloudServiceConfiguration" in pool.spec:
        name, port, backend = "Microsoft.WindowsAzure.Plugins.RemoteForwarder.RdpInput", 3389, 20000
    elif runs_windows(pool.spec):
        name, port, backend = f"SSHRule.{node.number - 1}", _login_port(node), 3389
    else:
        name, port, backend = f"SSHRule.{node.number - 1}", _login_port(node), 22
    address = {"publicIPAddress": _ADDRESSES[""], "publicFQDN": _HOST}
    return {"name": name, "protocol": "tcp", **address, "frontendPort": port, "backendPort": backend}


def _login_port(node: Node) -> int:
    return _FIRST_LOGIN_PORT + node.number - 1
