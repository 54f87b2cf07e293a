import json
import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import __main__ as cli
from benchmarks import against_official, limit, official_step, our_step, report, timing
from benchmarks.our_step import OurStep, official_recipe
from tests.helpers.known_task import known_task
from tests.helpers.refused import refused
from tests.helpers.tiny import PADDING
from vpbench.common.errors import UserError
from vpbench.lab import micro_backbones
from vpbench.prompts.build import build_prompt

BOTH = ["fp32", "bf16"]
MACHINE = {
    "processor": "Abacus 3000", "processors": 8, "threads": 2, "instructions": "BEADS",
    "load_before": 0.25, "system": "Sand 1", "python": "3.11", "torch": "2.14",
    "date": "2026-11-22T10:00:00+00:00",
}  # fmt: skip


@pytest.fixture
def micro():
    """Returns a function from a name to (plain model, backbone), both with the shipped weights."""

    def load(name):
        return micro_backbones.load_model(name)[0].eval(), micro_backbones.load(name)

    return load


@pytest.fixture
def race(micro):
    """Returns a function (name, steps, precisions) -> (rows, seconds) of a race at micro size."""

    def run(name, taken, precisions=("fp32",)):
        model, backbone = micro(name)
        backbones = {"fp32": backbone} | {each: micro(name)[1] for each in precisions[1:]}
        recipe = official_recipe("clip_vit_b32" if name == "clip_micro" else "rn50")
        task = known_task(12)
        return against_official.race(model, backbones, task, recipe | {"size": 7}, 4, taken, 1)

    return run


# Times


def test_functions_take_turns_and_every_round_begins_with_another():
    called = []
    functions = {name: lambda name=name: called.append(name) for name in "abc"}
    timing.interleaved(functions, rounds=3, warm_up=1)
    assert "".join(called) == "abc" + "bca" + "cab" + "abc"


def test_only_rounds_after_the_warm_up_are_timed():
    now = iter([0, 100, 100, 200, 200, 203, 203, 207])  # two rounds of two, start and end
    seconds = timing.interleaved(
        {"slow": int, "fast": int}, rounds=1, warm_up=1, clock=lambda: next(now)
    )
    assert seconds == {"slow": [4], "fast": [3]}  # the second round begins with the other one


def test_a_disturbance_that_all_feel_cancels_in_the_ratio_of_a_round():
    seconds = {"official": [10.0, 30.0, 10.0], "ours": [5.0, 15.0, 4.0]}
    assert timing.ratios(seconds["official"], seconds["ours"]) == [2, 2, 2.5]
    assert timing.speed_ups(seconds, "official") == {
        "ours": {"median": 2.0, "low": 2.0, "high": 2.25}
    }


def test_the_spread_is_the_median_and_the_quartiles():
    assert timing.spread([5, 1, 4, 2, 3]) == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert timing.spread([7]) == {"median": 7.0, "low": 7.0, "high": 7.0}


# The official step


def test_the_official_border_is_our_padding():
    prompt = build_prompt("padding", 20, 3, generator=torch.Generator().manual_seed(1))
    images = torch.randn(2, 3, 20, 20)
    border = official_step.Border(**prompt.state_dict())
    assert torch.equal(border(images), prompt(images))
    assert sum(each.numel() for each in border.parameters()) == 2 * 3 * 3 * (20 + 20 - 2 * 3)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.04), (499, 20), (999, 40), (1000, 40), (3000, 0)])
def test_the_official_rate_rises_for_a_thousand_steps_and_falls_with_the_cosine(step, rate):
    assert official_step.learning_rate(step, 3000) == pytest.approx(rate)


def test_official_gradients_of_the_weights_are_computed_and_pile_up(micro):
    model, backbone = micro("clip_micro")
    prompt = official_step.Border(**build_prompt("padding", 56, 7).state_dict())
    optimiser = official_step.sgd(prompt)
    images, labels = torch.randn(2, 3, 56, 56), torch.tensor([0, 1])
    texts = ["This is a photo of a cat", "This is a photo of a dog"]
    step = model, backbone.tokenize, texts, prompt, optimiser, images, labels, 0.0
    official_step.clip_step(*step)
    once = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    strip = prompt.pad_up.grad.clone()
    assert all(gradient.abs().sum() > 0 for gradient in once.values())
    official_step.clip_step(*step)  # a rate of zero: the same step again
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, 2 * once[name], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(prompt.pad_up.grad, strip)


@pytest.mark.parametrize("name", ["clip_micro", "rn50_micro"])
def test_after_twenty_steps_our_prompt_has_moved_as_the_official_one(name, race):
    rows, seconds = race(name, 20)
    official, ours = rows
    assert (official["step"], ours["step"]) == ("official", "fp32")
    assert official["update"] > 1e-3 and official["update_difference"] == 0
    assert ours["update_difference"] <= 1e-4
    assert [len(taken) for taken in seconds.values()] == [19, 19]


