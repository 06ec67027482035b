"""What open pages hear: every change once, of their own organization only, and nothing while nothing happens."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from starlette.testclient import TestClient

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.services.showing.live import Changes, Picture, changes
from dagctl_provider.ui import live


def picture(**parts: Any) -> Picture:
    """A picture of two organizations with a project each."""
    projects = {"proj_a": ("org-a", "dagctl__org__a", 1), "proj_b": ("org-b", "dagctl__org__b", 1)}
    return Picture(**{"steps": {}, "projects": projects, "runs": {}, "newest_step": "plan_1", **parts})


RUNNING = {"plan_2": ("org-a", "proj_a", "plangroup_2", "running")}
TOLD = {"plangroup_2": ("org-a", datetime(2026, 4, 28, 10, 0, tzinfo=timezone.utc))}
TOLD_MORE = {"plangroup_2": ("org-a", datetime(2026, 4, 28, 10, 1, tzinfo=timezone.utc))}
PENDING = {"plan_2": ("org-a", "proj_a", "plangroup_2", "pending")}


class TestChanges:
    @pytest.mark.parametrize(
        ("before", "after", "projects", "groups"),
        [
            (picture(), picture(), set(), set()),
            (picture(), picture(steps=RUNNING), {"proj_a"}, {"plangroup_2"}),
            (picture(steps=RUNNING), picture(steps=PENDING), {"proj_a"}, {"plangroup_2"}),
            (picture(steps=PENDING), picture(), {"proj_a"}, {"plangroup_2"}),
            (picture(), picture(newest_step="plan_3", fresh=(("org-a", "proj_a", "plangroup_3"),)), {"proj_a"}, {"plangroup_3"}),
            (picture(), picture(runs={"dagctl__org__a__run/run_1": "running"}), {"proj_a"}, set()),
            (picture(), picture(runs={"other__run/run_1": "running"}), set(), set()),
            (picture(), picture(executions={"run_1": ("proj_a", "running", 1)}), {"proj_a"}, set()),
            (picture(executions={"run_1": ("proj_a", "running", 1)}), picture(), {"proj_a"}, set()),
            (picture(), picture(executions={"run_1": ("proj_b", "running", 1)}), set(), set()),
            (picture(projects={}), picture(), {"proj_a"}, set()),
            (picture(), picture(projects={}), {"proj_a"}, set()),
        ],
    )
    def test_what_differs(self, before: Picture, after: Picture, projects: set[str], groups: set[str]) -> None:
        found = changes(before, after, "org-a")
        assert (set(found.projects), set(found.groups)) == (projects, groups)
        assert (before.version("org-a") != after.version("org-a")) == bool(found)

    def test_progress_is_told_apart_so_that_pages_need_not_read_everything_anew(self) -> None:
        before, after = picture(steps=RUNNING, progress=TOLD), picture(steps=RUNNING, progress=TOLD_MORE)
        assert changes(before, after, "org-a") == Changes(frozenset(), frozenset(), frozenset({"plangroup_2"}))
        assert before.version("org-a") != after.version("org-a"), "pages without a stream hear of it too"
        assert changes(before, picture(steps=PENDING), "org-a").progress == frozenset(), "the end of a step is no progress"
        assert changes(picture(), after, "org-a").progress == frozenset(), "a page that reads the plan anew reads its progress"

    def test_other_organizations_hear_nothing_of_it(self) -> None:
        assert not changes(picture(), picture(steps=RUNNING, progress=TOLD), "org-b")
        assert picture().version("org-b") == picture(steps=RUNNING).version("org-b")


class Looks:
    """Pictures a watcher sees, one after the other; the last one from then on."""

    def __init__(self, *pictures: Picture) -> None:
        self.pictures = list(pictures)
        self.taken = 0
        self.given: list[Picture | None] = []

    def __call__(self, before: Picture | None) -> Picture:
        self.given.append(before)
        self.taken += 1
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]


def told(text: str) -> dict[str, Any]:
    """The data of an event."""
    return dict(json.loads(next(line for line in text.splitlines() if line.startswith("data: ")).removeprefix("data: ")))


class TestWatcher:
    def test_many_listeners_cost_one_look(self) -> None:
        async def work() -> tuple[int, list[str]]:
            looks = Looks(picture(), picture(), picture(steps=RUNNING))
            watcher = live.Watcher(looks, 0.01)
            listeners = [await watcher.join("org-a") for _ in range(50)]
            await asyncio.wait_for(asyncio.gather(*(listener.woken.wait() for listener in listeners)), 10)
            return looks.taken, [listener.take() for listener in listeners]

        taken, events = asyncio.run(work())
        assert taken <= 5
        assert {tuple(told(text)["groups"]) for text in events} == {("plangroup_2",)}

    def test_it_looks_only_while_somebody_listens(self) -> None:
        async def work() -> tuple[int, int]:
            looks = Looks(picture())
            watcher = live.Watcher(looks, 0.01)
            listener = await watcher.join("org-a")
            watcher.leave(listener)
            task = watcher._task
            assert task is not None
            await asyncio.wait_for(task, 10)
            before = looks.taken
            await watcher.join("org-a")
            return before, looks.taken

        before, after = asyncio.run(work())
        assert before <= 2
        assert after == before + 1, "after a pause it begins with a fresh picture"

    def test_who_joins_during_the_first_look_of_another_takes_no_change_from_it(self) -> None:
        later, calls = threading.Event(), iter((picture(),))

        def look(before: Picture | None) -> Picture:
            found = next(calls, None)
            if found is None:
                later.wait(10)
            return found or picture(steps=RUNNING)

        async def work() -> list[str]:
            watcher = live.Watcher(look, 0.1)
            joining = [asyncio.create_task(watcher.join("org-a")) for _ in range(2)]
            (first, *_), _ = await asyncio.wait(joining, return_when=asyncio.FIRST_COMPLETED)
            later.set()
            await asyncio.gather(*joining)
            await asyncio.wait_for(first.result().woken.wait(), 10)
            return [told(first.result().take())["groups"]]

        assert asyncio.run(work()) == [["plangroup_2"]]

    def test_a_failed_look_is_followed_by_another(self) -> None:
        calls = iter((picture(), RuntimeError("database away"), picture(steps=RUNNING)))

        def look(before: Picture | None) -> Picture:
            found = next(calls, picture(steps=RUNNING))
            if isinstance(found, Exception):
                raise found
            return found

        async def work() -> str:
            watcher = live.Watcher(look, 0.01)
            listener = await watcher.join("org-a")
            await asyncio.wait_for(listener.woken.wait(), 10)
            return listener.take()

        assert told(asyncio.run(work()))["projects"] == ["proj_a"]

    def test_what_was_not_told_yet_adds_up(self) -> None:
        listener = live.Listener("org-a")
        listener.note(changes(picture(), picture(steps=RUNNING), "org-a"), "v1")
        listener.note(changes(picture(), picture(fresh=(("org-a", "proj_a", "plangroup_9"),)), "org-a"), "v2")
        listener.note(changes(picture(steps=RUNNING), picture(steps=RUNNING, progress=TOLD), "org-a"), "v3")
        assert told(listener.take()) == {
            "version": "v3",
            "projects": ["proj_a"],
            "groups": ["plangroup_2", "plangroup_9"],
            "progress": ["plangroup_2"],
        }
        assert told(listener.take())["groups"] == [], "what was told is not told again"
        assert not listener.woken.is_set()


class TestStream:
    @pytest.mark.parametrize("behind", [True, False])
    def test_a_page_that_is_behind_is_told_at_once(self, behind: bool) -> None:
        known = "older" if behind else picture().version("org-a")

        async def work() -> list[str]:
            watcher = live.Watcher(Looks(picture(), picture(), picture(steps=RUNNING)), 0.01)
            heard: list[str] = []
            events = live.stream(watcher, "org-a", known)
            async for text in events:
                heard.append(text)
                if "plangroup_2" in text:
                    break
            await events.aclose()  # type: ignore[attr-defined]
            assert len(watcher) == 0, "who has gone is forgotten"
            return heard

        first, *heard = asyncio.run(work())
        assert first.startswith("retry: ")
        assert [told(text).get("all", False) for text in heard] == ([True, False] if behind else [False])

    def test_it_ends_when_the_server_stops(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Server:
            should_exit = False

            def handle_exit(self) -> None: ...

        server = Server()
        monkeypatch.setattr(live.signal, "getsignal", lambda number: server.handle_exit)
        monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)

        async def work() -> int:
            events = live.stream(live.Watcher(Looks(picture()), 0.01), "org-a", "")
            heard = [await events.__anext__(), await events.__anext__()]
            server.should_exit = True
            return len(heard) + len([text async for text in events])

        assert asyncio.run(asyncio.wait_for(work(), 10)) == 2


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The mounted app; 'a.b.c' is Ada's session, 'r.e.f' that of somebody who may not read."""
    people = {"a.b.c": permissions_of("reader"), "r.e.f": frozenset()}

    def actor(credential: str, preferred: str | None) -> Actor:
        assert threading.current_thread() is not threading.main_thread()
        if credential not in people:
            raise DagctlError("unauthenticated", "The credential is not valid or has expired.")
        made = Actor("user", "ada", "Ada", preferred or "org-a", people[credential])
        made.require("read")
        return made

    monkeypatch.setattr(live, "_actor", actor)
    monkeypatch.setattr(live, "MAX_STREAM_SECONDS", 0.0)
    monkeypatch.setattr(live, "Watcher", lambda: Watcher(Looks(picture())))
    with TestClient(live.make_app()) as made:
        yield made


