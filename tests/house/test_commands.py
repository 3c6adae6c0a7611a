"""The commands around the product: what they say when something is missing, and what CI counts."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=path | env, capture_output=True, text=True, timeout=30)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The commands and lock files in another folder, with a blank in its name."""
    folder = tmp_path / "another place"
    for name in (".ci", "requirements"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_a_python_that_is_missing_is_named(elsewhere: Path) -> None:
    done = run(".ci/install", "demo", cwd=elsewhere, PYTHON="python-of-tomorrow")
    assert done.returncode != 0
    assert "PYTHON=python-of-tomorrow is missing or older than 3.11.7" in done.stderr


def test_the_lock_files_are_in_step_with_the_project(elsewhere: Path) -> None:
    assert run(sys.executable, ".ci/locks.py", cwd=elsewhere).returncode == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: "--index-url https://index.test/simple\n" + text, "names an address"),
        (lambda text: re.sub(r"^django==\S+", "django==5.2.1", text, flags=re.MULTILINE), "has django 5.2.1"),
        (lambda text: text.replace("\nhttpx==", "\nhttpy=="), "lacks httpx"),
    ],
)
def test_a_lock_file_out_of_step_is_noticed(elsewhere: Path, change: Callable[[str], str], complaint: str) -> None:
    lock = elsewhere / "requirements" / "runtime.lock"
    lock.write_text(change(lock.read_text()))
    done = run(sys.executable, ".ci/locks.py", cwd=elsewhere)
    assert done.returncode == 1
    assert f"runtime.lock {complaint}" in done.stderr


def report(folder: Path, name: str, **counts: int) -> None:
    said = " ".join(f'{key}="{value}"' for key, value in counts.items())
    (folder / f"{name}.xml").write_text(f"<testsuites><testsuite {said}/></testsuites>")


def test_ci_counts_every_run_in_one_line(tmp_path: Path) -> None:
    report(tmp_path, "tests", tests=10, failures=0, errors=0, skipped=1)
    report(tmp_path, "database", tests=4, failures=0, errors=0, skipped=0)
    done = run(sys.executable, ".ci/summary.py", tmp_path, "61", "")
    assert (done.returncode, done.stdout) == (0, "CI: 13 passed, 0 failed, 1 skipped in 61 s. All stages passed.\n")


def test_ci_fails_with_a_test_a_stage_or_nothing_at_all(tmp_path: Path) -> None:
    assert run(sys.executable, ".ci/summary.py", tmp_path, "1", "").returncode == 1
    report(tmp_path, "tests", tests=3, failures=1, errors=0, skipped=0)
    assert "2 passed, 1 failed" in run(sys.executable, ".ci/summary.py", tmp_path, "1", "").stdout
    report(tmp_path, "tests", tests=3, failures=0, errors=0, skipped=0)
    done = run(sys.executable, ".ci/summary.py", tmp_path, "1", "make check")
    assert (done.returncode, done.stdout[-24:]) == (1, "1 s. Failed: make check\n")


def test_ci_says_when_the_schemas_are_missing(tmp_path: Path) -> None:
    done = run("bash", ".ci/run", SPECS=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "CI needs the official schemas" in done.stderr


def test_make_alone_tells_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = set(re.findall(r'echo "make (\w+) ', makefile))
    assert told == {"demo", "test", "check", "bench", "chaos", "lock", "clean"}
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in told)


@pytest.mark.parametrize(
    "page", ["README.md", *(str(page.relative_to(ROOT)) for page in sorted(ROOT.glob("docs/**/*.md")))]
)
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    here = [link for link in links if "://" not in link and not link.endswith(".png")]
    missing = [link for link in here if not ((ROOT / page).parent / link).exists()]
    assert missing == []
