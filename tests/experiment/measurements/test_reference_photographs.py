from tests.helpers.folders import paint
from vpbench.experiment.measurements.frechet import photographs
from vpbench.experiment.readiness import count_photographs


def test_copies_and_thumbnails_of_systems_and_notebooks_are_no_reference(tmp_path):
    kept = {paint(tmp_path / name) for name in ("a.png", "n01/b.JPEG", "n01/deep/c.jpg")}
    for name in (".cache/a.png", "n01/.ipynb_checkpoints/b.jpg", "n01/@eaDir/b.jpg", "._a.png"):
        paint(tmp_path / name)
    assert set(photographs(tmp_path)) == kept
    assert count_photographs(tmp_path, enough=100) == 3
