"""What every git process is told, by the API server and by the runner: no program but git's own, no host but the judged one.

One table for both, for what one of them forbids and the other does not is what a hostile server will try.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_provider.runner.repositories import RepositoryAddress

HARDENED: Mapping[str, str] = {
    # Programs that configuration could start.
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.gitProxy": "",
    "core.alternateRefsCommand": "",
    "credential.helper": "",
    "credential.interactive": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # Ways to be led elsewhere: redirects, and with them the alternates of a dumb server; bundles and packs that a server keeps
    # on another host; submodules.
    "protocol.allow": "never",
    "protocol.version": "2",
    "http.followRedirects": "false",
    "http.sslVerify": "true",
    "transfer.bundleURI": "false",
    "fetch.uriProtocols": "",
    "transfer.credentialsInUrl": "die",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
}
"""Settings of git. ``protocol.<scheme>.allow`` for the one scheme of the repository is added by who asks."""


def https_pin(address: RepositoryAddress, addresses: tuple[str, ...]) -> dict[str, str]:
    """Settings that hold git to the judged addresses of an https host.

    Git before 2.37 does not know the setting and asks the name server again. Behind a proxy, git leaves the name to the proxy.
    """
    if address.scheme != "https" or not addresses:
        return {}
    return {"http.curloptResolve": f"{address.host}:{address.effective_port}:{','.join(addresses)}"}


def ssh_pin(address: RepositoryAddress, addresses: tuple[str, ...]) -> dict[str, str]:
    """Options that hold ssh to the first judged address of a host, while the host's key is still looked up under its name."""
    if address.scheme != "ssh" or not addresses or not address.host:
        return {}
    port = address.effective_port
    return {"HostName": addresses[0], "HostKeyAlias": address.host if port == 22 else f"[{address.host}]:{port}"}
