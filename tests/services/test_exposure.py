"""Who runs explains beside Airflow's secrets hears of it at the start, and nobody else does."""

from __future__ import annotations

import logging

import pytest

from dagctl_provider.services.outside import exposure


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"launcher": "process"}, logging.WARNING),
        ({"launcher": "process", "process_user": " "}, logging.WARNING),
        ({"launcher": "process", "allow_local_repositories": "True"}, logging.INFO),
        ({"launcher": "process", "process_user": "dagctl-steps"}, None),
        ({"launcher": "kubernetes"}, None),
        ({}, None),
    ],
)
def test_who_is_warned(
    settings: dict[str, str], level: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("launcher", "process_user", "allow_local_repositories"):
        monkeypatch.delenv(f"AIRFLOW__DAGCTL__{name.upper()}", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(f"AIRFLOW__DAGCTL__{name.upper()}", value)
    caplog.set_level(logging.INFO, logger=exposure.__name__)
    assert exposure.warn_of_exposure() == (exposure.BESIDE_AIRFLOW if level else None)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == (
        [(level, exposure.BESIDE_AIRFLOW)] if level else []
    )
