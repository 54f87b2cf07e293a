import threading
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from tests.helpers.messages import complains
from tests.helpers.tiny import ENGINE, PADDING, READING, TUNE, numbered_task, spec
from tests.helpers.toy_training import Through
from vpbench.compute.engine import Engine, check_precision, computing, until_it_fits
from vpbench.data import load
from vpbench.data.batches import AHEAD, batches, place, read_ahead
from vpbench.experiment import run
from vpbench.methods import fine_tune, visual_prompt
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.prompts.build import build_prompt
from vpbench.training.evaluate import predict
from vpbench.training.trainer import Trainer

CPU = torch.device("cpu")
UNEVEN = {"batch_size": 10, "epochs": 1, "eval_epochs": []}  # of 24 images: 10, 10, 4


@pytest.fixture(scope="module")
def few():
    """Returns a task of very few images and two classes."""
    return load.load_task("camelyon17_twin", {"train": 8, "validation": 4, "test": 4})


def last_state(method, backbone, task, settings, engine):
    """Returns the last state of a training with this engine."""
    with computing(backbone, engine):
        return method.fit(backbone, task, settings, 0).selection["last"].state


def small_memory(function, limit):
    """Returns `function`, which fails for more than `limit` images, and how many each call had."""
    sizes = []

    def limited(images):
        sizes.append(len(images))
        if len(images) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return function(images)

    return limited, sizes


def limit_memory(monkeypatch, limit):
    """Returns None; a prompted classifier fails for more than `limit` images."""
    forward = PromptedClassifier.forward

    def limited(self, images):
        return small_memory(partial(forward, self), limit)[0](images)

    monkeypatch.setattr(PromptedClassifier, "forward", limited)


def close(state, other):
    """Asserts that two states are equal but for rounding."""
    assert state and state.keys() == other.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, other[name], atol=1e-5, rtol=1e-4)


# Precision


@pytest.mark.parametrize("fixture", ["clip", "resnet"])
def test_bf16_is_used_inside_the_model_and_everything_leaves_it_as_float32(fixture, few, request):
    backbone, inside = request.getfixturevalue(fixture), []
    part = {"clip": "transformer", "resnet": "layer1"}[fixture]
    module = next(m for name, m in backbone.frozen.named_modules() if name.endswith(part))
    hook = module.register_forward_hook(lambda *a: inside.append(a[-1].dtype))
    with torch.no_grad():
        x = backbone.normalize(backbone.scale_pixels(few.splits["test"].images))
        plain = backbone.features(x)
        with computing(backbone, Engine("bf16")):
            rough = backbone.features(x)
        again = backbone.features(x)
    hook.remove()
    assert inside == [torch.float32, torch.bfloat16, torch.float32]
    assert rough.dtype == plain.dtype == torch.float32
    assert 1e-6 < (rough - plain).abs().max() / plain.abs().max() < 0.05
    assert torch.equal(again, plain)


@pytest.mark.parametrize("method", ["text_prompt", "visual_prompt", "linear_probe", "fine_tune"])
def test_every_method_runs_in_bf16_with_other_numbers_than_in_fp32(method, clip, few):
    one = spec(method, task="camelyon17_twin")
    if "epochs" in one["settings"]:
        one["settings"]["epochs"] = 1
    plain, rough = (
        run.run(one | {"engine": ENGINE | {"precision": precision}}, few, clip)
        for precision in ("fp32", "bf16")
    )
    logits, others = (
        fit.selection["last"].evaluations["test"].logits for _, _, fit in (plain, rough)
    )
    assert logits.dtype == others.dtype == torch.float32
    assert not torch.equal(logits, others)
    torch.testing.assert_close(logits, others, atol=0.5, rtol=0.2)
    assert rough[0]["measured"]["precision"] == "bf16"
    state = rough[2].selection["last"].state or {}  # weights stay as precise as they were
    assert {value.dtype for value in state.values()} <= {torch.float32}


@pytest.mark.parametrize(
    ("precision", "device", "usable"),
    [("fp16", "cpu", "fp32, bf16"), ("bf16", "mps", "fp32"), ("fp16", "mps", "fp32")],
)
def test_a_precision_that_the_device_has_not_is_one_line(precision, device, usable):
    with complains(ValueError, "engine", precision, f"device {device}", "choose", usable):
        check_precision(precision, torch.device(device))