def test_steps_of_a_race_see_different_images_and_learn_from_them(micro):
    _, backbone = micro("clip_micro")
    task = known_task(8)
    step = OurStep(backbone, task, PADDING | {"lr": 20.0, "warm_up": 0.0, "momentum": 0.0})
    images, labels = task.splits["train"].images, task.splits["train"].labels
    losses = [step(images, labels) for _ in range(4)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert step.trainer.taken == 4
    seen = []
    take = our_step.in_turn(lambda *batch: seen.append(batch), [(1, 2), (3, 4)])
    take(), take(), take()
    assert seen == [(1, 2), (3, 4), (1, 2)]


def test_a_difference_of_updates_is_relative_to_the_official_one():
    prompt, start = nn.Linear(1, 1), {"weight": torch.tensor([[1.0]]), "bias": torch.tensor([0.0])}
    prompt.load_state_dict({"weight": torch.tensor([[4.0]]), "bias": torch.tensor([4.0])})
    assert against_official.update(prompt, start).tolist() == [4, 3]
    found = against_official.relative(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]))
    assert found == pytest.approx(0.1)


def test_logits_are_compared_by_hand():
    reference = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    found = against_official.compared_logits(torch.tensor([[1.0, 3.5], [0.0, 0.5]]), reference)
    assert found["mean_difference"] == pytest.approx(3 / 4)
    assert found["largest_difference"] == 2 and found["same_class"] == 50
    assert found["scatter"] == pytest.approx((4 / 3) ** 0.5)


def test_a_race_of_two_precisions_is_told_in_words(race, monkeypatch):
    tiny = race("clip_micro", 2, BOTH)
    monkeypatch.setattr(against_official, "contest", lambda *_: tiny)
    monkeypatch.setattr(
        against_official, "CASES", (against_official.Case("clip_micro", 4, 3, 0.0),)
    )
    monkeypatch.setattr(against_official, "split_precisions", lambda device: (BOTH, {}))
    result = against_official.measure(quick=True, threads=1)
    assert [row["step"] for row in result["rows"]] == ["official", "fp32", "bf16"]
    assert len(result["goals"]) == 4 and result["goals"][0]["met"]
    assert set(result["accuracy"][0]) == {"task", "fp32", "bf16"}
    plain, rounded = result["rows"][1]["logits"], result["rows"][2]["logits"]
    assert plain["largest_difference"] == 0 < rounded["largest_difference"] < 1
    text = against_official.render(json.loads(json.dumps(result)))
    assert "| clip_micro, official | 4 | 3 | " in text and "| clip_micro, bf16 | " in text
    assert "No steps" not in text


def test_a_precision_that_is_only_imitated_takes_no_part(race, monkeypatch):
    tiny = race("clip_micro", 2)
    monkeypatch.setattr(against_official, "contest", lambda *_: tiny)
    monkeypatch.setattr(
        against_official, "CASES", (against_official.Case("clip_micro", 4, 3, 0.0),)
    )
    imitated = ["fp32"], {"bf16": 70.2}
    monkeypatch.setattr(against_official, "split_precisions", lambda device: imitated)
    monkeypatch.setattr(
        against_official, "trained_accuracy",
        lambda precisions, quick: [{"task": "a"} | dict.fromkeys(precisions, 50.0)],
    )  # fmt: skip
    result = against_official.measure(quick=True, threads=1)
    assert [goal["met"] for goal in result["goals"][2:]] == [False, False]
    text = against_official.render(json.loads(json.dumps(result)))
    assert "No steps in bf16: this processor only imitates it" in text and "70 times" in text
    assert text.count("not measured: **not met**") == 2
    assert "| clip_micro, a | 50.0 | 50.0 |" in text  # the numbers of an imitation are the same


def test_precisions_are_worth_a_step_or_told_with_their_slowness(monkeypatch):
    seconds = {"fp32": 2.0, "bf16": 8.0}
    monkeypatch.setattr(our_step, "product_seconds", lambda engine, _: seconds[engine.precision])
    monkeypatch.setattr(our_step, "usable", lambda device: ["fp32"])
    assert our_step.split_precisions(torch.device("cpu")) == (["fp32"], {"bf16": 4.0})
    monkeypatch.setattr(our_step, "usable", lambda device: ["fp32", "bf16"])
    assert our_step.split_precisions(torch.device("cpu")) == (["fp32", "bf16"], {})


# The limit


def shapes(products):
    """Returns the shapes of the operands of each product."""
    return [[tuple(each.shape) for each in product.operands[-2:]] for product in products]


