"""Whether the lock files carry no address and still say what pyproject.toml asks for."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
NEED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[([^\]]*)\])?(?:==([^\s;]+))?$")


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = project["dependencies"]
    wanted = {
        "runtime": runtime,
        "demo": [*runtime, *extras["sandbox"]],
        "dev": [*runtime, *extras["sandbox"], *extras["dev"]],
    }
    troubles = [trouble for name, needs in wanted.items() for trouble in troubles_of(name, needs)]
    troubles += disagreements()
    for trouble in troubles:
        sys.stderr.write(f"{trouble}\n")
    return 1 if troubles else 0


def troubles_of(name: str, needs: list[str]) -> list[str]:
    text = lock(name)
    found = pins(text)
    troubles = [f"requirements/{name}.lock names an address. Make it again: make lock"] if "://" in text else []
    for need in needs:
        package, _, version = parsed(need)
        if package == "pex-sync":
            continue
        if package not in found:
            troubles.append(f"requirements/{name}.lock lacks {package}. Make it again: make lock")
        elif version and found[package] != version:
            troubles.append(
                f"requirements/{name}.lock has {package} {found[package]}, pyproject.toml {version}: make lock"
            )
    return troubles


def disagreements() -> list[str]:
    """What is tested must be what runs: a package has one version in all locks."""
    versions: dict[str, set[str]] = {}
    for name in ("runtime", "demo", "dev"):
        for package, version in pins(lock(name)).items():
            versions.setdefault(package, set()).add(version)
    return [
        f"{package} differs between the locks: {sorted(found)}" for package, found in versions.items() if len(found) > 1
    ]


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text()


def pins(text: str) -> dict[str, str]:
    return {plain(name): version for name, version in PIN.findall(text)}


def parsed(need: str) -> tuple[str, str, str]:
    found = NEED.match(need.replace(" ", ""))
    if not found:
        raise SystemExit(f"pyproject.toml: {need!r} is neither a name nor a name==version")
    return plain(found[1]), found[2] or "", found[3] or ""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
