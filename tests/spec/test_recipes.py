"""The recipe that belongs to a backbone, and the shipped configurations from any folder."""

import pytest

from tests.helpers.checkout import ROOT
from tests.helpers.messages import complains
from vpbench.common.errors import UserError
from vpbench.spec.methods import METHODS
from vpbench.spec.recipes import load_recipe, recipe_for, shipped_config
from vpbench.spec.settings import Setting

VISION, TEXT = "vision", "vision_language"


@pytest.mark.parametrize(
    ("backbone", "config"),
    [
        (("clip_micro", TEXT, 56), "lab"),
        (("instagram_micro", VISION, 56), "lab"),
        (("lite0_minilm", TEXT, 128), "desk"),
        (("efficientnet_lite0_128", VISION, 128), "desk"),
        (("clip_vit_b16", TEXT, 224), "paper"),
        (("instagram_32x8d", VISION, 224), "paper"),
    ],
)
@pytest.mark.parametrize("method", ["visual_prompt", "linear_probe", "fine_tune"])
def test_a_backbone_of_the_catalogue_has_the_recipe_of_its_own_file(backbone, config, method):
    found = recipe_for(method, *backbone)
    assert found.config == f"config/{config}.yaml"
    assert found.settings == load_recipe(ROOT / found.config, method, backbone[0])


@pytest.mark.parametrize(
    ("name", "modality", "side", "size", "lr", "label_map"),
    [
        ("efficientnet_lite0", VISION, 224, 30, 20, "hard_coded"),  # as config/desk.yaml says
        ("efficientnet_lite1", VISION, 240, 32, 20, "hard_coded"),
        ("efficientnet_lite2", VISION, 260, 35, 20, "hard_coded"),
        ("timm:resnet18.a1_in1k", VISION, 224, 30, 20, "hard_coded"),
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", TEXT, 224, 30, 50, "text"),
        ("MyNet", VISION, 32, 4, 20, "hard_coded"),
        ("MyNet", VISION, 384, 51, 20, "hard_coded"),
        ("MyNet", VISION, 2, 1, 20, "hard_coded"),
    ],
)
def test_any_other_backbone_has_the_recipe_of_the_desk_at_the_scale_of_its_images(
    name, modality, side, size, lr, label_map
):
    settings, config = recipe_for("visual_prompt", name, modality, side)
    assert config == "config/desk.yaml"
    assert (settings["size"], settings["lr"], settings["label_map"]) == (size, lr, label_map)
    assert (settings["epochs"], settings["batch_size"]) == (6, 16)


def test_a_fine_tuned_backbone_with_text_begins_from_its_text():
    assert recipe_for("fine_tune", "open_clip:a/b", TEXT, 224).settings["head"] == "text"
    assert recipe_for("fine_tune", "timm:a", VISION, 224).settings["head"] == "new"


def test_methods_around_the_paper_have_the_recipes_of_the_lab_and_of_the_paper():
    lab, paper = (f"config/{name}.yaml, config/methods/{name}.yaml" for name in ("lab", "paper"))
    mine = recipe_for("evp", "timm:a", VISION, 224)
    assert mine.config == lab
    assert (mine.settings["size"], mine.settings["image_side"]) == (28, 168)  # 7 and 42 of 56
    lite = recipe_for("evp", "efficientnet_lite0_128", VISION, 128)
    assert lite.config == lab
    assert (lite.settings["size"], lite.settings["image_side"]) == (16, 96)
    micro = recipe_for("evp", "clip_micro", TEXT, 56)
    assert micro.config == lab
    assert (micro.settings["size"], micro.settings["lr"]) == (7, 20)
    assert recipe_for("evp", "rn50", VISION, 224).config == paper
    assert recipe_for("coop", "open_clip:a/b", TEXT, 224).settings["context_tokens"] == 4


def test_a_method_that_no_file_knows_has_its_defaults_or_one_line(monkeypatch):
    sure = Setting({"type": "integer"}, 5, "neighbours")
    method = METHODS["linear_probe"]._replace(settings={"neighbours": sure})
    monkeypatch.setitem(METHODS, "nearest", method)
    assert recipe_for("nearest", "timm:a", VISION, 224) == ({"neighbours": 5}, "its defaults")
    unsure = Setting({"type": "integer"}, meaning="neighbours")
    monkeypatch.setitem(METHODS, "nearest", method._replace(settings={"neighbours": unsure}))
    with complains(UserError, "nearest", "timm:a", "no shipped configuration", "--config FILE"):
        recipe_for("nearest", "timm:a", VISION, 224)
    with complains(UserError, "unknown method 'visual_promt'", "did you mean visual_prompt?"):
        recipe_for("visual_promt", "timm:a", VISION, 224)


def test_a_shipped_configuration_is_found_from_any_folder_and_a_file_that_is_there_first(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    lab = ROOT / "config" / "lab.yaml"
    assert shipped_config("config/lab.yaml").samefile(lab)
    assert shipped_config("config/methods/lab.yaml").samefile(ROOT / "config/methods/lab.yaml")
    assert load_recipe("config/lab.yaml", "visual_prompt", "clip_micro")["lr"] == 10
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "lab.yaml").write_text(lab.read_text().replace("lr: 10,", "lr: 11,"))
    assert load_recipe("config/lab.yaml", "visual_prompt", "clip_micro")["lr"] == 11


@pytest.mark.parametrize("name", ["config/labb.yaml", "lab.yaml", "config/lab"])
def test_a_configuration_that_is_not_there_is_told_the_nearest_shipped_one(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with complains(UserError, name, "no such", "config/lab.yaml"):
        load_recipe(name, "visual_prompt", "clip_micro")


def test_a_file_gives_a_recipe_for_a_backbone_by_its_address():
    desk = ROOT / "config" / "desk.yaml"
    assert load_recipe(desk, "visual_prompt", "timm:resnet18")["lr"] == 20
    with_text = load_recipe(desk, "visual_prompt", "open_clip:ViT-B-32/openai", epochs=2)
    assert (with_text["lr"], with_text["label_map"], with_text["epochs"]) == (50, "text", 2)
    with complains(UserError, "unknown backbone 'lite0_minilmm'", "did you mean lite0_minilm"):
        load_recipe(desk, "visual_prompt", "lite0_minilmm")