def test_a_run_in_fp16_on_the_cpu_is_refused_and_leaves_the_backbone_as_it_was(clip, task):
    before = clip.engine
    with complains(ValueError, "precision fp16", "device cpu"):
        run.run(spec() | {"engine": ENGINE | {"precision": "fp16"}}, task, clip)
    assert clip.engine is before


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks while it traces
@pytest.mark.parametrize(("method", "settings"), [(visual_prompt, PADDING), (fine_tune, TUNE)])
def test_a_compiled_model_gives_the_same_numbers(method, settings, clip, few, monkeypatch):
    compile, compiled = torch.compile, []

    def recorded(function):
        compiled.append(function)
        return compile(function, backend="eager")

    monkeypatch.setattr(torch, "compile", recorded)
    settings = settings | {"epochs": 1, "eval_epochs": []}
    plain = last_state(method, clip, few, settings, Engine())
    assert compiled == []
    close(last_state(method, clip, few, settings, Engine(compile=True)), plain)
    assert len(compiled) == 1


# Images per pass


@pytest.mark.parametrize("micro_batch", [1, 3, 10, 100])
@pytest.mark.parametrize("template", ["padding", "random_patch"])
def test_a_batch_in_several_passes_gives_the_same_prompt(template, micro_batch, clip, task):
    settings = PADDING | UNEVEN | {"template": template, "lr": 5.0}
    whole = last_state(visual_prompt, clip, task, settings, Engine())
    parts = last_state(visual_prompt, clip, task, settings, Engine(micro_batch=micro_batch))
    close(parts, whole)
    if micro_batch >= 10:
        assert all(torch.equal(value, whole[name]) for name, value in parts.items())


def test_fine_tuning_in_several_passes_gives_the_same_weights(clip, task):
    settings = TUNE | UNEVEN | {"lr": 1e-3}
    whole = last_state(fine_tune, clip, task, settings, Engine())
    parts = last_state(fine_tune, clip, task, settings, Engine(micro_batch=4))
    start = clip.image_tower().state_dict()
    moved = sum((whole["tower." + key] - value).square().sum() for key, value in start.items())
    apart = sum((value - parts[key]).square().sum() for key, value in whole.items())
    # AdamW divides by the size of a gradient, so rounding shows where one is nearly zero.
    assert apart < 1e-4 * moved


def test_all_passes_of_a_batch_have_one_position_and_each_batch_has_a_new_one():
    prompt = build_prompt("random_patch", 56, 5, generator=torch.Generator().manual_seed(0))
    again = build_prompt("random_patch", 56, 5, generator=torch.Generator().manual_seed(0))
    places = []
    for _ in range(4):
        with prompt.one_draw():
            first, second = prompt.canvas(), prompt.canvas()
        assert torch.equal(first, second)
        assert torch.equal(first, again.canvas())  # one draw per batch, as without passes
        places.append(torch.nonzero(first[0, 0])[0].tolist())
    assert len({tuple(place) for place in places}) > 1


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (2, 2), (3, 2), (9, 5), (10, 10)])
def test_too_little_memory_halves_the_images_of_a_pass_and_changes_nothing_else(
    limit, found, clip, task, monkeypatch
):
    settings = PADDING | UNEVEN | {"template": "random_patch", "lr": 5.0}
    whole = visual_prompt.fit(clip, task, settings, 0)
    limit_memory(monkeypatch, limit)
    halved = visual_prompt.fit(clip, task, settings, 0)
    assert (whole.micro_batch, halved.micro_batch) == (10, found)
    close(halved.selection["last"].state, whole.selection["last"].state)
    assert halved.history[0]["train_accuracy"] == whole.history[0]["train_accuracy"]
    assert halved.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], rel=1e-5)
    logits, expected = (f.selection["last"].evaluations["test"].logits for f in (halved, whole))
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)


def test_a_record_says_how_many_images_a_pass_had(clip, task, monkeypatch):
    limit_memory(monkeypatch, 4)
    measured = run.run(spec(), task, clip)[0]["measured"]
    assert measured["micro_batch"] == 4 and measured["processes"] == 1
    assert run.run(spec("text_prompt"), task, clip)[0]["measured"]["micro_batch"] is None


