"""The critical path of a run: who has to get faster for the run to get faster."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.critical_paths import Span, critical_path

NAMES = [f"m{number}" for number in range(8)]


def test_nothing_ran() -> None:
    assert critical_path([], {}) is None


def test_the_chain_of_readers_that_took_longest() -> None:
    spans = [Span("raw", 0, 5), Span("orders", 5, 9), Span("items", 5, 6), Span("daily", 9, 12), Span("alone", 0, 11)]
    reads = {"orders": ["raw"], "items": ["raw"], "daily": ["orders", "items"]}
    found = critical_path(spans, reads)
    assert found is not None
    assert (found.names, found.by, found.seconds) == (("raw", "orders", "daily"), "lineage", 12)


def test_models_that_did_not_run_link_those_that_did() -> None:
    found = critical_path([Span("raw", 0, 5), Span("board", 6, 8)], {"board": ["view"], "view": ["raw"]})
    assert found is not None
    assert (found.names, found.by) == (("raw", "board"), "lineage")


def test_one_that_reads_nothing_may_take_longest() -> None:
    found = critical_path([Span("raw", 0, 5), Span("board", 6, 8), Span("alone", 0, 9)], {"board": ["raw"]})
    assert found is not None
    assert (found.names, found.by) == (("alone",), "lineage")


def test_without_readers_times_speak() -> None:
    spans = [Span("a", 0, 5), Span("b", 1, 4), Span("c", 5, 9), Span("d", 4.5, 6)]
    found = critical_path(spans, {"other": ["another"]})
    assert found is not None
    assert (found.names, found.by, found.seconds) == (("a", "c"), "time", 9)


spans_of_runs = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 10_000), st.integers(0, 1_000)), max_size=8, unique_by=lambda row: row[0]
).map(lambda rows: [Span(name, start, start + length) for name, start, length in rows])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spans=spans_of_runs, reads=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4)))
def test_whatever_is_reported_there_is_a_chain_of_models_that_ran(spans: list[Span], reads: dict[str, list[str]]) -> None:
    found = critical_path(spans, reads)
    if not spans:
        assert found is None
        return
    assert found is not None
    assert len(set(found.names)) == len(found.names) >= 1
    ran = {span.name: span for span in spans}
    assert set(found.names) <= set(ran)
    assert found.seconds >= max(span.end - span.start for span in spans) or found.by == "time"
    if found.by == "time":
        ends = [ran[name].end for name in found.names]
        assert ends == sorted(ends)
