"""Serve the simulated companies: `python -m sandbox --port 8001 --data FILE --clock FILE --product URL`."""

import argparse
import sys
from pathlib import Path

from sandbox.clock import Clock
from sandbox.seeds import seed
from sandbox.server import Desk, load, serve


def main() -> int:
    asked = arguments()
    desk = Desk(
        clock=Clock(asked.clock),
        url=(asked.public or f"http://localhost:{asked.port}").rstrip("/"),
        product_url=asked.product.rstrip("/"),
    )
    load(desk, asked.data, seed) if asked.data else seed(desk)
    try:
        serve(desk, asked.port, asked.data, asked.host)
    except OSError as problem:
        sys.stderr.write(f"The sandbox cannot use port {asked.port}: {problem.strerror}.\n")
        return 1
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m sandbox", description="The simulated companies on one port.")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--data", type=Path, help="file that keeps the worlds; seeded when it does not exist")
    parser.add_argument("--clock", type=Path, help="file of the clock shared with the product")
    parser.add_argument("--product", default="http://localhost:8000", help="where PEX Sync is reached")
    parser.add_argument("--public", default="", help="where people and the product reach the sandbox")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
