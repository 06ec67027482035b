"""``python -m tests.kubernetes.cluster --port 0 --kubeconfig FILE``: run a cluster until told to stop (SIGTERM)."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import yaml
from aiohttp import web

from demo.options import REPOSITORY_ROOT
from tests.kubernetes.cluster.api import ADMINISTRATOR, Cluster
from tests.kubernetes.cluster.kubelet import CONTAINER_PATH, Image

# Every image has this very Python, with all that is installed for it.
PYTHON = tuple(dict.fromkeys(str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, REPOSITORY_ROOT)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes.cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port of the API; 0 takes a free one")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="written when the API answers; and FILE.control")
    parser.add_argument("--image-env", action="append", default=[], metavar="NAME=VALUE", help="environment of every image")
    parser.add_argument("--image-path", action="append", default=[], metavar="PATH", help="folder that images hold")
    parser.add_argument("--image-user", type=int, default=0, metavar="UID", help="user that images run as")
    return parser.parse_args()


async def _serve(application: web.Application, port: int) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    return runner, runner.addresses[0][1]


def kubeconfig(server: str, token: str, namespace: str = "default") -> str:
    """A kubeconfig file for an address and a user."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    }
    return yaml.safe_dump(document)


async def _run(arguments: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="dagctl-cluster-"))
    folder.chmod(0o755)
    env = {"PATH": f"{sys.prefix}/bin:{CONTAINER_PATH}"}
    env.update(entry.partition("=")[::2] for entry in arguments.image_env)
    cluster = Cluster(folder, Image(env, (*PYTHON, *arguments.image_path), arguments.image_user))
    api, port = await _serve(cluster.application(), arguments.port)
    control, control_port = await _serve(cluster.control(), 0)
    for file, text in (
        (Path(f"{arguments.kubeconfig}.control"), f"http://127.0.0.1:{control_port}"),
        (arguments.kubeconfig, kubeconfig(f"http://127.0.0.1:{port}", ADMINISTRATOR)),
    ):
        part = file.with_name(f"{file.name}.part")
        part.write_text(text)
        part.chmod(0o600)
        os.replace(part, file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await cluster.end()
    await asyncio.gather(api.cleanup(), control.cleanup())


if __name__ == "__main__":
    asyncio.run(_run(_arguments()))
