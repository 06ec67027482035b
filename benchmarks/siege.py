"""Whether Airflow's API server stays up, small and quick while its paths of this package are besieged.

Bodies of 300 MB and of 10 GB in chunks on every path that is there because the package is installed, with and without
credentials; idle, half-open and slow sockets; answers that nobody reads; event streams; remotes that hang. Meanwhile a process of
its own asks Airflow's health twice a second, and the memory of the API server is looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.synchronize
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks.common import Verdict, connect, fresh_stack, machine, percentile, run, table
from demo.options import REPOSITORY_ROOT
from demo.stack import Stack

HEALTH = "/api/v2/monitor/health"
HEALTH_SECONDS = 1.0
GROWTH_MIB = 50
SLOWER = 2.0
HANGING = 8
BODY = 300_000_000
ENDLESS = 10_000_000_000
PIECE = b"x" * 65536
PATHS = (
    *("/api/v1/projects", "/api/v1/projects/proj_00000001/adopt", "/api/v1/nothing", "/api/v1/a%0Ab"),
    *("/pluginsv2/api/v1/projects", "/pluginsv2/dagctl/projects/new", "/pluginsv2/dagctl/projects/proj_00000001/adopt"),
    *("/pluginsv2/nothing", "/dagctl/events", "/dagctl/nothing"),
)
_TOKENS = """
import json, sys
from dagctl_provider.services import tokens
print("TOKENS" + json.dumps([tokens.create_token(sys.argv[1], f"siege {n}", "owner", "siege").secret for n in range(6)]))
"""
_PROJECTS = """
INSERT INTO dagctl_project (id, organization_id, name, name_key, project_type, repository_url, branch, settings, dag_id,
  deployed, deployed_at, created_at, updated_at)
SELECT 'proj_' || lpad(p::text, 8, '0'), %(organization)s, 'hanging-' || p, 'hanging-' || p, 'sqlmesh',
  'https://127.0.0.1:' || %(port)s || '/shop' || p, 'main', '{"suspended": true}', 'dagctl__hanging-' || p, true, now(), now(),
  now()
FROM generate_series(1, %(projects)s) p
"""


# Airflow's health, and the API server's memory


def _ask_health(base_url: str, over: multiprocessing.synchronize.Event, answers: Any) -> None:
    """Runs in a process of its own, so that what the besiegers need of theirs is not counted."""
    seconds, wrong = [], 0
    with httpx.Client(base_url=base_url, timeout=30) as http:
        while not over.wait(0.5):
            started = time.perf_counter()
            try:
                wrong += http.get(HEALTH).status_code != 200
            except httpx.HTTPError:
                wrong += 1
            seconds.append(time.perf_counter() - started)
    answers.put((seconds, wrong))


def memory_of(process: psutil.Process) -> float:
    """What a process and those it started have in memory, in MiB; not the git commands, which are others and end."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += 0 if one.name().startswith(("git", "ssh")) else one.memory_info().rss
    return total / 2**20


@dataclass
class Siege:
    """One attack, as it went.

    :param answers: How often each status, or each way to end, came.
    """

    name: str
    answers: Counter[str] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)
    wrong: int = 0
    growth: float = 0.0


async def besiege(stack: Stack, name: str, attack: Callable[[Counter[str]], Awaitable[None]]) -> Siege:
    """Let an attack run while health and memory are watched."""
    siege, process = Siege(name), stack.processes.get("api-server")
    assert process is not None
    context = multiprocessing.get_context("spawn")
    over, queue = context.Event(), context.Queue()
    prober = context.Process(target=_ask_health, args=(stack.base_url, over, queue), daemon=True)
    prober.start()
    before = most = memory_of(process)
    task = asyncio.ensure_future(attack(siege.answers))
    # The prober needs a moment to start, and a short attack is watched for some answers all the same.
    until = time.monotonic() + 8
    while not task.done() or time.monotonic() < until:
        await asyncio.sleep(0.1)
        most = max(most, memory_of(process))
    over.set()
    siege.health, siege.wrong = await asyncio.to_thread(queue.get)
    await asyncio.to_thread(prober.join)
    siege.growth = most - before
    task.result()
    return siege


# The attacks


@dataclass(frozen=True)
class Target:
    """Whom to besiege.

    :param headers: Credentials of some tokens.
    """

    host: str
    port: int
    headers: tuple[dict[str, str], ...]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    def head(self, method: str, path: str, *lines: str, headers: dict[str, str] | None = None) -> bytes:
        """The head of a request."""
        own = [f"{name}: {value}" for name, value in (headers or {}).items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.host}", *own, *lines, "", ""]).encode()


async def _status(reader: asyncio.StreamReader, seconds: float = 60) -> str:
    try:
        line = await asyncio.wait_for(reader.readline(), seconds)
    except (asyncio.TimeoutError, OSError) as error:
        return type(error).__name__
    return line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"


