"""Small real files: a receipt as PDF, as PNG and as JPEG."""

import base64
import struct
import zlib
from functools import cache

# A photographed receipt, 96 by 144 pixels in grey.
_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhl"
    "bXd7gYKBTmCNl4x9lnN+gXz/wAALCACQAGABAREA/8QAGgABAAMBAQEAAAAAAAAAAAAAAAECBQQDBv/EADcQAAECAwMJCAIB"
    "BAMAAAAAAAEAAgMEEQUS0RQVFlFTVHKSoxMhMTNSk6LhY5EiBkFhZHGBwf/aAAgBAQAAPwD69VDwRUBxHCUvjU7lKXxqdylL"
    "41O5Sl8ancpS+NTuUpfGp3KUvjU7lKXxqdylC8AVIcBwlWRTC8lnCFdZekNl7103YJpDZe9dN2CaQ2XvXTdgmkNl7103YJpD"
    "Ze9dN2CaQ2XvXTdgtRUi+S/hKhFMLyWcIV18donPbWX5nYJonPbWX5nYJonPbWX5nYJonPbWX5nYJonPbWX5nYJonPbWX5nY"
    "L7FUi+S/hKhFMLyWcIV0REREVIvkv4SoRTC8lnCFkZRaXpi+19JlFpemL7X0mUWl6YvtfSZRaXpi+19JlFpemL7X0teAXGBD"
    "MSt8tF6op30WPaMzacOdiNlmxTCFLt2FUeA/vTWubK7Z9Mb2Bgt2GXukGui17QwgXVFDWneropheSzhCrlUvt4XOEyqX28Ln"
    "CZVL7eFzhMql9vC5wrtc17Q5jg5p8CDUKy8XzUvDeWRI8Jjh4hzwCFGWym8wfcCvEcHQHOaQWlpII8D3IimF5LOELNzN+f4f"
    "aZm/P8PtMzfn+H2mZvz/AA+1oSsHJ4DYV69dr30p/deqyZ2xcrmnx8ouXqfxuVpQU1rw0c/2un9rWbD7GSEKt65Du1p40Cui"
    "mF5LOELNzz+D5/SZ5/B8/pM8/g+f0mefwfP6TPP4Pn9K0K1u0isZ2NLzgK3/AAr/ANKk7bWSTT4GT37tP5X6VqK6l4aR/wCr"
    "1PpazYnbSQi0u34d6lfCoV0UwvJZwhVyWX2ELkCZLL7CFyBMll9hC5AmSy+whcgTJZfYQuQIJaA0giDDBHeCGjuUPlZeI8vi"
    "QIT3HxLmAkqMilN2g+2FeI0NgOa0ANDSAB4DuRFMLyWcIWRk9peqL7v2mT2l6ovu/aZPaXqi+79rps+FOMjuMyXll3uvPr31"
    "H+VoosS0Za04k7EdLOiiEaXbsWg8B/autc2SWz6o3vjFbsMPbINbFr2ghAOqamtO9XRTC8lnCFz5ylNr8TgmcpTa/E4JnKU2"
    "vxOCZylNr8TgrMtCWe9rWxaucaAXTgulcke05SXiuhRYt17fEXSf/F555kNv8HYLqc9sSWL2GrXMqDrBClFMLyWcIXFmiX9c"
    "X9jBM0S/ri/sYJmiX9cX9jBM0S/ri/sYK0OyoEOI14dEq0gipGC7lnTVjy81MOjRHxQ51KhpFO4U1Ly0flNpG5hgtDsxBlOz"
    "bUtZDuivj3BWRTC8lnCFkZ3mPRC/RxTO8x6IX6OKZ3mPRC/RxTO8x6IX6OK14DzEgQ3mlXNBNP8AhXWJaNsTErOxIMNkItbS"
    "hcDXvAOtc2kE3s4PKcVuw4hjSDYjqBz4QcaeHeFdFMLyWcIV0REREVIvkv4SoRTC8lnCF5drMbt1AnazG7dQJ2sxu3UCdrMb"
    "t1AnazG7dQJ2sxu3UCdrMbt1AnazG7dQL0iEmA4uFDdNRq7kRTC8lnCF8DpLa299NmCaS2tvfTZgmktrb302YL7mz4r41ny0"
    "WIbz3wmOcaUqSBVdC+f/AKqtKbs7Jcki9n2l+9/EGtLtPEf5K+e0ltbe+mzBNJbW3vpswX20pFfGsmDFiG898BrnGlKkt717"
    "opheSzhC5812fuMt7LcEzXZ+4y3stwTNdn7jLey3BdLGtYxrGNDWtFAAKABWXjHlZeZu5RAhRbvhfYHU/a8s12fuMt7LcEzX"
    "Z+4y3stwXu9rWS7mMaGtaygAFABREVQwAUBcBxFLg1u5ilwa3cxS4NbuYpcGt3MUuDW7mKXBrdzFLg1u5ilwa3cxQsBFCXEc"
    "RVl//9k="
)
_PAPER, _INK, _RULE = 255, 70, 190


def jpeg() -> bytes:
    return _JPEG


@cache
def png(lines: int = 6) -> bytes:
    """Return a grey picture of a receipt with so many lines."""
    width, height = 96, 40 + 14 * lines
    picture = [bytearray([_PAPER]) * width for _ in range(height)]
    _bar(picture, 24, 10, 48, 6, _INK)
    for line in range(lines):
        top = 28 + 14 * line
        _bar(picture, 10, top, 30 + (line * 17) % 24, 4, _RULE)
        _bar(picture, 70, top, 16, 4, _INK)
    raw = b"".join(b"\x00" + bytes(row) for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (("IHDR", header), ("IDAT", zlib.compress(raw, 9)), ("IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), data) for name, data in chunks)


def pdf(*lines: str) -> bytes:
    """Return a one-page PDF showing the lines."""
    text = "BT /F1 11 Tf 14 TL 24 268 Td " + " ".join(f"({_escaped(line)}) Tj T*" for line in lines) + " ET"
    stream = text.encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 226 300] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, size = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    return bytes(out)


def kind_of(content: bytes) -> str:
    """Return PEX's attachment type of a file."""
    return "Pdf" if content.startswith(b"%PDF") else "Image"


def media_type(content: bytes) -> str:
    if content.startswith(b"%PDF"):
        return "application/pdf"
    return "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"


def _bar(picture: list[bytearray], left: int, top: int, width: int, height: int, shade: int) -> None:
    for row in picture[top : top + height]:
        row[left : left + width] = bytes([shade]) * width


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
