"""What a step asks of Kubernetes outlives an API server that is away, and nothing else is asked twice in vain."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import Cluster, ExecFailed
from tests.pods.objects import model, pod

AWAY = [ApiException(status=503, reason="Service Unavailable"), MaxRetryError(None, "/", None), ConnectionResetError()]  # type: ignore[arg-type]


class Api:
    """The client's calls, each of which gives or raises what is next."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[str] = []
        self.api_client = SimpleNamespace(sanitize_for_serialization=lambda value: value)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            self.calls.append(name)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def cluster(*apis: Api, patience: float = 60) -> Cluster:
    clients = list(apis)
    return Cluster(lambda: clients.pop(0), "data", patience, logging.getLogger("test"), sleep=lambda seconds: None)


def test_an_api_that_comes_back_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    there = pod()
    with caplog.at_level(logging.INFO):
        assert cluster(Api(*AWAY, there)).read_pod("x") is there
    assert [record.getMessage()[:38] for record in caplog.records] == [
        "The Kubernetes API does not answer (50",
        "The Kubernetes API answers again after",
    ]


@pytest.mark.parametrize("error", AWAY)
def test_patience_has_an_end(error: Exception) -> None:
    with pytest.raises(PodTrouble) as caught:
        cluster(Api(error), patience=0).read_pod("x")
    assert caught.value.finding.code == "cluster_unreachable"


def test_expired_credentials_are_renewed_once() -> None:
    expired, there = ApiException(status=401), pod()
    assert cluster(Api(expired), Api(there)).read_pod("x") is there
    with pytest.raises(PodTrouble):
        cluster(Api(expired), Api(expired)).read_pod("x")


def test_what_is_gone_is_gone() -> None:
    api = Api(ApiException(status=404))
    assert cluster(api).read_pod("x") is None
    cluster(api).delete_pod("x", 1)
    assert cluster(api).await_gone("x", "u1", 0)
    assert cluster(Api(pod())).await_gone("x", "another", 0)
    assert not cluster(Api(pod())).await_gone("x", "u1", -1)


def test_a_pod_is_created_once_even_when_the_answer_was_lost() -> None:
    there = pod()
    api = Api(ConnectionResetError(), ApiException(status=409, reason="AlreadyExists"), there)
    assert cluster(api).create_pod(there) is there
    assert api.calls == ["create_namespaced_pod", "create_namespaced_pod", "read_namespaced_pod"]
    quota = Api(ApiException(status=409, reason="Conflict"), ApiException(status=404), there)
    assert cluster(quota).create_pod(there) is there


def test_a_refusal_is_the_clusters_own_sentence() -> None:
    refusal = ApiException(status=403, reason="Forbidden")
    refusal.body = json.dumps({"message": 'pods "x" is forbidden: exceeded quota: team, requested: memory=4Gi'})
    with pytest.raises(PodTrouble, match="exceeded quota: team"):
        cluster(Api(refusal)).create_pod(pod())
    assert cluster(Api(refusal)).events("x") == []


def test_a_secret_is_not_quoted_when_it_is_refused() -> None:
    refusal = ApiException(status=422, reason="Unprocessable Entity")
    refusal.body = json.dumps({"message": "Secret is invalid: data: planted-secret"})
    with pytest.raises(PodTrouble) as caught:
        cluster(Api(refusal)).create_secret(model({"metadata": {"name": "s"}}, "V1Secret"))
    assert "planted" not in str(caught.value)
    cluster(Api(ApiException(status=409))).create_secret(model({"metadata": {"name": "s"}}, "V1Secret"))


def test_a_result_that_is_not_whole_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster(Api(pod()))
    for text in ("bm90IHBhY2tlZA==", "H4sI", "?"):
        monkeypatch.setattr(found, "exec", lambda *arguments, text=text: text)
        with pytest.raises(ExecFailed):
            found.read_json("x", "c", "/f")
    monkeypatch.setattr(found, "exec", lambda *arguments: "\n")
    assert found.read_json("x", "c", "/f") is None


def test_a_connection_that_is_refused_before_it_stands_is_a_failed_command(monkeypatch: pytest.MonkeyPatch) -> None:
    # What kubernetes client 36 does when the container has just ended: it decodes a body that is not there.
    monkeypatch.setattr("dagctl_provider.pods.cluster.stream", lambda *_, **__: None.decode())  # type: ignore[attr-defined]
    with pytest.raises(ExecFailed):
        cluster(Api(pod()), Api(pod())).exec("x", "c", "true")
