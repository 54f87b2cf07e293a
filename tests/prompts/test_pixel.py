import pytest
import torch

from tests.helpers.tiny import PADDING
from vpbench.prompts.build import build_prompt, parameter_count, restore_prompt

SETTINGS = {"template": "random_patch", "size": 3, "position_range": "official"}


def count(prompt):
    """Returns the number of values that an optimiser would change."""
    return sum(parameter.numel() for parameter in prompt.parameters() if parameter.requires_grad)


def corners(prompt, draws=2000):
    """Returns the set of (row, column) at which the patch of ones was put."""
    with torch.no_grad():
        prompt.patch.fill_(1)
    found = set()
    for _ in range(draws):
        rows, columns = torch.nonzero(prompt.canvas()[0, 0], as_tuple=True)
        found.add((rows.min().item(), columns.min().item()))
    return found


def test_padding_of_30_at_224_has_the_published_69840_parameters():
    assert count(build_prompt("padding", 224, 30)) == 69_840


@pytest.mark.parametrize("template", ["fixed_patch", "random_patch"])
def test_a_patch_has_three_times_its_area_parameters(template):
    assert count(build_prompt(template, 224, 50)) == 3 * 50**2


@pytest.mark.parametrize(
    ("template", "size"), [("padding", 1), ("padding", 7), ("padding", 28), ("fixed_patch", 56)]
)
def test_the_formulas_of_the_paper_count_the_parameters(template, size):
    assert count(build_prompt(template, 56, size)) == parameter_count(template, 56, size)


def test_padding_acts_only_on_the_border():
    x = torch.rand(2, 3, 56, 56)
    change = build_prompt("padding", 56, 7)(x) - x
    assert (change[:, :, 7:-7, 7:-7] == 0).all()
    border = change.clone()
    border[:, :, 7:-7, 7:-7] = 1
    assert (border != 0).all()


def test_every_parameter_of_a_padding_reaches_exactly_one_pixel():
    prompt = build_prompt("padding", 8, 2)
    prompt.canvas().sum().backward()
    assert all((parameter.grad == 1).all() for parameter in prompt.parameters())


def test_a_padding_of_half_the_image_has_no_middle():
    assert (build_prompt("padding", 8, 4).canvas() != 0).all()


def test_a_fixed_patch_acts_only_in_the_upper_left_corner():
    x = torch.rand(2, 3, 56, 56)
    prompt = build_prompt("fixed_patch", 56, 10)
    change = prompt(x) - x
    torch.testing.assert_close(change[:, :, :10, :10], prompt.patch.detach().expand(2, -1, -1, -1))
    assert change.count_nonzero() == 2 * 3 * 10 * 10


def test_a_prompt_is_the_same_for_every_image_and_is_not_clamped():
    x = torch.rand(3, 3, 8, 8)
    change = 50 * build_prompt("padding", 8, 2).canvas()
    prompt = build_prompt("padding", 8, 2)
    prompt.load_state_dict(
        {
            "pad_up": change[:, :, :2],
            "pad_down": change[:, :, -2:],
            "pad_left": change[:, :, 2:-2, :2],
            "pad_right": change[:, :, 2:-2, -2:],
        }
    )
    torch.testing.assert_close(prompt(x), x + change)
    assert prompt(x).abs().max() > 10


def test_a_random_patch_reaches_the_last_row_and_column_in_the_full_range():
    prompt = build_prompt("random_patch", 8, 3, generator=torch.Generator().manual_seed(0))
    assert corners(prompt) == {(row, column) for row in range(6) for column in range(6)}


def test_a_random_patch_never_reaches_the_last_row_and_column_in_the_official_range():
    generator = torch.Generator().manual_seed(0)
    prompt = build_prompt("random_patch", 8, 3, generator=generator, position_range="official")
    assert corners(prompt) == {(row, column) for row in range(5) for column in range(5)}


def test_a_random_patch_has_one_position_for_the_whole_batch():
    prompt = build_prompt("random_patch", 8, 3, generator=torch.Generator().manual_seed(0))
    change = prompt(torch.zeros(5, 3, 8, 8))
    assert (change == change[:1]).all()
    assert change[0].count_nonzero() == 27


@pytest.mark.parametrize(("position_range", "middle"), [("full", 2), ("official", 2)])
def test_at_test_time_the_patch_is_in_the_middle_of_its_range(position_range, middle):
    # Of 0..5 and 0..4 the middle, rounded down, is 2.
    prompt = build_prompt("random_patch", 8, 3, position_range=position_range).eval()
    assert corners(prompt, 5) == {(middle, middle)}


def test_at_test_time_the_patch_is_drawn_again_if_that_is_asked_for():
    generator = torch.Generator().manual_seed(0)
    prompt = build_prompt("random_patch", 8, 3, generator=generator, test_position="random")
    assert len(corners(prompt.eval(), 200)) > 20


def test_equal_generators_give_equal_prompts_at_equal_positions():
    first, second = (
        build_prompt("random_patch", 56, 5, generator=torch.Generator().manual_seed(4))
        for _ in range(2)
    )
    assert all(torch.equal(first.canvas(), second.canvas()) for _ in range(5))


def test_the_initial_prompt_is_standard_normal_or_zero():
    generator = torch.Generator().manual_seed(0)
    values = build_prompt("fixed_patch", 224, 224, generator=generator).patch
    assert abs(values.mean().item()) < 0.01 and abs(values.std().item() - 1) < 0.01
    assert build_prompt("padding", 56, 7, init="zeros").canvas().count_nonzero() == 0


@pytest.mark.parametrize(
    ("template", "size", "words"),
    [
        ("padding", 29, "padding of size 29 does not fit images of 56 pixels; choose 1 to 28"),
        ("padding", 0, "choose 1 to 28"),
        ("fixed_patch", 57, "a patch of size 57 does not fit images of 56 pixels; choose 1 to 56"),
        ("random_patch", 0, "choose 1 to 56"),
        ("border", 7, "unknown template 'border'; choose one of: padding, fixed_patch, random_pa"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(template, size, words):
    with pytest.raises(ValueError, match=words):
        build_prompt(template, 56, size)


def test_a_random_patch_of_the_whole_image_needs_the_full_range():
    assert corners(build_prompt("random_patch", 8, 8), 3) == {(0, 0)}
    with pytest.raises(ValueError, match="use position_range: full"):
        build_prompt("random_patch", 8, 8, position_range="official")


@pytest.mark.parametrize("test_position", ["centre", "random"])
def test_a_restored_prompt_acts_as_its_settings_say(test_position):
    settings = PADDING | SETTINGS | {"test_position": test_position}
    state = {"patch": torch.ones(1, 3, 3, 3)}
    found = corners(restore_prompt(settings, 8, state), 300)
    if test_position == "centre":
        assert found == {(2, 2)}
    else:
        assert found <= {(row, column) for row in range(5) for column in range(5)}
        assert len(found) > 20
