"""Computes the frozen vectors of envelope v1.

    python3 envelope_v1.py > envelope-v1.json

Written from the description of the format alone, on other primitives than the
crate's: HKDF (RFC 5869) is spelled out over hmac, AES-256-GCM comes from the
`cryptography` package. The file that it prints is frozen. A difference between
the file and the crate means that stored records no longer open.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LABEL = b"ruggine/at-rest/v1"
ALGORITHM = "A256GCM-HKDF-SHA256-C"
SCOPES = {"conversation": 1, "user": 2, "database": 3}
# Longer plaintexts are given by a rule, and their sealed forms by a hash.
WRITTEN_OUT = 4096


def extract(salt, key):
    return hmac.new(salt, key, hashlib.sha256).digest()


def expand(key, info, length):
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        output += block
        counter += 1
    return output[:length]


def prefixed(field):
    return struct.pack(">H", len(field)) + field


def text64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def drawn(name, length):
    """Bytes without a hidden choice in them."""
    return hashlib.sha256(b"ruggine envelope v1 vectors: " + name.encode()).digest()[:length]


def plaintext_of(rule):
    if "utf8" in rule:
        return rule["utf8"].encode()
    unit = bytes.fromhex(rule["repeat"]["unit"])
    length = rule["repeat"]["length"]
    return (unit * (length // len(unit) + 1))[:length]


def case(name, *, key="primary", scope, purpose, content_type, ts, plaintext, nobody=False):
    master = drawn(f"master key, {key}", 32)
    scope_id = bytes(16) if scope == "database" else drawn(f"{scope} of {name}", 16)
    record, sender, device = (
        bytes(16) if nobody else drawn(f"{field} of {name}", 16)
        for field in ("record", "sender", "device")
    )
    salt, nonce = drawn(f"salt of {name}", 20), drawn(f"nonce of {name}", 12)
    content = plaintext_of(plaintext)

    prk = extract(LABEL, master)
    kid = expand(prk, LABEL + b"/kid", 8)
    scope_info = LABEL + b"/conv" + bytes([SCOPES[scope]]) + prefixed(scope_id)
    scope_key = expand(prk, scope_info, 32)
    output = expand(scope_key, LABEL + b"/record" + salt, 64)
    record_key, commit = output[:32], output[32:]
    fields = [
        LABEL,
        ALGORITHM.encode(),
        kid,
        purpose.encode(),
        scope_id,
        record,
        sender,
        device,
        struct.pack(">q", ts),
        content_type.encode(),
    ]
    associated_data = b"".join(prefixed(field) for field in fields)
    sealed = AESGCM(record_key).encrypt(nonce, content, associated_data)

    binary = b"RGE\x01" + b"\x01" + kid + salt + nonce + commit + sealed
    written = json.dumps(
        {
            "v": 1,
            "alg": ALGORITHM,
            "kid": kid.hex(),
            "salt": text64(salt),
            "nonce": text64(nonce),
            "commit": text64(commit),
            "ciphertext": text64(sealed),
            "meta": {
                "purpose": purpose,
                "conv": str(uuid.UUID(bytes=scope_id)),
                "msg": str(uuid.UUID(bytes=record)),
                "sender": str(uuid.UUID(bytes=sender)),
                "device": str(uuid.UUID(bytes=device)),
                "ts": ts,
            },
        },
        separators=(",", ":"),
    )
    answer = {
        "name": name,
        "master_key": master.hex(),
        "legacy": key != "primary",
        "scope": scope,
        "scope_id": str(uuid.UUID(bytes=scope_id)),
        "purpose": purpose,
        "record": str(uuid.UUID(bytes=record)),
        "sender": str(uuid.UUID(bytes=sender)),
        "device": str(uuid.UUID(bytes=device)),
        "ts": ts,
        "content_type": content_type,
        "salt": salt.hex(),
        "nonce": nonce.hex(),
        "plaintext": plaintext,
        "kid": kid.hex(),
        "scope_key": scope_key.hex(),
        "record_key": record_key.hex(),
        "commit": commit.hex(),
        "associated_data": associated_data.hex(),
        "binary_sha256": hashlib.sha256(binary).hexdigest(),
        "json_sha256": hashlib.sha256(written.encode()).hexdigest(),
    }
    if len(content) <= WRITTEN_OUT:
        answer["binary"] = binary.hex()
        answer["json"] = written
    return answer


MESSAGE = {"scope": "conversation", "purpose": "message", "content_type": "message"}
NOW = 1_753_000_000_123

CASES = [
    case("a message", **MESSAGE, ts=NOW, plaintext={"utf8": "ciao"}),
    case(
        "a profile",
        scope="user",
        purpose="profile",
        content_type="profile",
        ts=NOW,
        plaintext={"utf8": '{"display_name":"Ada"}'},
    ),
    case(
        "a key check",
        scope="database",
        purpose="key-check",
        content_type="key-check",
        ts=0,
        nobody=True,
        plaintext={"utf8": "this key opens what it sealed"},
    ),
    case("an empty message", **MESSAGE, ts=NOW + 1, plaintext={"utf8": ""}),
    case(
        "a message of 40 KiB",
        **MESSAGE,
        ts=NOW + 2,
        plaintext={"repeat": {"unit": bytes(range(251)).hex(), "length": 40 * 1024}},
    ),
    case(
        "a message in many scripts",
        **MESSAGE,
        ts=NOW + 3,
        plaintext={"utf8": "perché così? 早上好 \u202eمرحبا\u202c 👩‍👩‍👧 e\u0301 \u0000 fine"},
    ),
    case("a message from before 1970", **MESSAGE, ts=-1, plaintext={"utf8": "ieri"}),
    case(
        "a message at the first time there is, of no content type",
        scope="conversation",
        purpose="message",
        content_type="",
        ts=-(2**63),
        plaintext={"utf8": "prima"},
    ),
    case(
        "a message under a legacy key",
        key="legacy",
        **MESSAGE,
        ts=NOW - 31_536_000_000,
        plaintext={"utf8": "l'anno scorso"},
    ),
]

json.dump(CASES, sys.stdout, indent=1)
print()
