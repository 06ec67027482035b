"""The documents say what is there, and all that is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from dagctl_provider.domain.settings import SETTINGS
from docs.generate import PAGES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def makefile_targets() -> dict[str, str | None]:
    """Targets and their help texts."""
    text = (ROOT / "Makefile").read_text()
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", text, re.MULTILINE)
    return {name: (rest.split("## ", 1)[1] if "## " in rest else None) for name, rest in rules}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "run 'make docs'"


def test_every_setting_is_documented_once() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert named == sorted(SETTINGS)


def test_settings_that_documents_name_exist() -> None:
    for document in DOCUMENTS:
        for block in re.findall(r"\[dagctl\]\n(.*?)```", document.read_text(), re.DOTALL):
            for name in re.findall(r"^\s*(\w+) =", block, re.MULTILINE):
                assert name in SETTINGS, f"{document.name}: {name}"
    compose = (ROOT / "docker-compose.yaml").read_text()
    for name in re.findall(r"AIRFLOW__DAGCTL__(\w+):", compose):
        assert name.lower() in SETTINGS


def test_every_target_has_a_help_line_and_make_alone_lists_them() -> None:
    targets = makefile_targets()
    assert {name for name, text in targets.items() if not text} == set()
    assert {"install", "lock", "demo", "serve", "stop", "test", "test-quick", "lint", "format", "docs", "clean"} <= set(targets)
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for name in targets:
        assert re.search(rf"\b{name}\b", listed), name


def test_make_commands_in_the_documents_exist() -> None:
    targets = set(makefile_targets())
    for document in DOCUMENTS:
        used = set(re.findall(r"(?:^\$ |`)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE))
        assert used <= targets, f"{document.name}: {used - targets}"


def test_every_folder_of_tests_and_what_they_share_is_described() -> None:
    text = (ROOT / "tests" / "README.md").read_text()
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    shared = {path.name for path in (ROOT / "tests").glob("*.py")} - {"__init__.py"}
    shared = {name for name in shared if not name.startswith("test_")}
    assert {name for name in folders | shared if f"`{name}`" not in text} == set()


def test_airflow_commands_in_the_documents_exist() -> None:
    from dagctl_provider.cli.definition import get_dagctl_cli_commands

    known = {
        (group.name, action.name)
        for command in get_dagctl_cli_commands()
        for group in command.subcommands
        for action in getattr(group, "subcommands", ())
    }
    for document in DOCUMENTS:
        for group, action in re.findall(r"airflow dagctl ([a-z]+) ([a-z]+)", document.read_text()):
            assert (group, action) in known, f"{document.name}: {group} {action}"


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
        for link in links:
            if link.startswith(("http:", "https:", "mailto:")):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{document.name}: {link}"
            if anchor and target.suffix == ".md":
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{document.name}: {link}"


def test_pictures_are_well_formed_and_described() -> None:
    for picture in (ROOT / "docs" / "images").glob("*.svg"):
        tree = ElementTree.parse(picture)
        tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert {"title", "desc"} <= tags
        assert "prefers-color-scheme: dark" in picture.read_text()


def test_compose_file_has_no_default_password_and_watches_its_services() -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    compose = yaml.safe_load(text)
    secret = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)(:?[-?]?)")
    found = secret.findall(text)
    assert {name for name, _ in found} == {
        "POSTGRES_PASSWORD",
        "AIRFLOW_DB_PASSWORD",
        "STATE_ADMIN_PASSWORD",
        "FERNET_KEY",
        "JWT_SECRET",
        "API_SECRET_KEY",
    }
    assert {how for _, how in found} == {":?"}
    services = compose["services"]
    assert {"postgres", "migrate", "api-server", "scheduler", "dag-processor"} == set(services)
    for name, service in services.items():
        assert "healthcheck" in service or name == "migrate", name
        volumes = [volume.split(":")[0] for volume in service.get("volumes", [])]
        assert all(volume in compose["volumes"] or (ROOT / volume).exists() for volume in volumes), name
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).exists()
    admin = {name for name, service in services.items() if "AIRFLOW_CONN_DAGCTL_STATE_ADMIN" in service["environment"]}
    assert admin == {"api-server"}, "no worker learns the credential that may make databases"


def test_the_image_gets_all_that_it_copies() -> None:
    lines = (ROOT / "images" / "airflow" / "Dockerfile").read_text().splitlines()
    sources = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1] if not word.startswith("--")]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in sources:
        assert (ROOT / source).exists()
        assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source


def test_the_dag_file_is_as_short_as_promised() -> None:
    text = (ROOT / "dags" / "dagctl_dags.py").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 4


def test_the_lock_pins_everything_with_hashes() -> None:
    lines = (ROOT / "requirements" / "dev.lock").read_text().splitlines()
    assert "--generate-hashes" in lines[1]
    assert "--universal" in lines[1]
    pins = [number for number, line in enumerate(lines) if re.match(r"^[a-z0-9]", line)]
    assert all("==" in lines[number] and "--hash=" in lines[number + 1] for number in pins)


@pytest.mark.slow
def test_the_generator_is_a_program() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"docs/{name}" for name in PAGES]