Watcher = live.Watcher


@pytest.mark.parametrize(("session", "status"), [("", 401), ("x.y.z", 401), ("r.e.f", 403), ("a.b.c", 200)])
def test_only_who_may_read_listens(client: TestClient, session: str, status: int) -> None:
    answer = client.get("/events", headers={"Cookie": f"_token={session}"})
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    if status == 200:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.startswith("retry: ")


def test_the_organization_that_the_browser_remembers_is_told_of(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def stream(watcher: Watcher, organization_id: str, known: str) -> AsyncIterator[str]:
        told.append(organization_id)
        yield "retry: 1\n\n"

    monkeypatch.setattr(live, "stream", stream)
    for cookie in ("", "; dagctl_organization=org-b", "; dagctl_organization=../x"):
        assert client.get("/events", headers={"Cookie": f"_token=a.b.c{cookie}"}).status_code == 200
    assert told == ["org-a", "org-b", "org-a"]


def test_airflows_own_header_counts_where_everybody_is_admin(client: TestClient) -> None:
    assert client.get("/events", headers={"Authorization": "Bearer a.b.c"}).status_code == 200


def test_too_many_streams_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 0)
    assert client.get("/events", headers={"Cookie": "_token=a.b.c"}).status_code == 503


def test_too_many_streams_of_one_person_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.AtOnce, "of", lambda self, who: 100 if who[0] == "user" else 0)
    answer = client.get("/events", headers={"Cookie": "_token=a.b.c"})
    assert (answer.status_code, answer.json()) == (429, {"code": "too_many_streams"})
    assert answer.headers["retry-after"] == str(live.RETRY_SECONDS)


def test_a_stream_is_counted_until_it_ends(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__STREAMS_PER_ACTOR", "1")
    for _ in range(3):
        assert client.get("/events", headers={"Cookie": "_token=a.b.c"}).status_code == 200
