"""What descriptions name, and what is said where it is not there."""

import pytest

from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation, imported


def test_a_description_names_a_module_and_what_is_in_it():
    assert implementation("vpbench.common.implementations:imported") is imported
    assert imported("vpbench.common.errors").UserError is UserError


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nobody.has:this", "there is no module nobody; a description names nobody.has: mend it"),
        ("vpbench.common.nothing:a", "there is no module vpbench.common.nothing; a description"),
        ("vpbench.common.errors:Mistake", "vpbench.common.errors has no Mistake, which a descr"),
    ],
)
def test_what_is_not_there_is_one_line(reference, words):
    with pytest.raises(UserError, match=words):
        implementation(reference)


def test_what_a_module_lacks_itself_keeps_its_traceback(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nobody_has_this\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nobody_has_this"):
        imported("needs_more")
