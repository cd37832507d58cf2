"""What is handed over: licences, the lock file, the change log, agree with the program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.advisories import Advisory, advisories, findings, locked, main
from tests.licences import name_of, needed

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return path.read_text(encoding="utf-8")


def test_the_page_of_licences_names_all_that_is_needed() -> None:
    listed = dict(re.findall(r"^\| (\S+) \| (.+?) \|", read("docs/licences.md"), re.MULTILINE))
    found = needed()
    assert len(found) > 20
    missing = {n: told for n, (told, _) in found.items() if n not in listed}
    assert missing == {}, "make licences"
    direct = {name_of(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert direct <= set(listed)
    assert not {n for n, (told, _) in found.items() if told == "not told in its metadata"}


def test_the_lock_holds_versions_that_the_project_allows_and_no_address() -> None:
    text = read("requirements.lock")
    locked = {name_of(n): Version(v) for n, v in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}
    for line in PROJECT["dependencies"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[name_of(wanted.name)], prereleases=True), line
    assert "://" not in text and "--" not in text.replace("--no-", ""), "no registry's address, no option"


def test_the_change_log_tells_of_this_version() -> None:
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert versions[0] == "Unreleased" or Version(versions[0]) == Version(version("otklik"))
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds and kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_tag_is_the_version(tmp_path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout")

    def run(*argv: str, cwd: Path = tmp_path / "copy") -> str:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run("git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), "copy", cwd=tmp_path)
    run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "tag", "-a", "v7.8.9", "-m", "v7.8.9")
    assert run(sys.executable, "-m", "hatchling", "version") == "7.8.9"


# --- advisories -------------------------------------------------------------------------------------------------------


def osv(id_: str, package: str, **affected) -> dict:
    return {
        "id": id_,
        "summary": "bad\x1b[31m",
        "affected": [{"package": {"ecosystem": "PyPI", "name": package}, **affected}],
    }


def ranged(*events: dict) -> dict:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


RECORDS = [
    osv("A-1", "Some_Thing", **ranged({"introduced": "0"}, {"fixed": "2.0"})),
    osv("A-2", "other", versions=["1.5"]),
    osv(
        "A-3", "other", **ranged({"introduced": "1.0"}, {"last_affected": "1.4"}, {"introduced": "3"}, {"fixed": "3.1"})
    ),
    {**osv("A-4", "other", **ranged({"introduced": "0"})), "withdrawn": "2025-01-01T00:00:00Z"},
    {"id": "A-5", "affected": [{"package": {"ecosystem": "npm", "name": "other"}, **ranged({"introduced": "0"})}]},
    {
        "id": "A-6",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "other"}, "ranges": [{"type": "GIT", "events": []}]}],
    },
    {"nothing": "known"},
]


@pytest.mark.parametrize(
    ("package", "at", "found"),
    [
        ("some-thing", "1.9.9", ["A-1"]), ("some-thing", "2.0", []), ("some-thing", "2.0rc1", ["A-1"]),
        ("other", "1.5", ["A-2"]), ("other", "1.4", ["A-3"]), ("other", "0.9", []), ("other", "2", []),
        ("other", "3.0.5", ["A-3"]), ("other", "3.1", []), ("unknown", "1", []),
    ],
)  # fmt: skip
def test_an_advisory_is_found_for_the_versions_it_names(tmp_path, package, at, found) -> None:
    dump = tmp_path / "all.zip"
    with zipfile.ZipFile(dump, "w") as file:
        for i, record in enumerate(RECORDS):
            file.writestr(f"{i}.json", json.dumps(record))
    read = list(advisories(dump))
    assert all(isinstance(a, Advisory) for a in read)
    assert [a.id for _, _, a in findings({package: Version(at)}, read)] == found


def test_the_check_of_advisories_as_a_command(tmp_path, capsys) -> None:
    dump = tmp_path / "all.zip"
    with zipfile.ZipFile(dump, "w") as file:
        file.writestr("1.json", json.dumps(osv("A-9", "HTTPX", **ranged({"introduced": "0"}))))
    assert main([str(dump)]) == 1
    said = capsys.readouterr().out
    assert "httpx" in said and "A-9" in said and "\x1b" not in said
    with zipfile.ZipFile(dump, "w") as file:
        file.writestr("1.json", "{}")
    assert main([str(dump)]) == 0 and f"{len(locked())} " in capsys.readouterr().out
    for bad in (tmp_path / "none.zip", ROOT / "LICENSE"):
        assert main([str(bad)]) == 2
        assert "all.zip" in capsys.readouterr().err
