"""What is handed over: licences, the lock file, the change log, agree with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

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
    assert versions[0] == "Unreleased" or versions[0] == PROJECT["version"]
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds and kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
