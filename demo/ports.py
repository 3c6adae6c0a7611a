"""Whether a port is free, and what to say when it is not."""

import errno
import socket


def busy(port: int) -> bool:
    """Whether somebody listens there, on either address `localhost` may mean."""
    return any(_taken(family, host, port) for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")))


def _taken(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE  # anything else: this machine has no such address
    return False


def sentence(port: int, variable: str, another: int) -> str:
    return (
        f"Port {port} is in use by another program. Stop that program, or take another port: "
        f"make demo {variable}={another}"
    )


def number(text: str, variable: str) -> int:
    """Raises `ValueError` with a sentence."""
    if text.isdecimal() and 1024 <= int(text) <= 65535:
        return int(text)
    raise ValueError(f"{variable}={text} is not a port: give a number between 1024 and 65535.")
