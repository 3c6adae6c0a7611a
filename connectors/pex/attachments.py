"""A receipt's bytes out of PEX's JSON, as they come: no file is ever held in memory. Pure."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

JSON = dict[str, Any]

HEAD = 65_536  # of the JSON around the file; what PEX documents is below 2,000
_CONTENT = re.compile(rb'"Content"\s*:\s*"', re.IGNORECASE)
# Writers of JSON may escape these three; nothing else of base64 is ever escaped.
_ESCAPES = ((b"\\/", b"/"), (b"\\u002b", b"+"), (b"\\u002B", b"+"), (b"\\u002f", b"/"), (b"\\u002F", b"/"))
_EQUALS = ((b"\\u003d", b"="), (b"\\u003D", b"="))


class TooLarge(Exception):
    """The file has more bytes than the caller takes."""


class Unreadable(Exception):
    """The answer is no JSON object, ends early, or its `Content` is not base64."""


@dataclass(frozen=True, slots=True)
class Download:
    """A receipt as it was fetched. `extension` is "" for what is no picture and no PDF."""

    size: int
    content_type: str
    extension: str


PDF = b"%PDF-"
PDF_WITHIN = 1024  # bytes that readers allow to stand before it
PICTURES = (
    (b"\x89PNG", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
    (b"GIF8", "image/gif", "gif"),
    (b"II*\0", "image/tiff", "tif"),
    (b"MM\0*", "image/tiff", "tif"),
)


class Sink:
    """Writes pieces to a file, counts them, refuses more than the limit."""

    def __init__(self, to: BinaryIO, limit: int) -> None:
        self.to, self.limit, self.size, self.head = to, limit, 0, b""

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            raise TooLarge
        if len(self.head) < PDF_WITHIN:
            self.head += piece[:PDF_WITHIN]
        self.to.write(piece)

    def restart(self) -> None:
        self.to.seek(0)
        self.to.truncate()
        self.size, self.head = 0, b""

    def download(self) -> Download:
        """What it is, told from its first bytes; without an extension it is no picture and no PDF."""
        for start, content_type, extension in PICTURES:
            if self.head.startswith(start):
                return Download(self.size, content_type, extension)
        if PDF in self.head[:PDF_WITHIN]:
            return Download(self.size, "application/pdf", "pdf")
        return Download(self.size, "application/octet-stream", "")


class ContentReader:
    """Takes the JSON of one attachment in pieces, hands the decoded `Content` on and keeps the rest.

    A quote inside a JSON text is always escaped, so the name with its quotes stands only where it is a name.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.around = b""  # the JSON without the content
        self.pending = b""  # base64 not yet decoded
        self.state = "before"

    def feed(self, piece: bytes) -> None:
        if self.state == "before":
            self._look_for_content(piece)
        elif self.state == "inside":
            self._decode(piece)
        else:
            self._keep(piece)

    def end(self) -> JSON:
        """Return the attachment's other facts. Raises `Unreadable` when the answer was cut off."""
        try:
            found = json.loads(self.around)
        except ValueError as error:
            raise Unreadable("the answer is not JSON or ends early") from error
        if not isinstance(found, dict):
            raise Unreadable("the answer is not an object")
        return found

    def _look_for_content(self, piece: bytes) -> None:
        self._keep(piece)
        found = _CONTENT.search(self.around)
        if found:
            rest, self.around = self.around[found.end() :], self.around[: found.end()]
            self.state = "inside"
            self._decode(rest)

    def _decode(self, piece: bytes) -> None:
        text, quote, rest = piece.partition(b'"')
        text = self.pending + text
        # An escape may be cut in two by the pieces.
        cut = len(text) if quote else max(text.rfind(b"\\", -6), -1)
        text, self.pending = (text[:cut], text[cut:]) if cut >= 0 else (text, b"")
        if b"\\" in text:
            for escaped, plain in (*_ESCAPES, *_EQUALS):
                text = text.replace(escaped, plain)
        whole = len(text) if quote else len(text) - len(text) % 4
        self.pending = text[whole:] + self.pending
        try:
            self.sink.write(base64.b64decode(text[:whole], validate=True))
        except binascii.Error as error:
            raise Unreadable("the content is not base64") from error
        if quote:
            self.state = "after"
            self._keep(quote + rest)

    def _keep(self, piece: bytes) -> None:
        self.around += piece
        if len(self.around) > HEAD:
            raise Unreadable("the answer is not an attachment")
