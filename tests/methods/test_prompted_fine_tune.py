"""VP + FT: what a prompt adds to fine-tuning."""

import pytest
import torch

from tests.helpers.tiny import TUNE
from vpbench.methods import fine_tune, prompted_fine_tune

PROMPTED = TUNE | {"template": "padding", "size": 7, "init": "zeros", "prompt_lr": 0.01}


def last(fit):
    """Returns the state after the last epoch."""
    return fit.selection["last"][1]


@pytest.mark.parametrize(("name", "head"), [("clip", "text"), ("resnet", "new")])
def test_with_a_prompt_that_hardly_moves_it_is_fine_tuning(name, head, task, request):
    backbone = request.getfixturevalue(name)
    settings = PROMPTED | {"head": head, "prompt_lr": 1e-30}
    with_prompt = last(prompted_fine_tune.fit(backbone, task, settings, 0))
    without = last(fine_tune.fit(backbone, task, TUNE | {"head": head}, 0))
    for key, value in without.items():
        torch.testing.assert_close(with_prompt[f"model.{key}"], value)


def test_prompt_and_weights_are_learned_and_counted_together(clip, task):
    found = prompted_fine_tune.fit(clip, task, PROMPTED, 0)
    alone = fine_tune.fit(clip, task, TUNE, 0)
    assert found.trained_parameters == alone.trained_parameters + 6 * 7 * (56 + 56 - 2 * 7)
    prompts = [value for key, value in last(found).items() if key.startswith("prompt.")]
    assert len(prompts) == 4 and all(value.abs().max() > 0 for value in prompts)


def test_a_step_of_adam_moves_each_pixel_of_the_prompt_by_its_own_rate(clip, task):
    settings = PROMPTED | {"epochs": 1, "batch_size": 24, "schedule": "constant"}
    state = last(prompted_fine_tune.fit(clip, task, settings, 0))
    moved = torch.cat([value.flatten() for key, value in state.items() if "prompt." in key])
    assert moved.abs().median().item() == pytest.approx(0.01, rel=1e-3)


def test_the_weights_of_the_backbone_stay_as_they_are(clip, task):
    before = {key: value.clone() for key, value in clip.model.state_dict().items()}
    prompted_fine_tune.fit(clip, task, PROMPTED, 0)
    assert all(torch.equal(value, before[key]) for key, value in clip.model.state_dict().items())
