"""Under which ports a node can be reached from outside, as JSON. Nothing listens there.

Source: recorded nodes of Linux pools, of cloud service pools and of pools with inbound NAT pools.
"""

from __future__ import annotations

from batch_emulator.resources.model import Node, Pool, Wire

_ADDRESS = {"publicIPAddress": "127.0.0.1", "publicFQDN": "localhost"}
_FIRST_LOGIN_PORT = 50000


def login_port(node: Node) -> int:
    """The public port for remote login on a node."""
    return _FIRST_LOGIN_PORT + node.number - 1


def render_endpoints(node: Node, pool: Pool) -> list[Wire]:
    """A node's `inboundEndpoints`: those of the pool's NAT pools, then the one for remote login."""
    network = pool.spec.get("networkConfiguration", {})
    nat_pools = network.get("endpointConfiguration", {}).get("inboundNATPools", [])
    return [*(_nat_endpoint(node, each) for each in nat_pools), _login_endpoint(node, pool)]


def _nat_endpoint(node: Node, nat_pool: Wire) -> Wire:
    index = node.number - 1
    return {
        "name": f"{nat_pool['name']}.{index}",
        "protocol": nat_pool["protocol"],
        **_ADDRESS,
        "frontendPort": nat_pool["frontendPortRangeStart"] + index,
        "backendPort": nat_pool["backendPort"],
    }


def _login_endpoint(node: Node, pool: Pool) -> Wire:
    if "cloudServiceConfiguration" in pool.spec:
        name, port, backend = "Microsoft.WindowsAzure.Plugins.RemoteForwarder.RdpInput", 3389, 20000
    elif "windows" in pool.spec["virtualMachineConfiguration"]["nodeAgentSKUId"].lower():
        name, port, backend = f"SSHRule.{node.number - 1}", login_port(node), 3389
    else:
        name, port, backend = f"SSHRule.{node.number - 1}", login_port(node), 22
    return {"name": name, "protocol": "tcp", **_ADDRESS, "frontendPort": port, "backendPort": backend}
