import json
import subprocess
import sys

import pytest

from benchmarks.start_up import STANDARD, by_package, entries
from tests.helpers.tiny import spec

UNUSED = {  # by any run of a prompt: what analyses, other methods, measurements and data need
    *("lpips", "matplotlib", "pandas", "pooch", "scipy", "seaborn", "sklearn", "snakemake"),
    *("torch_fidelity", "torchmetrics", "wilds"),
}
LISTED = """\
import time: self [us] | cumulative | imported package
import time:      1000 |       1000 |   json.decoder
import time:       500 |       1500 | json
import time:     20000 |      20000 |     numpy.core
import time:     10000 |      30000 |   numpy
import time:      2000 |      32000 | torch.serialization
import time:    100000 |     134000 | torch
a line of the program
import time:      3000 |       3000 |   torch.late
import time:      4000 |       7000 | vpbench
"""


@pytest.mark.parametrize("backbone, also", [("clip_micro", set()), ("rn50_micro", {"open_clip"})])
def test_a_prompt_imports_nothing_that_it_has_no_use_for(tmp_path, backbone, also):
    label_map = "text" if backbone == "clip_micro" else "hard_coded"
    run = spec(backbone=backbone, label_map=label_map, epochs=1)
    command = ["run", json.dumps(run), "--device", "cpu", "--threads", "1"]
    command += ["--out", f"{tmp_path}/record.json", "--checkpoints", f"{tmp_path}/checkpoints"]
    script = (
        "import json, sys\n"
        "from vpbench.cli.main import main\n"
        "code = main(json.loads(sys.argv[1]))\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(command)], capture_output=True, text=True
    )
    code, imported = json.loads(done.stdout.splitlines()[-1])
    assert code == 0 and (tmp_path / "record.json").is_file()
    assert {"torch", "timm", "vpbench"} <= set(imported)
    assert not (UNUSED | also) & set(imported)


def test_imports_are_read_with_their_depth_and_their_own_seconds():
    assert entries(LISTED)[:3] == [
        ("json.decoder", 1, 0.001),
        ("json", 0, 0.0005),
        ("numpy.core", 2, 0.02),
    ]
    assert len(entries(LISTED)) == 8


def test_a_package_has_the_sum_of_its_modules_and_the_one_who_imported_it_first():
    assert by_package(entries(LISTED)) == [
        {"package": "torch", "seconds": pytest.approx(0.105), "imported_by": None},
        {"package": "numpy", "seconds": pytest.approx(0.03), "imported_by": "torch.serialization"},
        {"package": "vpbench", "seconds": pytest.approx(0.004), "imported_by": None},
        {"package": STANDARD, "seconds": pytest.approx(0.0015), "imported_by": None},
    ]
