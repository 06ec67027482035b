"""The few things a step asks of Kubernetes, each of which outlives an API server that is away for a while.

KubernetesPodOperator gives up after five tries, that is after about half a minute; the control plane of a cluster takes longer
to be upgraded, and a step that writes to a warehouse must not be given up for that.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from kubernetes.client import CoreV1Api, V1DeleteOptions
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from dagctl_provider.pods.causes import PodTrouble

T = TypeVar("T")

_TIMES = (5, 30)
_LOG_TIMES = (5, 90)
_EXEC_SECONDS = 300.0
_AWAY = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class ExecFailed(Exception):
    """A command in a container did not run, or did not run well."""


class Log(Protocol):
    """What is told to a logger, Python's or that of an Airflow task."""

    def info(self, message: str, /, *values: object) -> object:
        """Tell what is as it should be."""

    def warning(self, message: str, /, *values: object) -> object:
        """Tell what may become trouble."""


class Cluster:
    """One namespace of a cluster.

    :param connect: Makes a client; called again when its credentials have expired.
    :param namespace: Where the pods are.
    :param patience: Seconds the API may be away.
    :param log: Told when it is.
    :param sleep: Waits; tests wait less.
    """

    def __init__(
        self,
        connect: Callable[[], CoreV1Api],
        namespace: str,
        patience: float,
        log: Log,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._api = connect()
        self.namespace = namespace
        self._patience = patience
        self._log = log
        self.sleep = sleep

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create a pod. One of that name that is there already is the same pod: an answer was lost, or another worker was first.

        :raises PodTrouble: ``pod_refused``, ``cluster_unreachable``.
        """
        body = self._api.api_client.sanitize_for_serialization(pod)
        for last in (False, False, False, True):
            try:
                return self._ask(lambda api: api.create_namespaced_pod(self.namespace, body, _request_timeout=_TIMES))
            except ApiException as error:
                # Two that use up one quota at the same time also get 409.
                found = self.read_pod(pod.metadata.name) if error.status == 409 else None
                if found is not None:
                    return found
                if error.status != 409 or last:
                    raise PodTrouble("pod_refused", _said(error)) from None
            self.sleep(_FIRST_PAUSE)
        raise AssertionError("the last try returns or raises")

    def read_pod(self, name: str) -> k8s.V1Pod | None:
        """The pod, or ``None`` when there is none."""
        try:
            return self._ask(lambda api: api.read_namespaced_pod(name, self.namespace, _request_timeout=_TIMES))
        except ApiException as error:
            if error.status == 404:
                return None
            raise PodTrouble("pod_refused", _said(error)) from None

    def list_pods(self, selector: str) -> list[k8s.V1Pod]:
        """The pods with these labels."""
        try:
            found = self._ask(
                lambda api: api.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=_TIMES)
            )
        except ApiException as error:
            raise PodTrouble("pod_refused", _said(error)) from None
        return list(found.items)

    def delete_pod(self, name: str, grace: int) -> None:
        """Ask for the end of a pod; one that is gone is as good.

        :param grace: Seconds its processes have.
        """
        options = V1DeleteOptions(grace_period_seconds=grace)
        try:
            self._ask(lambda api: api.delete_namespaced_pod(name, self.namespace, body=options, _request_timeout=_TIMES))
        except ApiException as error:
            if error.status not in (404, 409):
                raise PodTrouble("pod_refused", _said(error)) from None

    def await_gone(self, name: str, uid: str, seconds: float) -> bool:
        """Wait until a pod is gone.

        :param uid: A pod of that name with another one is another pod.
        :return: False when it is still there.
        """
        until, pause = time.monotonic() + seconds, 0.1
        while True:
            pod = self.read_pod(name)
            if pod is None or pod.metadata.uid != uid:
                return True
            if time.monotonic() > until:
                return False
            self.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def create_secret(self, secret: k8s.V1Secret) -> None:
        """Create a Secret; one of that name is the same.

        :raises PodTrouble: ``pod_refused``. The error does not quote the Secret.
        """
        body = self._api.api_client.sanitize_for_serialization(secret)
        try:
            self._ask(lambda api: api.create_namespaced_secret(self.namespace, body, _request_timeout=_TIMES))
        except ApiException as error:
            if error.status != 409:
                raise PodTrouble("pod_refused", f"Creating a Secret for the step: {error.status} {error.reason}.") from None

    def delete_secret(self, name: str) -> None:
        """Remove a Secret as soon as it is of no more use. It would go with its pod in any case."""
        with contextlib.suppress(ApiException, PodTrouble):
            self._ask(lambda api: api.delete_namespaced_secret(name, self.namespace, _request_timeout=_TIMES))

    def events(self, name: str) -> Sequence[Any]:
        """The events of a pod, oldest first; none when they may not be read."""
        selector = f"involvedObject.kind=Pod,involvedObject.name={name}"
        try:
            found = self._ask(
                lambda api: api.list_namespaced_event(self.namespace, field_selector=selector, _request_timeout=_TIMES)
            )
        except (ApiException, PodTrouble):
            return []
        return sorted(found.items, key=lambda event: str(event.last_timestamp or event.event_time or ""))

    def log_chunks(self, name: str, container: str, since: int | None, follow: bool) -> Iterator[bytes]:
        """The log of a container with a time before each line, as it comes.

        :param since: Seconds to go back; all when ``None``.
        :param follow: Go on until the container ends.
        :raises ApiException: when the container has no log (yet).
        :raises HTTPError: when the connection breaks.
        """
        more = {} if since is None else {"since_seconds": since}
        response = self._api.read_namespaced_pod_log(
            name,
            self.namespace,
            container=container,
            follow=follow,
            timestamps=True,
            _preload_content=False,
            _request_timeout=_LOG_TIMES,
            **more,
        )
        try:
            yield from response.stream(amt=None, decode_content=True)
        finally:
            response.close()

    def exec(self, name: str, container: str, script: str) -> str:
        """Run a shell script in a container.

        :return: What it wrote.
        :raises ExecFailed: when it did not run, or complained.
        """
        try:
            # The stream replaces a method of its client while it runs, so it gets a client of its own.
            client = stream(
                self._connect().connect_get_namespaced_pod_exec,
                name,
                self.namespace,
                container=container,
                command=["sh", "-c", script],
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                _request_timeout=_TIMES[1],
            )
        # AttributeError: the client decodes the body of a refused handshake, also when there is none.
        except (ApiException, HTTPError, WebSocketException, OSError, AttributeError) as error:
            raise ExecFailed(_said(error) if isinstance(error, ApiException) else str(error)) from error
        parts: list[str] = []
        until = time.monotonic() + _EXEC_SECONDS
        try:
            while client.is_open() and time.monotonic() < until:
                client.update(timeout=5)
                if client.peek_stdout():
                    # Taken out at once: the client appends texts to each other, which is slow for megabytes.
                    parts.append(client.read_stdout())
            code = None if client.is_open() else client.returncode
        except (HTTPError, WebSocketException, OSError, TypeError, KeyError, ValueError) as error:
            raise ExecFailed(f"the connection broke: {error}") from error
        finally:
            with contextlib.suppress(Exception):
                client.close()
        if code != 0:
            raise ExecFailed(f"exit code {code}: {client.read_stderr() if code else ''}".strip(": "))
        return "".join(parts)

    def read_json(self, name: str, container: str, path: str) -> dict[str, Any] | None:
        """A JSON object from a file in a container; packed on the way, since the plan of 10 000 models is megabytes of text.

        :return: ``None`` when the file is absent or holds no object.
        :raises ExecFailed: when it could not be read.
        """
        text = self.exec(name, container, f"if [ -s {path} ]; then gzip -1 -c {path} | base64; fi")
        if not text.strip():
            return None
        try:
            value = json.loads(gzip.decompress(base64.b64decode(text)))
        except (ValueError, EOFError, OSError) as error:
            raise ExecFailed(f"what was read is not whole: {error}") from error
        return value if isinstance(value, dict) else None

    def _ask(self, call: Callable[[CoreV1Api], T]) -> T:
        """Ask until there is an answer.

        :raises ApiException: for an answer that says no.
        :raises PodTrouble: ``cluster_unreachable``.
        """
        began: float | None = None
        pause, refreshed = _FIRST_PAUSE, False
        while True:
            try:
                answer = call(self._api)
            except (ApiException, HTTPError, OSError) as error:
                status = error.status if isinstance(error, ApiException) else None
                if status == 401 and not refreshed:
                    # Tokens of a service account live for an hour; a new client reads the new one.
                    refreshed = True
                    self._api = self._connect()
                    continue
                if isinstance(error, ApiException) and status not in _AWAY:
                    raise
                now = time.monotonic()
                if began is None:
                    began = now
                    self._log.warning("The Kubernetes API does not answer (%s); trying for %.0f s", _short(error), self._patience)
                if now - began >= self._patience:
                    raise PodTrouble("cluster_unreachable", _short(error)) from None
                self.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if began is not None:
                    self._log.info("The Kubernetes API answers again after %.0f s", time.monotonic() - began)
                return answer


def _short(error: Exception) -> str:
    return f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__


def _said(error: ApiException) -> str:
    """The API server's own sentence."""
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, TypeError, KeyError):
        message = None
    return str(message or f"{error.status} {error.reason}")
