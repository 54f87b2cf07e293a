"""One file that holds many records: a head and sections of bytes, compressed, and read safely.

It names no path and holds no code: what is in it is JSON and numbers. The same content gives the
same file.
"""

import hashlib
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.common.hashing import canonical
from vpbench.common.messages import brief, first_line, gigabytes
from vpbench.records.schema import shaped

FORMAT, VERSION = "vpbench records", 1
MOST = 15_000_000  # bytes of an archive
LARGEST = 100_000_000  # bytes of what is in it
LONGEST_HEAD = 10_000  # bytes
MEMORY = 2**26  # bytes that unpacking may take beside that; ours takes 2**23
OF_EVERY_VERSION = {"format": "a text", "version": "a whole number"}
HEAD: dict[str, Any] = OF_EVERY_VERSION | {"facts": {}, "sections": {}, "sha256": "a text"}
Sections = dict[str, bytes]


def write(path: str | Path, facts: Mapping[str, Any], sections: Mapping[str, bytes]) -> Path:
    """Returns `path` once it holds `sections` and, in its head, `facts` about them.

    Raises UserError if it would be larger than MOST; nothing is written then.
    """
    sections = dict(sorted(sections.items()))
    content = b"".join(sections.values())
    head = {"format": FORMAT, "version": VERSION, "facts": dict(facts)}
    head["sections"] = {name: len(section) for name, section in sections.items()}
    head["sha256"] = content_hash(head, content)
    data = lzma.compress(canonical(head).encode() + b"\n" + content, preset=6 | lzma.PRESET_EXTREME)
    if len(content) > LARGEST - LONGEST_HEAD or len(data) > MOST:
        raise UserError(
            f"{path}: not written, it would have {gigabytes(len(data))}, of "
            f"{gigabytes(len(content))} unpacked; an archive may have {gigabytes(MOST)}, of "
            f"{gigabytes(LARGEST)}: leave out runs"
        )
    return atomic_files.write_bytes(path, data)


def read(path: str | Path) -> tuple[dict[str, Any], Sections]:
    """Returns (facts, sections) of the archive `path`, checked against its SHA-256.

    Raises RecordError, in one line, for a file that is no archive, is damaged, of another version
    or too large, before more than LARGEST bytes are unpacked.
    """
    text, content = unpacked(path, LARGEST)
    head = read_head(text, path)
    lengths = head["sections"]
    if sum(lengths.values()) != len(content):
        raise damaged(path, f"{sum(lengths.values())} bytes are announced, {len(content)} there")
    if head["sha256"] != content_hash(head, content):
        raise damaged(path, "its content has another SHA-256 than its head says")
    sections, start = {}, 0
    for name, length in sorted(lengths.items()):
        sections[name] = content[start : start + length]
        start += length
    return head["facts"], sections


def unpacked(path: str | Path, largest: int) -> tuple[bytes, bytes]:
    """Returns (the first line, all that follows it) of an archive."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise RecordError(f"{path}: not read, {error.strerror}") from None
    if len(data) > MOST:
        raise RecordError(f"{path}: too large for an archive, which has at most {gigabytes(MOST)}")
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
    try:
        found = unpacker.decompress(data, max_length=largest + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise damaged(path, first_line(error)) from None
    if len(found) > largest:
        raise RecordError(f"{path}: holds more than {gigabytes(largest)}, no archive does")
    if not unpacker.eof or unpacker.unused_data:
        raise damaged(path, "it is cut off, or something follows it")
    line, end, content = found.partition(b"\n")
    if not end or len(line) > LONGEST_HEAD:
        raise damaged(path, "it has no head")
    return line, content


def read_head(line: bytes, path: str | Path) -> dict[str, Any]:
    """Returns the head in the first line of an archive, checked."""
    try:
        head: dict[str, Any] = strict_json.parse_json(line)
        shaped(head, OF_EVERY_VERSION, path)
    except UserError as error:
        raise damaged(path, first_line(error)) from None
    if (head["format"], head["version"]) != (FORMAT, VERSION):
        said = f"{brief(head['format'])}, version {head['version']}"
        raise RecordError(
            f"{path}: is of the format {said}, this suite reads {FORMAT!r}, version {VERSION}; "
            "use the version of the suite that it came with"
        )
    shaped(head, HEAD, path)
    for name, length in head["sections"].items():
        shaped(length, "a whole number", path, f"sections.{brief(name)}.")
        if length < 0:
            raise damaged(path, f"the section {brief(name)} has {length} bytes")
    return head


def content_hash(head: Mapping[str, Any], content: bytes) -> str:
    """Returns the SHA-256 of what an archive says and holds."""
    said = canonical([head["facts"], head["sections"]])
    return hashlib.sha256(said.encode() + content).hexdigest()


def damaged(path: str | Path, why: str) -> RecordError:
    """Returns the error of an archive that is not whole."""
    return RecordError(f"{path}: no archive of records, or a damaged one ({why}); fetch it again")
