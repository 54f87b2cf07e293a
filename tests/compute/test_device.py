import pytest
import torch

from tests.helpers.messages import complains, holds
from tests.helpers.tiny import spec
from vpbench.cli import device as cli
from vpbench.cli.parser import parser
from vpbench.common import paths
from vpbench.compute.device import check_device, without_gpu
from vpbench.models.backbone import load_backbone
from vpbench.spec import schema_check
from vpbench.spec.config_schema import config_schema
from vpbench.spec.grid import expand
from vpbench.spec.recipes import read_configs

PAPER = spec() | {"kind": "paper"}
OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update"
SMOKE = "config/smoke.yaml"


@pytest.fixture(autouse=True)
def torch_without_gpu(monkeypatch):
    """Gives the tests a torch for CUDA 13.0 that sees no GPU, on a machine that lists none."""
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "VPBENCH_DEVICE"):
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", raising(RuntimeError(OLD)))


def raising(error):
    """Returns a function that raises `error`."""

    def function(*arguments, **options):
        raise error

    return function


@pytest.fixture
def gpus(monkeypatch):
    """Gives torch GPUs that call themselves H200, and returns the devices that were asked for."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")

    def zeros(count, device):
        asked.append(device)
        return torch.tensor([0.0])

    monkeypatch.setattr(torch, "zeros", zeros)
    return asked


def test_the_device_is_a_gpu_if_there_is_one_and_each_of_several_processes_has_its_own(
    gpus, monkeypatch
):
    assert check_device("auto") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert check_device("auto") == torch.device("cuda:3")
    assert check_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check_device("auto") == torch.device("cpu")
    assert gpus == ["cuda:0", "cuda:3", "cuda:1", "cpu"]


@pytest.mark.parametrize("name", ["abacus", "cuda:x", "cuda:99", "meta", "", "cpu cpu", "mps:7"])
def test_a_device_that_is_none_here_is_one_line_in_every_door(name):
    for door in (check_device, cli.check_device, lambda name: load_backbone("clip_micro", name)):
        with complains(ValueError, f"device {name!r}", "not usable here", "choose", "cpu, cuda"):
            door(name)


@pytest.mark.parametrize("name", [None, 3.5, ["cpu"]])
def test_what_is_no_name_of_a_device_is_one_line(name):
    with complains(ValueError, f"device {name!r}", "expected a name", "cpu, cuda"):
        load_backbone("clip_micro", name)


def test_a_device_may_be_one_of_torch():
    assert check_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("specs", [[PAPER], [spec(), PAPER]])
def test_paper_scale_wants_a_gpu_unless_somebody_says_cpu(specs, capsys):
    with complains(ValueError, "kind paper", "wants a GPU", OLD, "--device cpu", "device=cpu"):
        cli.announce_device("auto", specs)
    assert capsys.readouterr().err == ""
    assert cli.announce_device("cpu", specs) == torch.device("cpu")
    assert cli.announce_device("auto", [spec()]) == torch.device("cpu")


def test_paper_scale_takes_the_gpu_where_there_is_one(gpus):
    assert cli.announce_device("auto", [PAPER]) == torch.device("cuda:0")


def test_a_gpu_that_torch_does_not_see_is_said_with_the_remedy(monkeypatch, capsys):
    cli.announce_device("auto")
    holds(capsys.readouterr().err, f"torch {torch.__version__}, fp32\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,MIG-1")
    cli.announce_device("auto")
    (line,) = capsys.readouterr().err.splitlines()
    holds(line, "device: cpu", "GPU 0, MIG-1", "torch sees none", "CUDA 13.0", OLD, "driver")
    cli.announce_device("cpu")
    assert "MIG-1" not in capsys.readouterr().err


def test_a_torch_for_cpus_is_called_so(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    holds(without_gpu(), f"torch {torch.__version__}", "built for CPUs only", "install", "CUDA")


def test_the_line_of_a_gpu_says_its_name_its_number_and_the_precisions(gpus, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    fast = spec() | {"engine": spec()["engine"] | {"precision": "bf16"}}
    cli.announce_device("auto", [fast, PAPER, fast])
    said = f"device: cuda:0 (NVIDIA H200), GPU 7, torch {torch.__version__}, bf16, fp32\n"
    assert capsys.readouterr().err == said


def test_of_processes_that_share_a_run_the_first_says_how_many(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        cli.announce_device("cpu", [PAPER])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("device: cpu") and line.endswith(", fp32, 2 processes")


def test_what_the_machine_or_the_configuration_says_is_the_default(monkeypatch):
    command = ["run", "{}", "--out", "a"]
    assert parser().parse_args(command).device == "auto"
    paths.use(device="cpu")
    assert parser().parse_args(command).device == "cpu"
    assert parser().parse_args([*command, "--device", "cuda"]).device == "cuda"
    monkeypatch.setenv("VPBENCH_DEVICE", "")
    assert parser().parse_args(command).device == "auto"


def test_another_device_makes_nothing_again():
    config, where = read_configs([SMOKE])
    schema_check.check(config | {"device": "cpu"}, config_schema(), where)
    assert expand(config | {"device": "cpu"}, where).jobs == expand(config, where).jobs
