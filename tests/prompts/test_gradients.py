import math

import pytest
import torch

from tests.helpers.tiny import PADDING
from vpbench.methods import visual_prompt
from vpbench.methods.prompted_classifier import untrained
from vpbench.prompts.build import build_prompt
from vpbench.prompts.gradients import unit, unit_image

EVP = PADDING | {"init": "zeros", "momentum": 0.0, "gradient": "unit_image", "lr": 70.0}


def built(backbone, task, settings):
    """Returns an untrained classifier and its optimiser."""
    classifier = untrained(backbone, task, settings, 0, torch.Generator().manual_seed(0))
    return classifier, visual_prompt.build_optimiser(classifier, settings)


def test_a_unit_gradient_has_length_one_over_all_its_tensors():
    gradients = [torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]
    unit(gradients)
    assert gradients[0].tolist() == pytest.approx([0.6])
    assert gradients[1][0].tolist() == pytest.approx([0.0, 0.8])


def test_a_gradient_of_zero_stays_zero():
    gradients = [torch.zeros(3)]
    unit(gradients)
    assert gradients[0].tolist() == [0, 0, 0]


def test_half_of_the_energy_in_the_centre_shortens_the_step_of_the_border_by_root_two():
    mask = build_prompt("padding", 4, 1, init="zeros", gradient="unit_image").mask
    gradient = torch.zeros(1, 3, 4, 4)
    gradient[0, 0, 0, 0], gradient[0, 1, 1, 1] = 5.0, 5.0  # one on the border, one in the centre
    unit_image(gradient, mask)
    assert gradient[0, 0, 0, 0].item() == pytest.approx(1 / math.sqrt(2))
    assert gradient.abs().sum().item() == pytest.approx(1 / math.sqrt(2))  # nothing in the centre


def test_evps_first_step_is_its_published_update(clip, task):
    module, optimiser = built(clip, task, EVP)
    train = task.splits["train"]
    loss = torch.nn.functional.cross_entropy(module(train.images), train.labels)
    loss.backward()
    whole = module.prompt.picture.grad.clone()
    for group in optimiser.param_groups:
        group["lr"] = EVP["lr"]
    optimiser.step()
    border = torch.ones(56, 56)
    border[7:-7, 7:-7] = 0
    expected = -70.0 * whole / whole.norm() * border
    torch.testing.assert_close(module.prompt.picture.detach(), expected)
    inside = (whole * (1 - border)).norm() / whole.norm()
    step = 70 * math.sqrt(1 - inside.item() ** 2)
    assert expected.norm().item() == pytest.approx(step, rel=1e-4) and inside > 0.1


def test_a_prompt_with_evps_gradient_counts_only_the_pixels_it_trains(clip, task):
    fit = visual_prompt.fit(clip, task, EVP | {"epochs": 1, "eval_epochs": []}, 0)
    assert fit.trained_parameters == 2 * 3 * 7 * (56 + 56 - 14)
    picture = fit.selection["last"][1]["prompt.picture"]
    assert picture[..., 7:-7, 7:-7].abs().max() == 0 < picture.abs().max()


@pytest.mark.parametrize("template", ["random_patch", "low_rank", "conditional"])
def test_evps_gradient_is_refused_for_prompts_without_one_place(template):
    with pytest.raises(ValueError, match="unit_image is for prompts of one place"):
        build_prompt(template, 56, 8, gradient="unit_image")


def test_evps_gradient_is_refused_for_a_prompt_that_is_grey_where_it_is_zero():
    with pytest.raises(ValueError, match="needs a prompt of zeros to do nothing: no sigmoid"):
        build_prompt("padding", 56, 8, gradient="unit_image", bound="sigmoid")
