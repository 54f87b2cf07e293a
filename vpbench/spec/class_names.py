"""Lists of class names, one text file each in manifests/: a name per line, by label.

A list has the name of its dataset; another reading of the same classes, where the paper does not
say which it took, is DATASET.READING. Names are spelled as on disk, see text_prompts.
"""

import hashlib
from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import instead

FOLDER = Path(__file__).parent / "manifests"
# CIFAR: fine_label_names and label_names of the archives. Food101, Resisc45: names of the folders.
# Flowers102, EuroSAT, UCF101, OxfordPets, DTD: CoOp's split files; eurosat.folders: its folders.
# SUN397: ClassName.txt, turned round as in CoOp ("/a/apse/indoor" is "indoor apse"); the order is
# that of two public copies, and CoOp's split file written with these names has its exact length.
# SVHN, CLEVR: the dataset has numbers only. iWildCam: categories.csv of WILDS, English from the
# labels.csv of wise-ft; "mazama temama" is there twice. FMoW: categories of the wilds package.
# Camelyon17: the paper's words, in the order of the labels and not in that of its section 4.2.
MANIFESTS = {  # name -> SHA-256 of the file
    "camelyon17": "b4f5fa7d96d2534bcb44a6f89180c75fe91a673e2e17274cf1f6c419b203e363",
    "cats_dogs": "f641fdcd8af73b2f6334ab63c13d2eb857cd16f2aa4ea0ba20ba0eb9627918b5",
    "cifar10": "2ce042b1e0b48db4bb214408e6414ba18b2731c24af244f2d6c112fddf31af00",
    "cifar100": "4a53f81a8af29bb6aa646bfe2c455db1b061edfde82a39c0cfc313ef536c681b",
    "clevr": "986cbde7b5fecaf25ee1c5c651a7c0e57b99df98acb1c3b17149e654aaddca66",
    "dtd": "b5a36bd7012d5b019f0330d9c2ed1c9ed9a92d9698368220b0e6fe25acd86367",
    "eurosat": "c21a85e1ff8199174c1a358728d3f2ca44d0e9d89b584dadd7a7b340a3deda3a",
    "eurosat.folders": "96e6198d27ea1906f33945ff5d6410826dd66b46212d612b0d890bfac99f341f",
    "flowers102": "b82464f0bfb4f814d05cb37764b98d7e0d02e9c5d99698a4671cda7bde53b9af",
    "fmow": "0554a3ad0804ed71b99b2e2b893fa763632383727569f9d4fb74c9f932783f9d",
    "food101": "e2d699f9b5f65fb920d1db7c97bd237028790f1fb2755c5762bbe9ab90d3ab38",
    "iwildcam": "b26de8a10598484fef7df65a010627d67e3bcac9998c74f5ea1045f78b14cd9e",
    "iwildcam.english": "23328431b162936a4c8fb2d5f3f06733d7c2ad9176b9da4a29ac1c64022b6ff4",
    "oxfordpets": "956787e7fabada0bd8a787af35d4a963c56fe5a577e720a6fce2bfa4aefcfc5c",
    "resisc45": "59f16f046008251a400d1d3b9eb20829d93298378f3b2a827b0421e6a495f4df",
    "sun397": "299af56c243af7feb40193ccdee4498eb16d14d7773b5e0f9ef284e4702ddf45",
    "svhn": "7427877c40fb0361401248f9c96abe6117396bc6ab16811b5b1706274c02443e",
    "svhn.words": "476e03af7ff499e63fe93fffa0567a69128761f538ec7dd1f3e2c197a0c90981",
    "ucf101": "de6f552cdc00cf3b06079b9d18176de73af4a3707b47801845284f34d906545a",
}


def read_manifest(name: str) -> tuple[str, ...]:
    """Returns the class names of the list `name`, in the order of the labels.

    Raises UserError in one line for an unknown list or a file that was changed.
    """
    if name not in MANIFESTS:
        raise UserError(f"class_names: {name!r} is not a list of names; {instead(name, MANIFESTS)}")
    path = FOLDER / f"{name}.txt"
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != MANIFESTS[name]:
        raise UserError(
            f"{path} was changed: its SHA-256 is {digest}, expected {MANIFESTS[name]}; restore it, "
            "or give other names in the settings"
        )
    return tuple(data.decode().splitlines())
