"""`make bench`: measure, print a table, write flat keys to bench.json. `--only xero,engine` runs groups by prefix."""

import argparse
import json
from pathlib import Path

from bench.measures import BARS, GROUPS


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="prefixes of groups, comma-separated")
    parser.add_argument("--out", default="bench.json", type=Path)
    wanted = parser.parse_args()
    prefixes = tuple(prefix for prefix in wanted.only.split(",") if prefix) or ("",)
    figures: dict[str, float] = {}
    for name, measure in GROUPS.items():
        if name.startswith(prefixes):
            print(f"measuring {name} ...", flush=True)
            figures |= measure()
    wanted.out.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    print(f"\n{'measure':45}{'figure':>12}  {'bar':>8}")
    missed = 0
    for key, figure in sorted(figures.items()):
        bar = BARS.get(key)
        verdict = "" if bar is None else "ok" if bar.met(figure) else "MISSED"
        missed += verdict == "MISSED"
        print(f"{key:45}{figure:>12.2f}  {bar.most if bar else '':>8} {bar.unit if bar else '':30}{verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
