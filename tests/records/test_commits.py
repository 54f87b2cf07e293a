"""Records of one commit, where they must be of one."""

import pytest

from tests.helpers.fake_records import record
from vpbench.common.errors import RecordError
from vpbench.records.commits import one_commit

COMMITS = "1" * 40, "2" * 40


def of_commits(*commits):
    """Returns runs that code of these commits has made."""
    runs = enumerate(commits)
    made = [(record("svhn_twin", "clip_micro", "linear_probe", 50.0), *run) for run in runs]
    return [one | {"file": f"{number}.json", "commit": said} for one, number, said in made]


def test_records_of_one_commit_are_taken():
    assert one_commit(of_commits(COMMITS[0], COMMITS[0])) is None
    assert one_commit([]) is None


@pytest.mark.parametrize(
    ("commits", "words"),
    [
        (COMMITS, "0.json and 1.json: made by different commits of the code (111111111111 and 222"),
        ((COMMITS[0], COMMITS[0] + "-dirty"), "1.json: made by 111111111111 with changes that are"),
        ((COMMITS[0], None), "1.json: it holds no commit"),
    ],
)
def test_records_of_other_code_or_of_code_in_no_commit_are_refused(commits, words):
    with pytest.raises(RecordError) as caught:
        one_commit(of_commits(*commits))
    assert words in str(caught.value) and "run" in str(caught.value)
    assert "\n" not in str(caught.value)