@pytest.mark.parametrize("frozen", [True, False])
def test_the_products_of_linear_layers_are_those_of_both_directions(frozen):
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).requires_grad_(not frozen)
    prompt = torch.randn(7, 3, requires_grad=True)
    products = limit.collect(lambda: model(prompt).square().sum().backward())
    forward = [[(7, 3), (3, 5)], [(7, 5), (5, 2)]]
    to_input = [[(7, 2), (2, 5)], [(7, 5), (5, 3)]]
    to_weights = [[(2, 7), (7, 5)], [(5, 7), (7, 3)]]
    found = shapes(products)
    assert found[:2] == forward
    assert sorted(found[2:]) == sorted(to_input if frozen else to_input + to_weights)
    assert {product.kind for product in products} == {"linear layers"}
    operations = 2 * 7 * (3 * 5 + 5 * 2)
    assert limit.gigaflops(products) == pytest.approx((2 if frozen else 3) * operations / 1e9)


def test_the_products_of_a_frozen_convolution_do_not_go_to_its_weights():
    convolution = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    prompt = torch.randn(2, 3, 6, 6, requires_grad=True)
    products = limit.collect(lambda: convolution(prompt).square().sum().backward())
    assert [product.kind for product in products] == ["convolutions"] * 2
    assert limit.gigaflops(products) == pytest.approx(2 * 2 * (2 * 36 * 4 * 3 * 9) / 1e9)


def test_the_products_of_attention_are_two_forward_and_four_backward():
    torch.manual_seed(0)
    heads = [torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3)]
    found = []

    def attend():
        found.append(F.scaled_dot_product_attention(*heads, scale=1.0))
        found[0].square().sum().backward()

    products = limit.collect(attend)
    assert [product.kind for product in products] == ["attention"] * 6
    short, long = (6, 5, 4), (6, 5, 5)
    assert shapes(products) == [
        [short, (6, 4, 5)], [long, short],
        [long, short], [short, (6, 4, 5)], [long, short], [long, short],
    ]  # fmt: skip
    assert limit.gigaflops(products) == pytest.approx(6 * 2 * 6 * 5 * 5 * 4 / 1e9)
    torch.testing.assert_close(products[1]().view(2, 3, 5, 4), found[0].detach())
    torch.testing.assert_close(products[2]().view(2, 3, 5, 4), heads[2].grad)


def test_a_product_is_computed_again_with_its_options():
    bias, left, right = torch.ones(2, 2), torch.eye(2), torch.eye(2)
    (product,) = limit.collect(lambda: torch.addmm(bias, left, right, beta=0.5, alpha=3))
    assert product().tolist() == [[3.5, 0.5], [0.5, 3.5]]


def test_a_step_on_a_frozen_micro_clip_has_as_many_products_back_as_forth(micro):
    _, backbone = micro("clip_micro")
    task = known_task(4)
    step, train = OurStep(backbone, task, PADDING), task.splits["train"]
    products = limit.collect(lambda: step(train.images, train.labels))
    kinds = [product.kind for product in products]
    # One for patches, four in each of three layers, five in the last, where only the class token
    # asks, one to the common space, one for the logits.
    assert kinds.count("linear layers") == 2 * (1 + 3 * 4 + 5 + 1 + 1)
    assert kinds.count("attention") == 4 * 6
    tokens, width = 4 * 50, 96
    layers = 3 * tokens * 12 * width**2 + (tokens * 2 + 4 * 10) * width**2
    forward = 4 * 49 * 3 * 8 * 8 * width + layers + 4 * (width * 64 + 64 * 3)
    linear = [product for product in products if product.kind == "linear layers"]
    assert limit.gigaflops(linear) == pytest.approx(2 * 2 * forward / 1e9)


def test_the_share_of_the_limit_is_told_in_words(micro, monkeypatch):
    monkeypatch.setattr(limit, "random_backbone", lambda name: micro("clip_micro")[1])
    monkeypatch.setattr(limit, "official_recipe", lambda name: PADDING)
    monkeypatch.setattr(limit, "random_task", lambda side, count, classes: known_task(count))
    monkeypatch.setattr(limit, "CASES", {"clip_vit_b32": (32, 100)})
    monkeypatch.setattr(limit, "split_precisions", lambda device: (BOTH, {}))
    monkeypatch.setattr(limit, "SIDE", 32)
    result = limit.measure(quick=True, threads=1)
    row = result["rows"][0]
    assert (row["backbone"], row["precision"], row["batch"]) == ("clip_vit_b32", "fp32", 4)
    parts = {part["part"]: part for part in row["parts"]}
    assert list(parts) == ["step", "products", "square", "linear layers", "attention"]
    assert parts["square"]["gflop"] == pytest.approx(2 * 32**3 / 1e9)
    whole = parts["linear layers"]["gflop"] + parts["attention"]["gflop"]
    assert parts["step"]["gflop"] == parts["products"]["gflop"] == pytest.approx(whole)
    taken = result["rounds"]["clip_vit_b32 fp32"]
    assert row["share"] == timing.spread(timing.ratios(taken["products"], taken["step"]))
    assert [goal["limit"] for goal in result["goals"]] == [0.9]
    text = limit.render(json.loads(json.dumps(result)))
    assert "| clip_vit_b32, fp32 | 4 | 10 | " in text
    assert "| clip_vit_b32, bf16: linear layers | 40 | " in text


