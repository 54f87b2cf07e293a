"""CIFAR10 and CIFAR100 of a few images, as a rehearsal writes them."""

from vpbench.data.datasets import cifar
from vpbench.experiment.rehearsal import cifar_files

BATCHES = [[2 * number, 2 * number + 1] for number in range(5)]


def write_cifar10(root):
    """Returns the folder of a CIFAR10 of two images in each batch; image n has label n % 10."""
    return cifar_files.write_cifar10(root, BATCHES, [0, 1, 2])


def write_cifar100(root):
    """Returns the folder of a CIFAR100 of three training images and two test images."""
    return cifar_files.write_cifar100(root, [1, 99, 0], [98, 1])


def without_checksums(monkeypatch):
    """Lets torchvision read files that are not the real ones, until `monkeypatch` is undone."""
    for name, loader in list(cifar.LOADERS.items()):
        changes = {
            "train_list": [[file, None] for file, _ in loader.train_list],
            "test_list": [[file, None] for file, _ in loader.test_list],
            "meta": loader.meta | {"md5": None},
            "tgz_md5": None,
            "url": "http://127.0.0.1:9/nothing",
        }
        monkeypatch.setitem(cifar.LOADERS, name, type(loader.__name__, (loader,), changes))
