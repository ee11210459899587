"""Makes the vectors beside this file, and the starting corpus of the fuzz targets.

Written from the texts of RFC 6962 (section 2.1) and C2SP (signed-note, tlog-checkpoint,
tlog-tiles, tlog-cosignature, tlog-witness, tlog-proof, tlog-policy), without a look at the Rust
code, so that both can be held against each other. Needs Python's `cryptography` for Ed25519.
Nothing runs it in a test; run it again with `python3 make.py` after a change of the formats.

The keys are made from seeds that anyone can count: bytes 0 to 31, 32 to 63, 64 to 95.
"""

import base64
import hashlib
import pathlib
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = pathlib.Path(__file__).parent
SEEDS = HERE / "../../../tests/fuzz/seeds"
ORIGIN = "log.example/2026-11"
SIZE, OLD, INDEX, WHEN = 300, 70, 3, 1_700_000_000
ED25519, COSIGNATURE = 1, 4


def b64(data):
    return base64.b64encode(data).decode()


class Key:
    """RFC 8032 key with a C2SP name: the id is SHA-256(name, newline, type, public key)[:4]."""

    def __init__(self, name, first, kind):
        self.name, self.kind = name, kind
        self.secret = Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32)))
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self.public = self.secret.public_key().public_bytes(*raw)
        hashed = name.encode() + b"\n" + bytes([kind]) + self.public
        self.id = hashlib.sha256(hashed).digest()[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}\n"

    def line(self, text):
        return f"— {self.name} {b64(self.id + self.secret.sign(text.encode()))}\n"

    def cosignature(self, text):
        message = f"cosignature/v1\ntime {WHEN}\n{text}"
        stamp = struct.pack(">Q", WHEN)
        return f"— {self.name} {b64(self.id + stamp + self.secret.sign(message.encode()))}\n"


def leaf(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def split(count):
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, complete):
    if m == len(leaves):
        return [] if complete else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], complete) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def checkpoint(leaves):
    return f"{ORIGIN}\n{len(leaves)}\n{b64(root(leaves))}\n"


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(index, kind, payload):
    length, rest = struct.pack("<I", len(payload)), struct.pack("<QB", index, kind) + payload
    return length + struct.pack("<I", crc32c(length + rest)) + rest


def write(name, data):
    file = HERE / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)


def seed(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)


def main():
    log = Key(ORIGIN, 0, ED25519)
    witness = Key("witness.example/w1", 32, COSIGNATURE)
    second = Key("second.example", 64, ED25519)
    leaves = [leaf(f"entry {number}".encode()) for number in range(SIZE)]

    text = "Two sign this,\n\n— and a line that only looks like a signature, é.\n"
    note = text + "\n" + log.line(text) + second.line(text)
    old, new = checkpoint(leaves[:OLD]), checkpoint(leaves)
    signed_old, signed = old + "\n" + log.line(old), new + "\n" + log.line(new)
    cosigned = signed + witness.cosignature(new)
    inclusion = "".join(b64(h) + "\n" for h in path(INDEX, leaves))
    proof = f"c2sp.org/tlog-proof@v1\nindex {INDEX}\n{inclusion}\n{cosigned}"
    consistency = "".join(b64(h) + "\n" for h in subproof(OLD, leaves, True))
    request = f"old {OLD}\n{consistency}\n{signed}"
    policy = (
        "# One log, one witness.\n"
        f"log {log.vkey().strip()} https://log.example/\n\n"
        f"witness w1 {witness.vkey().strip()} https://witness.example/\n"
        "group g all w1\nquorum g\n"
    )
    tiles = {
        "tile/0/000": b"".join(leaves[:256]),
        f"tile/0/001.p/{SIZE - 256}": b"".join(leaves[256:]),
        "tile/1/000.p/1": root(leaves[:256]),
    }
    listed = "".join(
        f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}\n" for name, data in tiles.items()
    )

    write("log.vkey", log.vkey())
    write("witness.vkey", witness.vkey())
    write("second.vkey", second.vkey())
    write("note", note)
    write("checkpoint", signed)
    write("checkpoint.old", signed_old)
    write("cosigned", cosigned)
    write("proof", proof)
    write("add-checkpoint", request)
    write("policy", policy)
    write("tiles", listed)

    seed("note", "two", note)
    seed("note", "vkey", log.vkey().strip())
    seed("checkpoint", "signed", signed)
    seed("checkpoint", "text", new)
    seed("cosignature", "cosigned", cosigned)
    seed("cosignature", "vkey", witness.vkey().strip())
    seed("proof", "inclusion", proof)
    seed("proof", "extra", proof.replace("index", "extra AAEC\nindex", 1))
    seed("policy", "one", policy)
    seed("policy", "one-and-note", policy + "\n====\n" + cosigned)
    seed("witness", "request", request)
    seed("witness", "response", witness.cosignature(new))
    seed("witness", "size", str(SIZE))
    seed("tile", "partial", tiles[f"tile/0/001.p/{SIZE - 256}"])
    for number, name in enumerate([*tiles, "tile/0/x001/x234/067"]):
        seed("tile", f"path-{number}", name)
    head = b"ACCORDLG" + struct.pack("<HHQ", 1, len(ORIGIN), 0) + ORIGIN.encode()
    segment = head + struct.pack("<I", crc32c(head))
    # An entry as the ledger has it: a salt, an event, and field 1000, the time, as fixed64.
    entry = b"\x0a\x20" + bytes(32) + b"\xc1\x3e" + struct.pack("<Q", WHEN * 1000)
    for index in range(3):
        segment += frame(index, 0, entry)
    segment += frame(3, 1, signed_old.encode())
    seed("segment", "whole", segment + bytes(700))
    seed("segment", "torn", segment[:-20])
    offsets = struct.pack("<II", 43, 9000)
    seed("segment", "offsets", offsets + struct.pack("<I", crc32c(offsets)))
    seed("entry", "stamped", entry)


main()
