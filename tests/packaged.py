"""The wheel and the sdist, built and installed: each in a fresh environment runs the demo, away from here.

`python -m tests.packaged`; a part of the soak (`package`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _run(*argv: str | Path, cwd: Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True, timeout=timeout)


def _environment(folder: Path, *packages: str | Path) -> tuple[Path, str]:
    """(its folder of programs, what went wrong)."""
    venv.create(folder, with_pip=True)
    found = _run(folder / "bin/python", "-m", "pip", "install", "--quiet", *packages, cwd=folder)
    return folder / "bin", "" if found.returncode == 0 else found.stderr[-2000:]


def problems(folder: Path) -> list[str]:
    """What is wrong with the program as it is handed over."""
    builder, wrong = _environment(folder / "builder", "hatchling", "hatch-vcs")
    if wrong:
        return [f"hatchling: {wrong}"]
    built = _run(builder / "python", "-m", "hatchling", "build", "-d", folder / "dist", cwd=ROOT)
    made = sorted((folder / "dist").glob("otklik-*")) if built.returncode == 0 else []
    if len(made) != 2:
        return [f"build: {built.stderr[-2000:]}"]
    found = []
    for package in made:
        kind = "wheel" if package.suffix == ".whl" else "sdist"
        programs, wrong = _environment(folder / kind, package)
        if wrong:
            found.append(f"{kind}: {wrong}")
            continue
        for argv in (("--version",), ("demo", "--fast")):
            done = _run(programs / "otklik", *argv, cwd=folder)
            if done.returncode:
                found.append(
                    f"{kind}, otklik {' '.join(argv)}: {done.returncode}: {(done.stdout + done.stderr)[-1500:]}"
                )
        print(f"package: {package.name}, {package.stat().st_size // 1024} KB: {'bad' if found else 'good'}", flush=True)
    return found


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="otklik-package-") as name:
        wrong = problems(Path(name))
    print("\n".join(wrong) if wrong else "package: wheel and sdist install and run the demo", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
