"""An archive gives back what was put in, or one line; nothing large is unpacked."""

import json
import lzma

import pytest

from vpbench.common.errors import RecordError, UserError
from vpbench.common.hashing import canonical
from vpbench.records import archive

FACTS = {"scale": "lab", "runs": 2}
SECTIONS = {"runs": b'{"a":1}\n{"a":2}\n', "answers": bytes(range(256)), "empty": b""}


@pytest.fixture
def packed(tmp_path):
    """Returns an archive."""
    return archive.write(tmp_path / "a.xz", FACTS, SECTIONS)


def refused(path):
    """Returns the line that an archive is refused with, which names it."""
    with pytest.raises(RecordError) as caught:
        archive.read(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"{path}: ")
    return line


def change(path, edit, content=None):
    """Returns None once `edit` has changed the head of an archive, and `content` replaced its."""
    line, _, there = lzma.decompress(path.read_bytes()).partition(b"\n")
    head = json.loads(line)
    edit(head)
    path.write_bytes(lzma.compress(json.dumps(head).encode() + b"\n" + (content or there)))


def test_what_was_put_in_comes_out(packed):
    assert archive.read(packed) == (FACTS, SECTIONS)


def test_equal_content_gives_equal_bytes_whatever_its_order_and_the_time(packed, tmp_path):
    turned = dict(reversed(SECTIONS.items()))
    other = archive.write(tmp_path / "b.xz", dict(reversed(FACTS.items())), turned)
    assert packed.read_bytes() == other.read_bytes()


def test_a_bit_that_is_another_is_told_wherever_it_is(packed):
    data = packed.read_bytes()
    for place in range(0, len(data), 8):
        packed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert "fetch it again" in refused(packed)


@pytest.mark.parametrize("data", [b"", b"PK\3\4 a zip", lzma.compress(b"no head"), b"cut"])
def test_what_is_no_archive_is_one_line(packed, data):
    packed.write_bytes(packed.read_bytes()[:-40] if data == b"cut" else data)
    assert "fetch it again" in refused(packed)


def test_something_behind_it_is_told(packed):
    packed.write_bytes(packed.read_bytes() + b"more")
    assert "something follows it" in refused(packed)


def test_a_change_that_compresses_well_is_found_by_its_hash(packed):
    change(packed, lambda head: None, b"x" * sum(map(len, SECTIONS.values())))
    assert "another SHA-256" in refused(packed)
    change(packed, lambda head: head["facts"].update(runs=3))
    assert "another SHA-256" in refused(packed)


def test_sections_of_other_lengths_are_told(packed):
    change(packed, lambda head: head["sections"].update(runs=999))
    assert "are announced" in refused(packed)
    change(packed, lambda head: head["sections"].update(runs=-1))
    assert "-1 bytes" in refused(packed)


def test_another_version_is_told_before_anything_else(packed):
    change(packed, lambda head: (head.update(version=2), head.pop("sections")), b"of the future")
    line = refused(packed)
    assert "version 2, this suite reads 'vpbench records', version 1" in line
    assert "use the version of the suite" in line


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    assert refused(tmp_path / "none.xz").endswith("not read, No such file or directory")


def test_no_more_is_unpacked_than_an_archive_may_hold(tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.xz"
    bomb.write_bytes(lzma.compress(bytes(30_000_000), preset=0))
    asked = []
    real = lzma.LZMADecompressor

    class Counting:
        def __init__(self, *arguments, **options):
            self.real = real(*arguments, **options)

        def decompress(self, data, max_length):
            found = self.real.decompress(data, max_length)
            asked.append(len(found))
            return found

    monkeypatch.setattr(archive.lzma, "LZMADecompressor", Counting)
    monkeypatch.setattr(archive, "LARGEST", 1_000_000)
    assert "holds more than" in refused(bomb)
    assert asked == [1_000_001]


def test_what_needs_more_memory_to_unpack_is_refused(tmp_path, monkeypatch):
    greedy = tmp_path / "greedy.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**28}]
    greedy.write_bytes(lzma.compress(b"small", filters=filters))
    assert "Memory usage limit" in refused(greedy)


def test_a_large_file_is_not_read_to_its_end_and_not_written(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST", 100)
    assert "too large for an archive" in refused(packed)
    with pytest.raises(UserError) as caught:
        archive.write(tmp_path / "b.xz", FACTS, SECTIONS)
    assert "leave out runs" in str(caught.value) and not (tmp_path / "b.xz").exists()


def test_its_head_can_be_read_by_people(packed):
    line = lzma.decompress(packed.read_bytes()).splitlines()[0]
    assert canonical(json.loads(line)).encode() == line
    assert json.loads(line)["facts"] == FACTS