async def _send_body(target: Target, head: bytes, pieces: Iterable[bytes]) -> tuple[str, int]:
    """The status of the answer, and how much could be sent before the connection was closed."""
    reader, writer = await target.open()
    status, sent = asyncio.ensure_future(_status(reader)), 0
    try:
        writer.write(head)
        for piece in pieces:
            if writer.is_closing():
                break
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 60)
            sent += len(piece)
    except OSError:
        pass
    try:
        return await status, sent
    finally:
        writer.close()


def bodies(target: Target, announced: bool) -> Callable[[Counter[str]], Awaitable[None]]:
    """A large body on each path, without and with credentials."""

    async def attack(answers: Counter[str]) -> None:
        for path in PATHS:
            for headers in ({}, target.headers[0]):
                if announced:
                    pieces = (PIECE for _ in range(BODY // len(PIECE)))
                    line = f"Content-Length: {BODY // len(PIECE) * len(PIECE)}"
                else:
                    pieces = (b"10000\r\n" + PIECE + b"\r\n" for _ in range(ENDLESS // len(PIECE)))
                    line = "Transfer-Encoding: chunked"
                method = "GET" if path == "/dagctl/events" else "POST"
                head = target.head(method, path, line, "Content-Type: application/json", headers=headers)
                status, sent = await _send_body(target, head, pieces)
                answers[status] += 1
                answers["most MiB sent"] = max(answers["most MiB sent"], sent // 2**20)

    return attack


@asynccontextmanager
async def sockets(target: Target, number: int, text: bytes) -> AsyncIterator[list[Any]]:
    """Connections on which ``text`` was sent."""
    opened = []
    try:
        for _ in range(number):
            reader, writer = await target.open()
            writer.write(text)
            opened.append((reader, writer))
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


def quiet(target: Target, number: int, text: bytes, seconds: float) -> Callable[[Counter[str]], Awaitable[None]]:
    """Connections that say something, and then nothing."""

    async def attack(answers: Counter[str]) -> None:
        async with sockets(target, number, text):
            await asyncio.sleep(seconds)
            answers["open"] = number

    return attack


def slow(target: Target, number: int, seconds: float) -> Callable[[Counter[str]], Awaitable[None]]:
    """Clients that send a byte of their body each second, until they are answered."""

    async def client(path: str, answers: Counter[str]) -> None:
        reader, writer = await target.open()
        writer.write(
            target.head("POST", path, "Content-Length: 100000", "Content-Type: application/json", headers=target.headers[0])
        )
        status = asyncio.ensure_future(_status(reader, seconds))
        with suppress(OSError):
            while not status.done():
                writer.write(b" ")
                await writer.drain()
                await asyncio.wait([status], timeout=1)
        answers[await status] += 1
        writer.close()

    async def attack(answers: Counter[str]) -> None:
        own = ("/api/v1/projects", "/pluginsv2/api/v1/projects", "/pluginsv2/dagctl/projects/new", "/pluginsv2/x")
        await asyncio.gather(*(client(own[number % len(own)], answers) for number in range(number)))

    return attack


def unread(target: Target, number: int, seconds: float) -> Callable[[Counter[str]], Awaitable[None]]:
    """Clients that ask again and again for something large and read nothing."""

    async def attack(answers: Counter[str]) -> None:
        text = target.head("GET", "/api/v1/openapi.json") * 20
        async with sockets(target, number, text) as opened:
            for _, writer in opened:
                writer.transport.pause_reading()
            await asyncio.sleep(seconds)
            async with httpx.AsyncClient(base_url=f"http://{target.host}:{target.port}", timeout=30) as http:
                answers[str((await http.get("/api/v1/projects", headers=target.headers[0])).status_code)] += 1

    return attack


def waiting_for_remotes(target: Target, number: int, seconds: list[float]) -> Callable[[Counter[str]], Awaitable[None]]:
    """Plans of projects whose remote hangs; meanwhile projects are listed, and how long that takes is noted."""

    async def attack(answers: Counter[str]) -> None:
        base_url = f"http://{target.host}:{target.port}"
        limits = httpx.Limits(max_connections=number)
        async with httpx.AsyncClient(base_url=base_url, timeout=120, limits=limits) as http:

            async def plan(which: int) -> None:
                path = f"/api/v1/projects/proj_{which % HANGING + 1:08}/plans"
                answer = await http.post(path, headers=target.headers[1 + which % 5])
                code = answer.json().get("code", "")
                known = "Retry-After" if "retry-after" in answer.headers else "-"
                answers[f"{answer.status_code} {code} {known}"] += 1

            async def again(which: int) -> None:
                # Whoever is turned away comes back as soon as they were told to, as long as there is something to measure.
                while not measured.done():
                    await plan(which)
                    await asyncio.wait([measured], timeout=5)

            measured = asyncio.ensure_future(list_projects(target, 300, seconds))
            await asyncio.gather(measured, *(again(which) for which in range(number)))

    return attack


async def list_projects(target: Target, times: int, seconds: list[float]) -> None:
    """Ask for the projects, one request after the other."""
    async with httpx.AsyncClient(base_url=f"http://{target.host}:{target.port}", timeout=60) as http:
        for _ in range(times):
            started = time.perf_counter()
            (await http.get("/api/v1/projects", headers=target.headers[0])).raise_for_status()
            seconds.append(time.perf_counter() - started)


# The whole


@asynccontextmanager
async def silent_remote() -> AsyncIterator[int]:
    """A git host that takes connections and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def make_tokens(stack: Stack, organization: str) -> list[str]:
    """Some API tokens."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TOKENS, organization],
        env={**stack.environment("api-server"), "PYTHONPATH": str(REPOSITORY_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("TOKENS"))
    return list(json.loads(line.removeprefix("TOKENS")))


async def all_sieges(stack: Stack, options: argparse.Namespace) -> tuple[list[Siege], dict[str, list[float]]]:
    """One attack after the other."""
    access = json.loads(stack.access_file.read_text())
    headers = tuple(
        {"Authorization": f"Bearer {token}", "X-Organization-ID": access["organization_id"]}
        for token in make_tokens(stack, access["organization_id"])
    )
    target, hold = Target("127.0.0.1", stack.port, headers), options.seconds
    reading: dict[str, list[float]] = {"calm": [], "remotes hang": []}
    async with silent_remote() as port:
        with connect(stack) as connection, connection.cursor() as cursor:
            cursor.execute(_PROJECTS, {"organization": access["organization_id"], "port": str(port), "projects": HANGING})
        await list_projects(target, 100, [])

        async def calm(answers: Counter[str]) -> None:
            await list_projects(target, 300, reading["calm"])
            answers["200"] = len(reading["calm"])

        half = target.head("POST", "/api/v1/projects")[:-4]
        attacks: list[tuple[str, Callable[[Counter[str]], Awaitable[None]]]] = [
            ("nothing", calm),
            ("64 requests wait for remotes", waiting_for_remotes(target, 64, reading["remotes hang"])),
            (f"{BODY // 10**6} MB announced", bodies(target, announced=True)),
            (f"{ENDLESS // 10**9} GB in chunks", bodies(target, announced=False)),
            ("1,000 idle connections", quiet(target, 1000, b"", hold)),
            ("1,000 half a head", quiet(target, 1000, half, hold)),
            ("500 of a byte a second", slow(target, 500, 60)),
            ("100 that read nothing", unread(target, 100, hold)),
        ]
        return [await besiege(stack, name, attack) for name, attack in attacks], reading


def report(sieges: list[Siege]) -> str:
    """The table."""
    rows = [
        [
            siege.name,
            len(siege.health),
            percentile(siege.health, 0.5) * 1000,
            max(siege.health) * 1000,
            siege.wrong,
            siege.growth,
            ", ".join(f"{what}: {number}" for what, number in sorted(siege.answers.items())),
        ]
        for siege in sieges
    ]
    return table(["siege", "health asked", "p50 ms", "most ms", "wrong", "MiB more", "answers"], rows)


def main(options: argparse.Namespace) -> int:
    """Besiege, print."""
    about, verdict = machine(), Verdict()
    settings = {"AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS": "True", "AIRFLOW__DAGCTL__POLLING_INTERVAL": "86400"}
    with fresh_stack("siege", settings) as stack:
        # Nothing is to be measured but the API server.
        stack.stop_components(["scheduler", "dag-processor"])
        sieges, reading = asyncio.run(all_sieges(stack, options))
    print(f"\nsiege: {about}\n")
    print(report(sieges))
    rows = [
        [name, len(seconds), *(percentile(seconds, share) * 1000 for share in (0.5, 0.99))] for name, seconds in reading.items()
    ]
    print("\n" + table(["GET /api/v1/projects while", "times", "p50 ms", "p99 ms"], rows) + "\n")
    for siege in sieges:
        verdict.require(max(siege.health) < HEALTH_SECONDS, f"{siege.name}: health took {max(siege.health):.2f} s")
        verdict.require(siege.wrong == 0, f"{siege.name}: health failed {siege.wrong} times")
        verdict.require(siege.growth < GROWTH_MIB, f"{siege.name}: {siege.growth:.0f} MiB more")
        verdict.require(not any(answer.startswith("500") for answer in siege.answers), f"{siege.name}: answered 500")
    calm, hanging = (percentile(reading[name], 0.99) for name in ("calm", "remotes hang"))
    verdict.require(hanging <= SLOWER * calm, f"reading is {hanging / calm:.1f} times slower while remotes hang")
    return verdict.tell()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.siege", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--seconds", type=float, default=20, help="how long quiet connections are held (default 20)")
    made.add_argument("--quick", action="store_true", help="5 seconds: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--seconds", "5"]
    run(main, parser())
