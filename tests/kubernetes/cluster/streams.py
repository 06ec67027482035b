"""What streams out of a container: its log, and commands run beside it over WebSocket.

The WebSocket subprotocols are ``v4.channel.k8s.io`` and ``v5.channel.k8s.io``: the first byte of each message is its channel.
https://kubernetes.io/docs/reference/using-api/api-concepts/ and k8s.io/apimachinery/pkg/util/remotecommand/constants.go
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import Any

from aiohttp import WSMsgType, web

from tests.kubernetes.cluster.containers import Container, launch, stamp, status_lines
from tests.kubernetes.cluster.kubelet import Pod
from tests.kubernetes.cluster.objects import ApiError

_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


def the_container(pod: Pod, name: str | None) -> Container:
    """The container that a request is about.

    :raises ApiError: 400, as kubelet words it.
    """
    specs = [*(pod.spec.get("initContainers") or ()), *pod.spec["containers"]]
    names = [spec["name"] for spec in specs]
    if not name and len(specs) > 1:
        raise ApiError(400, "BadRequest", f"a container name must be specified for pod {pod.name}, choose one of: {names}")
    name = name or names[0]
    if name not in names:
        raise ApiError(400, "BadRequest", f"container {name} is not valid for pod {pod.name}")
    container = pod.container(name)
    if container is None:
        state = pod.states.get(name, {}).get("waiting", {})
        reason = state.get("reason") or ("PodInitializing" if pod.spec.get("initContainers") else "ContainerCreating")
        raise ApiError(400, "BadRequest", f'container "{name}" in pod "{pod.name}" is waiting to start: {reason}')
    return container


async def log(request: web.Request, pod: Pod) -> web.StreamResponse:
    """Answer ``GET pods/x/log``."""
    query = request.query
    container = the_container(pod, query.get("container"))
    lines = container.log.lines
    first = max(0, len(lines) - int(query["tailLines"])) if "tailLines" in query else 0
    since = 0
    if "sinceSeconds" in query:
        since = time.time_ns() - int(query["sinceSeconds"]) * 10**9
    elif "sinceTime" in query:
        since = int(datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00")).timestamp() * 10**9)
    stamped = query.get("timestamps") in ("true", "True")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for moment, line in container.log.read(query.get("follow") in ("true", "True"), first):
        if moment >= since:
            await response.write((f"{stamp(moment)} ".encode() if stamped else b"") + line + b"\n")
    await response.write_eof()
    return response


async def execute(request: web.Request, pod: Pod) -> web.StreamResponse:
    """Answer ``GET pods/x/exec`` with a WebSocket."""
    container = the_container(pod, request.query.get("container"))
    if not container.is_running:
        raise ApiError(500, "InternalError", f'container not found ("{container.name}")')
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
    await socket.prepare(request)
    command = request.query.getall("command")
    wants_input = request.query.get("stdin") in ("true", "True")
    process, status = await launch(
        ["exec", str(container.spec_file), str(container.pid), *command],
        stdin=asyncio.subprocess.PIPE if wants_input else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    listener = asyncio.create_task(_listen(socket, process))
    try:
        lines = await status_lines(status)
        await asyncio.gather(_send(socket, _STDOUT, process.stdout), _send(socket, _STDERR, process.stderr))
        code = await process.wait()
        failed = next((value for kind, value in lines if kind == "error"), None)
        if not socket.closed:
            await socket.send_bytes(bytes([_ERROR]) + json.dumps(_status(code, failed)).encode())
    finally:
        listener.cancel()
        if process.returncode is None:
            process.kill()
        await socket.close()
    return socket


async def _send(socket: web.WebSocketResponse, channel: int, stream: asyncio.StreamReader | None) -> None:
    while stream is not None and (chunk := await stream.read(1 << 15)):
        if socket.closed:
            return
        await socket.send_bytes(bytes([channel]) + chunk)


async def _listen(socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    """Hand input on; end the command when the client goes."""
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            break
        data = message.data.encode() if isinstance(message.data, str) else message.data
        channel, content = (data[0], data[1:]) if data else (_STDIN, b"")
        if channel == _STDIN and process.stdin is not None:
            try:
                process.stdin.write(content)
                await process.stdin.drain()
            except ConnectionError:
                pass
        elif channel == _CLOSE and process.stdin is not None:
            process.stdin.close()
    if process.returncode is None:
        process.kill()


def _status(code: int, failed: str | None) -> dict[str, Any]:
    common = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    if failed:
        text = f"Internal error occurred: error executing command in container: failed to exec in container: {failed}"
        return {**common, "status": "Failure", "message": text, "reason": "InternalError", "code": 500}
    if code == 0:
        return {**common, "status": "Success"}
    return {
        **common,
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