def test_a_step_that_ran_out_of_memory_leaves_no_trace_in_batch_norm():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    passes = []

    def classifier(images):
        if module.training:
            passes.append(len(images))
            if passes == [4, 4]:  # the second pass of the first step
                raise torch.OutOfMemoryError
        return module(images[:, 0, 0, :1].float())

    settings = {
        "epochs": 1, "batch_size": 8, "lr": 0.1, "warm_up": 0.0, "warm_up_steps": None,
        "eval_epochs": [], "schedule": "cosine",
    }  # fmt: skip
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    task = numbered_task({"train": 8, "test": 4})
    trainer = Trainer(
        Through(module, classifier), optimiser, task, settings, torch.Generator(), "toy",
        Engine(micro_batch=4),
    )  # fmt: skip
    assert trainer.run().micro_batch == 2
    assert passes == [4, 4, 2, 2, 2, 2]
    assert module[1].num_batches_tracked == 4


def test_a_memory_too_small_for_one_image_is_one_line():
    attempt, sizes = small_memory(lambda images: None, 0)
    with complains(ValueError, "memory", "device", "too small", "one image"):
        until_it_fits(lambda size: attempt(range(size)), 20)
    assert sizes == [20, 10, 5, 2, 1]


def test_an_evaluation_goes_on_with_as_many_images_as_fit():
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1)
    double, sizes = small_memory(lambda batch: batch.flatten(1).double() * 2, 20)
    outputs = predict(double, images)
    assert outputs.flatten().tolist() == list(range(0, 200, 2))
    assert sizes == [64, 32, 16, 16, 16, 16, 16, 16, 4]


# On the way to the device


def test_images_are_read_ahead_in_another_thread_and_come_in_order():
    read, threads = [], set()

    def reader(index):
        read.append(index)
        threads.add(threading.current_thread())
        return index * 10

    coming = read_ahead(reader, iter(range(6)))
    assert read == []
    assert next(coming) == 0
    assert list(coming) == [10, 20, 30, 40, 50]
    assert read == list(range(6)) and threading.current_thread() not in threads


def test_not_more_is_read_ahead_than_memory_is_meant_for():
    read = []
    coming = read_ahead(read.append, range(100))
    next(coming), next(coming)
    coming.close()
    assert len(read) <= 2 + AHEAD


def test_an_image_that_cannot_be_read_is_told_where_it_is_asked_for():
    coming = read_ahead(lambda index: 1 / index, [1, 0])
    assert next(coming) == 1
    with pytest.raises(ZeroDivisionError):
        next(coming)


def test_on_the_cpu_images_stay_where_they_are(task):
    assert place(task, CPU) is task
    images = task.splits["train"].images
    index = torch.tensor([3, 1])
    whole, part = batches(images, [slice(0, 5), index], CPU)
    assert whole.data_ptr() == images.data_ptr() and torch.equal(part, images[index])


def test_images_of_a_file_mapped_into_memory_train_the_same_prompt(clip, task, tmp_path):
    def mapped(name, split):
        path = str(tmp_path / name)
        split.images.numpy().tofile(path)
        storage = torch.from_file(path, size=split.images.numel(), dtype=torch.uint8)
        return replace(split, images=storage.view(split.images.shape))

    other = replace(task, splits={name: mapped(name, each) for name, each in task.splits.items()})
    settings = PADDING | UNEVEN
    one, same = (
        last_state(visual_prompt, clip, each, settings, Engine()) for each in (task, other)
    )
    assert one and one.keys() == same.keys()
    assert all(torch.equal(value, same[name]) for name, value in one.items())


def test_an_engine_is_a_part_of_the_spec_word_by_word(clip, task):
    assert Engine(**ENGINE) == Engine()
    with computing(clip, Engine(**ENGINE | {"micro_batch": 3})):
        assert visual_prompt.fit(clip, task, PADDING | {"epochs": 1}, 0).micro_batch == 3
    assert run.run(spec("text_prompt", **READING), task, clip)[0]["spec"]["engine"] == ENGINE
