import json
import os
import platform
import threading
import time

import pytest

from tests.helpers.messages import complains, holds
from vpbench.common import locks


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Makes locks quick."""
    for name, value in {"BEAT": 0.05, "POLL": 0.01, "GONE": 0.2, "SILENT": 0.6}.items():
        monkeypatch.setattr(locks, name, value)


def written(path, host="elsewhere", pid=1):
    """Returns `path` once it is the lock of another process."""
    path.write_text(json.dumps({"host": host, "pid": pid, "token": "a"}))
    return path


def most_at_once(path):
    """Returns how many of eight threads were inside the lock `path`, each time one came in."""
    inside, most = [], []

    def work():
        with locks.hold(path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_a_lock_is_there_while_it_is_held_and_gone_afterwards(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path) as check:
        check()
        assert locks.holder(path) == f"process {os.getpid()} on {platform.node()}"
    assert locks.holder(path) is None and list(tmp_path.iterdir()) == []


def test_a_lock_is_gone_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locks.hold(tmp_path / "lock"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_its_holder_gives_signs_of_life(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path):
        os.utime(path, (0, 0))
        time.sleep(0.3)
        assert path.stat().st_mtime > 0


def test_of_many_threads_one_holds_it_at_a_time(tmp_path):
    assert most_at_once(tmp_path / "lock") == [1] * 8
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_silent_machine_is_taken_over_only_after_a_long_silence(tmp_path, capsys):
    path, started = written(tmp_path / "lock"), time.monotonic()
    with locks.hold(path) as check:
        check()
        assert time.monotonic() - started > locks.SILENT
    waiting, taking = capsys.readouterr().err.splitlines()
    holds(waiting, path, "waiting", "process 1 on elsewhere")
    holds(taking, path, "process 1 on elsewhere", "stale lock", "taken over")


def test_the_lock_of_a_machine_with_signs_of_life_is_waited_for(tmp_path):
    path, ended = written(tmp_path / "lock"), threading.Event()

    def live():
        for count in range(30):
            time.sleep(0.05)
            os.utime(path, (count, count))
        ended.set()
        path.unlink()

    other = threading.Thread(target=live)
    other.start()
    with locks.hold(path):
        assert ended.is_set()
    other.join()


def test_a_process_of_this_machine_that_exists_is_not_taken_for_gone(tmp_path):
    path, started = written(tmp_path / "lock", platform.node(), os.getppid()), time.monotonic()
    with locks.hold(path):
        assert time.monotonic() - started > locks.SILENT


def test_of_many_that_see_a_stale_lock_one_takes_it_over(tmp_path):
    assert most_at_once(written(tmp_path / "lock")) == [1] * 8


def test_a_new_lock_is_given_back_when_it_is_mistaken_for_the_stale_one(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path) as check:
        locks._set_aside(path, "the stale one")
        check()
    assert list(tmp_path.iterdir()) == []


def test_who_lost_the_lock_is_told_and_leaves_it_to_its_new_holder(tmp_path):
    path = tmp_path / "lock"
    with complains(locks.LostLock, "silent", "lost its lock"):
        with locks.hold(path) as check:
            written(path)
            check()
    assert locks.holder(path) == "process 1 on elsewhere"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "a"}', '{"host": "a", "pid": "x"}'])
def test_a_lock_that_nobody_can_read_is_of_an_unknown_process_and_gets_stale(tmp_path, content):
    path = tmp_path / "lock"
    path.write_text(content)
    assert locks.holder(path) == "an unknown process"
    with locks.hold(path) as check:
        check()
