"""What a runner says of models, as rows: whatever it says, every row fits its columns."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.executions import MODEL_STATUSES, Execution
from dagctl_provider.plan_output.recorded import counted, moment, recorded, storable

NOW = datetime(2026, 4, 28, 12, tzinfo=timezone.utc)
RUN = Execution(
    id="run_1",
    project_id="proj_1",
    job_type="run",
    job_name="x",
    status="running",
    triggered_by="ada",
    created_at=NOW - timedelta(minutes=10),
    updated_at=NOW,
    start_time=NOW - timedelta(minutes=9),
    end_time=NOW,
)

_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400) | st.just("2026-04-28T11:55:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_member = dict.fromkeys(("kind", "duration", "rows", "batches", "started", "ended", "interval", "error"), _anything)
_rows = st.lists(
    st.fixed_dictionaries({"name": _anything | st.text(), "status": _anything | st.just("succeeded")}, optional=_member)
    | _anything,
    max_size=4,
)


@given(reported=_rows | _anything)
def test_every_row_fits(reported: Any) -> None:
    found = recorded(reported, RUN, NOW)
    assert len({model.id for model in found}) == len(found)
    assert counted(RUN, found).models_total == len(found)
    for model in found:
        assert model.status in MODEL_STATUSES
        assert 0 < len(model.model_name) <= 255
        model.model_name.encode()
        assert "\x00" not in model.model_name
        assert model.duration_seconds is None or (math.isfinite(model.duration_seconds) and model.duration_seconds >= 0)
        assert model.rows_processed is None or 0 <= model.rows_processed < 2**63
        assert model.batches is None or 0 <= model.batches < 2**31
        for at in (model.start_time, model.end_time, model.created_at):
            assert at is None or abs(at - NOW) <= timedelta(hours=2)
        for at in (model.interval_start, model.interval_end):
            assert at is None or 1970 <= at.year <= 2038


def test_what_is_told_is_kept() -> None:
    told = {
        "name": "shop.orders",
        "status": "succeeded",
        "started": "2026-04-28T11:55:00.5Z",
        "ended": "2026-04-28T11:56:00+00:00",
        "interval": ["2026-04-27", "2026-04-28T00:00:00+02:00"],
        "rows": 5,
    }
    (model,) = recorded([told], RUN, NOW)
    assert model.start_time is not None
    assert model.duration_seconds == 59.5
    assert model.created_at == model.start_time
    assert model.interval_start == datetime(2026, 4, 27, tzinfo=timezone.utc)
    assert model.interval_end == datetime(2026, 4, 27, 22, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", [None, "", "x", "2026-13-01", "now", "0001-01-01T00:00:00+23:59", "\x00"])
def test_what_is_no_moment(text: str | None) -> None:
    assert moment(text) is None


def test_texts() -> None:
    assert storable("  a\x00b\ud800 ", 10) == "a\ufffdb\ufffd"
    assert storable("   ", 10) is None
    assert storable("x" * 20, 10) == "x" * 10
