"""JSON Web Tokens: HS256 for the dashboard's launch, RS256 for OpenID's id_token."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def signed(claims: Mapping[str, Any], secret: str) -> str:
    text = f"{_HS256}.{_json(claims)}"
    return f"{text}.{encode(_mac(text, secret))}"


def verified(token: str, secret: str) -> dict[str, Any]:
    """Return the claims of a token signed with HS256 and this secret. ValueError for any other text."""
    text, _, signature = token.rpartition(".")
    header, _, payload = text.partition(".")
    if header != _HS256:
        raise ValueError("not HS256")
    if not hmac.compare_digest(_mac(text, secret), decode(signature)):
        raise ValueError("bad signature")
    claims = json.loads(decode(payload))
    if not isinstance(claims, dict):
        raise ValueError("no claims")
    return claims


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url without padding; ValueError for anything else."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64url") from None
    if encode(data) != text:
        raise ValueError("not canonical")
    return data


def _json(value: Mapping[str, Any]) -> str:
    return encode(json.dumps(value, separators=(",", ":")).encode())


def _mac(text: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


_HS256 = _json({"alg": "HS256", "typ": "JWT"})

# The OpenID host's key pair. It signs statements about invented people and is worth nothing elsewhere.
KEY_ID = "sandbox-1"
_EXPONENT = 65537
_MODULUS = int(
    "a3fe0ba30c876264ce2e813410625f8cfb5cfa991c81145564ab4389005060bfc66f9165d7ea163d2154271f78ccedaa"
    "309059e921667da5791d8c89b7f4e304000a11bbd1145622aee17be0f280b216d5aca75de1bde7a04938ef18bb25d00c"
    "4fb7af4d02043a3eb2a119c7adc272a466a278f4309bfbc7c592f663d11a51aa220de76a712d98c3580e1db78fc45d4b"
    "c1d7f4b902ed77b5d815e3032e232f482b374add51e4b995928666354c3c586843c3cdbd7cabb1a6a05b5cc3811a0d43"
    "7355365c0be44f32dd3990c8128f7b4c93625d5ef408e3ea64571048163258c15694fc737334c61eca790710df0f5575"
    "8d16b62bb4cda7a5d55d329de9adefc7",
    16,
)
_PRIVATE = int(
    "2e518e5adeaa8c857960d4386eda422fb13d89405eb72c9593e9f598c8006bdb2ec28b582f1c5c6ca6b1bc9d1c83112b"
    "ad2cd06053013e42d30b200b33ec94842838afda930ac1eb68e6a2151e996ff398257c5e3d68e477b6c6c06d854a8051"
    "41e0d940106e3e3f4037d56ebb2abd33a71383c340c985db5e780c6494067182fe888712ce6c434cab27deb4325d3199"
    "d5b89274ec0d84e5bb144df6ad42ad58bd8d2ccf56fce703ca4e0ab01934ff7b2456067e7ac3d98d06ba62d656f74489"
    "82893e9ba96dc292bbcec386dc0ff52f6f3caf839e6dc42220c40a7d30c40eb57fb7c86ad3e38ad0b4672c77f03f8a76"
    "18a0313991f6de7b9a58151058060fd9",
    16,
)
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo of RFC 8017


def signed_rs256(claims: Mapping[str, Any]) -> str:
    """Return a token signed with RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2)."""
    text = f"{_json({'alg': 'RS256', 'typ': 'JWT', 'kid': KEY_ID})}.{_json(claims)}"
    digest = _SHA256 + hashlib.sha256(text.encode()).digest()
    size = (_MODULUS.bit_length() + 7) // 8
    block = b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest
    signature = pow(int.from_bytes(block, "big"), _PRIVATE, _MODULUS)
    return f"{text}.{encode(signature.to_bytes(size, 'big'))}"


def key_set() -> dict[str, Any]:
    """Return the public key as a JWK set."""
    key = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": KEY_ID,
        "n": _number(_MODULUS),
        "e": _number(_EXPONENT),
    }
    return {"keys": [key]}


def _number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
