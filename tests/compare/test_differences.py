"""That the comparison notices what differs, and takes nothing for the same that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare.differences import compare, report
from tests.compare.varying import Varying

NOW = 1_777_370_400_000
PAGE = "200\n\n<h1>Plans</h1>\n<p>3 wait</p>\n"


def folders(path: Path, before: dict[str, str], after: dict[str, str]) -> tuple[Path, Path]:
    for side, files in (("before", before), ("after", after)):
        for name, text in files.items():
            file = path / side / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    return path / "before", path / "after"


def test_the_same_answers_are_the_same(tmp_path: Path) -> None:
    found = compare(*folders(tmp_path, {"pages/plans": PAGE, "rest/plans": "[]"}, {"pages/plans": PAGE, "rest/plans": "[]"}))
    assert not found
    assert found.same == ("pages/plans", "rest/plans")
    assert list(report(found))[-1].split() == ["all", "2", "2", "0", "0"]


def test_a_changed_word_is_shown_with_its_file(tmp_path: Path) -> None:
    found = compare(
        *folders(tmp_path, {"pages/plans": PAGE, "rest/a": ""}, {"pages/plans": PAGE.replace("3", "4"), "rest/a": ""})
    )
    assert found
    text = "\n".join(report(found))
    assert "--- before/pages/plans" in text
    assert "-<p>3 wait</p>\n+<p>4 wait</p>" in text
    assert ["pages", "1", "0", "1", "0"] in [line.split() for line in text.splitlines()]


@pytest.mark.parametrize(
    "changed", [PAGE.replace("\n", "\r\n"), PAGE.rstrip("\n"), PAGE + " ", PAGE.replace("Plans", "Plans\u200b")]
)
def test_what_nobody_sees_is_a_difference_too(tmp_path: Path, changed: str) -> None:
    found = compare(*folders(tmp_path, {"pages/plans": PAGE}, {"pages/plans": changed}))
    assert found.different["pages/plans"]


def test_answers_of_one_side_only_are_named(tmp_path: Path) -> None:
    found = compare(*folders(tmp_path, {"a/gone": "1", "a/both": "2"}, {"a/both": "2", "a/new": "3"}))
    assert found
    text = list(report(found))
    assert text[:2] == ["only before: a/gone", "only after: a/new"]
    assert text[-1].split() == ["all", "3", "1", "0", "2"]


class TestVarying:
    def made(self, moment: int, rest: str = "abcdefghjk") -> str:
        digits = "0123456789abcdefghjkmnpqrstvwxyz"
        return "".join(digits[moment >> shift & 31] for shift in range(45, -5, -5)) + rest

    def test_ids_are_numbered_as_they_appear(self) -> None:
        varying = Varying(NOW)
        first, second = f"plan_{self.made(NOW)}", f"plan_{self.made(NOW + 1000)}"
        assert varying.replaced(f"{first} {second} {first}") == "plan_<1> plan_<2> plan_<1>"
        assert varying.replaced(f"{second}/plangroup_{self.made(NOW)}") == "plan_<2>/plangroup_<1>"

    def test_two_that_are_mixed_up_are_noticed(self) -> None:
        first, second = f"plan_{self.made(NOW)}", f"plan_{self.made(NOW + 1000)}"
        texts = [Varying(NOW).replaced(text) for text in (f"{first} {second} {first}", f"{first} {second} {second}")]
        assert texts[0] != texts[1]

    @pytest.mark.parametrize("text", ["plan_waiting_0", "proj_analytics", "dctl_xxxx", "plan_" + "0" * 20])
    def test_what_is_fixed_stays(self, text: str) -> None:
        assert Varying(NOW).replaced(text) == text

    def test_the_end_of_a_project_s_id_in_the_names_of_its_dags(self) -> None:
        varying = Varying(NOW)
        assert varying.replaced(f"proj_{self.made(NOW)} dagctl__a__cdefghjk__run") == "proj_<1> dagctl__a__<end of proj_1>__run"