# The report


@pytest.fixture
def abacus(monkeypatch):
    """Gives the command line a benchmark `abacus`, which returns what it was called with."""
    module = SimpleNamespace(
        measure=lambda quick, threads: {"title": "Abacus", "rows": [quick, threads]},
        render=lambda result: f"beads: {result['rows']}",
    )
    monkeypatch.setitem(sys.modules, "abacus", module)
    monkeypatch.setattr(cli, "BENCHMARKS", {"abacus": "abacus"})
    monkeypatch.setattr(cli, "limit_threads", torch.set_num_threads)
    monkeypatch.setattr(report, "machine", lambda threads: MACHINE | {"threads": threads})


def test_the_command_writes_json_and_markdown(abacus, tmp_path, capsys):
    assert cli.main(["abacus", "--threads", "1", "--out", str(tmp_path / "speed")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'speed' / 'benchmarks.md'}\n"
    result = json.loads((tmp_path / "speed" / "benchmarks.json").read_text())["abacus"]
    assert result["rows"] == [False, 1] and result["machine"]["processor"] == "Abacus 3000"
    text = (tmp_path / "speed" / "benchmarks.md").read_text()
    assert "## Abacus\n" in text and "beads: [False, 1]" in text
    assert "Abacus 3000, 1 of 8 processors, BEADS" in text and "no measurement" not in text


def test_a_quick_look_says_that_it_is_no_measurement(abacus, tmp_path):
    assert cli.main(["--quick", "--threads", "1", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "benchmarks.md").read_text()
    assert "beads: [True, 1]" in text and "no measurement" in text


def test_results_of_other_benchmarks_stay_and_those_of_the_same_name_go(tmp_path):
    def result(title):
        return {"title": title, "machine": MACHINE, "quick": False}

    report.add(tmp_path, "one", result("First"), "old")
    report.add(tmp_path, "two", result("Second"), "kept")
    report.add(tmp_path, "one", result("First"), "new")
    text = (tmp_path / "benchmarks.md").read_text()
    assert "old" not in text and text.index("## First") < text.index("new") < text.index("kept")
    assert set(report.read(tmp_path)) == {"one", "two"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["abakus"], "no benchmark 'abakus'; choose of: abacus"),
        (["--threads", "0"], "--threads 0: choose 1 or more"),
    ],
)
def test_a_mistake_is_one_line(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "BENCHMARKS", {"abacus": "abacus"})
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"benchmarks: {line}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{", "[]", '{"official": 3}'])
def test_a_file_that_is_not_ours_is_not_written_over(text, abacus, tmp_path, capsys):
    (tmp_path / "benchmarks.json").write_text(text)
    line = refused(UserError, report.read, tmp_path)
    assert "benchmarks.json is not a file of benchmarks: move it away" in line
    assert cli.main(["--threads", "1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"benchmarks: {line}\n"
    assert (tmp_path / "benchmarks.json").read_text() == text


@pytest.mark.parametrize("name", cli.BENCHMARKS)
def test_every_benchmark_can_measure_and_render(name):
    __import__(cli.BENCHMARKS[name])
    module = sys.modules[cli.BENCHMARKS[name]]
    assert callable(module.measure) and callable(module.render)


@pytest.mark.parametrize(
    ("value", "at_most", "words"),
    [
        (6, False, "at least 6, reached 6: met"),
        (5, False, "at least 6, reached 5: **not met**"),
        (5, True, "at most 6, reached 5: met"),
        (None, True, "at most 6, not measured: **not met**"),
    ],
)
def test_a_goal_is_met_or_not(value, at_most, words):
    assert report.goals([report.goal("steps", value, 6, at_most)]) == f"- steps: {words}"


def test_numbers_are_told_with_their_range():
    assert (
        report.ranged({"median": 0.5, "low": 0.25, "high": 0.75}, 1, 100) == "50.0 (25.0 to 75.0)"
    )
    assert report.table(["a", "b"], [["x", 1]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_the_processor_is_called_by_its_name(tmp_path):
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: Abacus 3000\nprocessor\t: 1\n")
    assert report.processor(facts) == "Abacus 3000"
    assert report.processor(tmp_path / "nothing")
