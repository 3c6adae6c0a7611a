"""Files out of JSON, cut into pieces anywhere."""

import base64
import io
import json

import pytest

from connectors.pex.attachments import ContentReader, Sink, TooLarge, Unreadable

FILE = bytes(range(256)) * 3 + b"!"


def answer(content: str | None = None, **facts: object) -> bytes:
    text = base64.b64encode(FILE).decode() if content is None else content
    return json.dumps({"AttachmentId": "a1", "Size": 7, "Content": text, "UploadStatus": "Loaded", **facts}).encode()


def read(body: bytes, size: int, limit: int = 10_000) -> tuple[bytes, dict[str, object]]:
    to = io.BytesIO()
    reader = ContentReader(Sink(to, limit))
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    return to.getvalue(), reader.end()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 4096])
def test_file_is_decoded_however_it_is_cut(size: int) -> None:
    content, facts = read(answer(), size)
    assert content == FILE
    assert facts["UploadStatus"] == "Loaded"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 11, 4096])
def test_escaped_base64_is_decoded(size: int) -> None:
    body = answer().replace(b"/", b"\\/").replace(b"+", b"\\u002B").replace(b"==", b"\\u003D\\u003d")
    assert b"\\u002B" in body
    assert read(body, size)[0] == FILE


@pytest.mark.parametrize("content", ["", None])
def test_no_content(content: str | None) -> None:
    body = json.dumps({"Content": content, "Note": 'a "Content": "quoted" one'}).encode()
    assert read(body, 3)[0] == b""


@pytest.mark.parametrize("size", [1, 5, 4096])
@pytest.mark.parametrize("cut", [1, 30, 200, -2])
def test_cut_off_answer_is_noticed(size: int, cut: int) -> None:
    with pytest.raises(Unreadable):
        read(answer()[:cut], size)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"Content"', b"<html>", b"x" * 70_000, answer("https://elsewhere")])
def test_other_answers_are_noticed(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body, 4096)


def test_limit_is_kept() -> None:
    assert read(answer(), 100, limit=len(FILE))[0] == FILE
    with pytest.raises(TooLarge):
        read(answer(), 100, limit=len(FILE) - 1)


@pytest.mark.parametrize(
    ("start", "content_type", "extension"),
    [
        (b"%PDF-1.4", "application/pdf", "pdf"),
        (b"\n\xef\xbb\xbf%PDF-1.7", "application/pdf", "pdf"),
        (b"\x89PNG\r\n", "image/png", "png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "jpg"),
        (b"GIF89a", "image/gif", "gif"),
        (b"II*\0", "image/tiff", "tif"),
        (b"<!DOCTYPE html>", "application/octet-stream", ""),
        (b"", "application/octet-stream", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 4096])
def test_kind_of_file_is_told_from_its_bytes(start: bytes, content_type: str, extension: str, size: int) -> None:
    sink = Sink(io.BytesIO(), 10_000)
    for at in range(0, len(start), size):
        sink.write(start[at : at + size])
    assert (sink.download().content_type, sink.download().extension) == (content_type, extension)
