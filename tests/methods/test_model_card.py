"""Model cards for the Hugging Face hub."""

from pathlib import Path

import pytest
import yaml

from vpbench.methods.model_card import licence_and_page, write_model_card

CARD = {
    "method": "visual_prompt",
    "backbone": "clip_vit_b32",
    "weights": "ab" * 32,
    "task": "my photographs",
    "class_names": ["a", "`b`\n# c"],
    "settings": {"template": "padding", "lr": 40.0},
    "accuracy": {"validation": 81.25, "test": 79.0},
    "notes": ["2 images\nwere left out"],
}


def front(path):
    """Returns what stands between the lines of a card's front matter."""
    return yaml.safe_load(path.read_text().split("---\n")[1])


def test_the_front_matter_has_licence_base_model_and_accuracy(tmp_path):
    path = write_model_card(CARD, [], tmp_path / "mine.onnx")
    assert path == tmp_path / "mine.README.md"
    found = front(path)
    assert found["license"] == "mit"
    assert found["base_model"] == "timm/vit_base_patch32_clip_224.openai"
    assert found["tags"] == ["vpbench", "visual-prompting", "visual-prompt"]
    assert found["pipeline_tag"] == "image-classification" and found["metrics"] == ["accuracy"]
    (entry,) = found["model-index"]
    of_splits = {each["dataset"]["split"]: each["metrics"][0]["value"] for each in entry["results"]}
    assert entry["name"] == "mine" and of_splits == {"validation": 81.25, "test": 79.0}


def test_the_text_lists_files_and_nothing_of_a_name_becomes_markup(tmp_path):
    files = [Path("mine.onnx"), Path("mine.plain.safetensors"), Path("mine.safetensors")]
    text = write_model_card(CARD, files, tmp_path / "mine").read_text()
    assert "- test: 79.0 %" in text
    assert "- `mine.onnx`: ONNX (opset 18)" in text
    assert "- `mine.plain.safetensors`: the prompt and what plain PyTorch needs" in text
    assert "- `mine.safetensors`: what was learned, for `vpbench.load`" in text
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# mine", "## Files", "## Accuracy", "## Notes on the images", "## Classes, by label",
        "## Recipe",
    ]  # fmt: skip


def test_without_accuracy_the_card_says_so(tmp_path):
    path = write_model_card(CARD | {"accuracy": {}}, [], tmp_path / "mine")
    assert "model-index" not in front(path) and "Not measured." in path.read_text()


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"backbone": "rn50_micro"}, ("mit", None)),
        ({"backbone": "rn50"}, ("bsd-3-clause", "timm/resnet50.tv_in1k")),
        (
            {"backbone": "convnext", "address": "timm:convnext_tiny.fb_in1k"},
            ("apache-2.0", "timm/convnext_tiny.fb_in1k"),
        ),
        (
            {"backbone": "vit", "address": "open_clip:ViT-B-32/laion2b_s34b_b79k"},
            ("unknown", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ),
        ({"backbone": "of one's own"}, ("unknown", None)),
    ],
)
def test_the_licence_and_the_page_are_those_of_the_weights(card, expected):
    assert licence_and_page(card) == expected


def test_a_card_lists_the_forms_that_were_exported_before_of_the_same_model_alone(tmp_path):
    first, second = tmp_path / "mine.onnx", tmp_path / "mine.pt2"
    path = write_model_card(CARD, [first], first)
    write_model_card(CARD, [second], second)
    write_model_card(CARD, [first], first)
    lines = [line for line in path.read_text().splitlines() if line.startswith("- `mine")]
    assert [line.split("`")[1] for line in lines] == ["mine.pt2", "mine.onnx"]
    write_model_card(CARD | {"accuracy": {"test": 12.5}}, [second], second)
    assert "mine.onnx" not in path.read_text()
