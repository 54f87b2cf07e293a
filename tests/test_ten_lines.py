"""The ten lines that the suite promises to people with a model, images and an idea of their own."""

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

import vpbench as vp
from tests.helpers.messages import complains

NAMES = ["dark", "bright", "striped"]


class Painted(Dataset):
    """Pictures of three kinds, of any size, as people have them."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        label = number % len(NAMES)
        draw = np.random.default_rng([self.seed, number])
        pixels = draw.integers(0, 60, (72, 96, 3)) + (150 if label == 1 else 20)
        if label == 2:
            pixels[::8] += 150
        return Image.fromarray(pixels.astype(np.uint8)), label


class Veil(nn.Module):
    """A prompt of one's own: a colour for every pixel."""

    def __init__(self, image_size):
        super().__init__()
        self.colours = nn.Parameter(torch.zeros(1, 3, image_size, image_size))

    def forward(self, x):
        return x + self.colours


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    module = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    transform = vp.Preprocessing(64, 56, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    return vp.wrap(module, transform, name="my_resnet")


def test_the_ten_lines_run_with_a_model_of_timm_and_a_dataset_of_torch(backbone, tmp_path):
    train, validation, test = (Painted(count, seed) for seed, count in enumerate((48, 24, 30)))
    task = vp.from_datasets(train, test, validation, class_names=NAMES)
    prompt = Veil(backbone.image_size)
    model = vp.fit("visual_prompt", backbone, task, prompt=prompt, epochs=2, eval_epochs=[])
    probe = vp.fit("linear_probe", backbone, task)
    accuracy = model.evaluate(task.test)["accuracy"]
    assert accuracy == pytest.approx(model.accuracy["test"])
    compared = vp.compare(model, probe, task.test)
    assert compared.images == 30 and compared.accuracy_a == pytest.approx(accuracy)
    assert compared.accuracy_b > 60  # features of random weights tell dark from bright

    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        test[number][0].save(photos / f"{number}.png")
    table = model.predict(photos)
    assert list(table["file"]) == [str(photos / f"{number}.png") for number in range(3)]
    assert set(table["class"]) <= set(NAMES) and list(table)[-1] == "probability_3"

    model.save(tmp_path / "my_prompt")
    with complains(ValueError, "was made for a backbone that was wrapped", "backbone="):
        vp.load(tmp_path / "my_prompt", prompt=Veil(backbone.image_size))
    again = vp.load(tmp_path / "my_prompt", backbone, prompt=Veil(backbone.image_size))
    again.export(tmp_path / "my_prompt.onnx")
    images = task.load(backbone.preprocessing).splits["test"].images
    session = onnxruntime.InferenceSession(tmp_path / "my_prompt.onnx")
    pixels = (images.permute(0, 3, 1, 2).float() / 255).numpy()
    (found,) = session.run(None, {"pixels": pixels})
    logits = model.logits(images)
    span = float(logits.max() - logits.min())
    np.testing.assert_allclose(found, logits.numpy(), atol=1e-4 * span, rtol=0)
