"""What config/paper.yaml says against what the paper, its code and its author say."""

import math
import resource
import subprocess

import pytest

from analysis.common import published
from tests.helpers.checkout import command, environment, planned_jobs, read_config
from vpbench.experiment import plan
from vpbench.models import hub_backbones
from vpbench.spec import class_names
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.grid import expand, sliced
from vpbench.spec.tasks import SPLITS, TASKS

MODELS = ("clip_vit_b32", "instagram_32x8d", "bit_m_r50x1", "rn50")  # Table 3
FIGURE_9 = {  # A.1: model -> its architectures, in our names
    "clip": {"clip_vit_b32", "clip_vit_b16", "clip_rn50", "clip_rn101"},
    "instagram": {"instagram_32x8d", "instagram_32x16d"},
    "bit_m": {"bit_m_r50x1", "bit_m_r101x1", "bit_m_r50x3", "bit_m_r101x3"},
    "rn50": {"rn18", "rn50", "rn101", "rn152"},
}
PROMPTS = [  # backbone, setting, value, where it is stated
    ("clip_vit_b32", "lr", 40, "section 3.4"),
    ("clip_vit_b32", "momentum", 0.9, "main_clip.py, --momentum"),
    ("clip_vit_b32", "epochs", 1000, "section 3.4"),
    ("clip_vit_b32", "warm_up_steps", 1000, "main_clip.py, --warmup"),
    ("clip_vit_b32", "batch_size", 256, "section 3.4"),
    ("clip_vit_b32", "template", "padding", "section 3.4"),
    ("clip_vit_b32", "size", 30, "section 3.4"),
    ("clip_vit_b32", "init", "normal", "models/prompters.py: torch.randn"),
    ("clip_vit_b32", "prompt_space", "normalized", "main_clip.py: prompter after preprocess"),
    ("clip_vit_b32", "label_map", "text", "section 3.3"),
    ("clip_vit_b32", "position_range", "official", "models/prompters.py: np.random.choice(range)"),
    ("clip_vit_b32", "test_position", "random", "models/prompters.py: drawn in each forward"),
    ("clip_vit_b32", "eval_epochs", 1, "main_clip.py: validate() after every epoch"),
    ("instagram_32x8d", "batch_size", 32, "section 3.4"),
    ("bit_m_r50x1", "batch_size", 128, "section 3.4"),
    ("rn50", "batch_size", 128, "section 3.4"),
    ("rn50", "label_map", "hard_coded", "section 3.3"),
    ("rn50", "source_classes", None, "main_vision.py: indices = range(classes)"),
    ("rn50", "lr", 40, "section 3.4"),
    ("rn50", "epochs", 1000, "section 3.4"),
]
TUNES = [  # open_clip at adbf326, src/training/params.py and main.py
    ("clip_vit_b32", "lr", 5e-4),
    ("clip_vit_b32", "betas", [0.9, 0.98]),
    ("clip_vit_b32", "eps", 1e-6),
    ("clip_vit_b32", "weight_decay", 0.2),
    ("clip_vit_b32", "decay_gains_and_biases", False),
    ("clip_vit_b32", "warm_up_steps", 10_000),
    ("clip_vit_b32", "batch_size", 64),
    ("clip_vit_b32", "epochs", 32),
    ("clip_rn50", "betas", [0.9, 0.999]),
    ("clip_rn50", "eps", 1e-8),
]
TEXTS = ("eurosat", "clip_vit_b32")


@pytest.fixture(scope="module")
def paper():
    """Returns the configuration of the paper."""
    return read_config("paper")


@pytest.fixture(scope="module")
def runs(paper):
    """Returns the specs of the paper."""
    return list(expand(paper, "paper").specs.values())


def settings(runs, method, backbone):
    """Returns the settings of the recipe, which all datasets share."""
    own = [
        run["settings"]
        for run in runs
        if (run["method"], run["backbone"], run["variant"]) == (method, backbone, "default")
    ]
    assert all(each == own[0] for each in own)
    return own[0]


def in_block(paper, name):
    """Returns the specs of a block of the grid."""
    return list(expand(paper, "paper").blocks[name].values())


@pytest.mark.parametrize(("backbone", "setting", "value", "source"), PROMPTS)
def test_the_prompt_is_learned_as_the_paper_and_its_code_say(
    runs, backbone, setting, value, source
):
    assert settings(runs, "visual_prompt", backbone)[setting] == value, source


def test_the_probe_is_the_one_of_the_readme_of_clip_that_the_author_names(runs):
    for backbone in MODELS:
        probe = settings(runs, "linear_probe", backbone)
        assert probe == {"C": [0.316], "max_iter": 1000, "standardize": False}


@pytest.mark.parametrize(("backbone", "setting", "value"), TUNES)
def test_fine_tuning_has_the_defaults_of_open_clip_that_the_author_names(
    runs, backbone, setting, value
):
    assert settings(runs, "fine_tune", backbone)[setting] == value


def test_text_prompts_are_those_of_table_6(runs):
    assert settings(runs, "text_prompt", "clip_vit_b32") == {
        "text_prompt": None,
        "class_names": None,
    }
    printed = published.table(6)
    ours = {name: TASKS[name].template for name in printed.task}
    assert ours == dict(zip(printed.task, printed.template))


def test_the_main_block_is_every_cell_of_the_published_tables(paper):
    cells = {
        (BACKBONES[run["backbone"]].role, run["method"], run["task"])
        for run in in_block(paper, "main")
    }
    stated = {key for key in published.accuracies(1, 2, 4, 5) if key[2] != "average"}
    assert cells == stated


def test_every_image_of_table_6_is_used(paper, runs):
    assert paper["tasks"] == list(published.table(6).task)
    for run in runs:
        counts = [run["data"][split] for split in SPLITS]
        assert counts == [None, None, None]


def test_only_images_that_have_one_size_are_kept_at_it(runs):
    native = {run["task"] for run in runs if run["data"]["resolution"] == "native"}
    assert native == {"camelyon17"}
    assert FACTS["camelyon17"].native_size == 96


def test_figure_9_has_its_fourteen_architectures(paper):
    wanted = expand(paper, "paper")
    shown = sliced(wanted, paper["analyses"]["ablation_architecture"])
    found = {}
    for run in shown:
        assert run["task"] == "cifar100"
        assert run["variant"] == "default"
        found.setdefault(BACKBONES[run["backbone"]].role, set()).add(run["backbone"])
    assert found == FIGURE_9
    assert len(shown) == 14 * 3  # VP, LP and FT


def test_the_grid_is_476_runs(runs):
    main = 15 * (4 + 3 * 3)  # CLIP has text prompts too
    tuned = 15 * 4 * 3
    architectures, zero_head = 10 * 3, 1
    sizes, pixels = 11 + 12 + 12, 2
    texts, mappings, readings = 13 * 2, 3, 2 * 2
    designs = sizes + pixels + texts + mappings + readings
    assert len(runs) == main + tuned + architectures + zero_head + designs == 476


@pytest.mark.parametrize(
    ("block", "template", "largest"),
    [
        ("padding_size", "padding", 112),  # two borders fill 224 pixels
        ("fixed_patch_size", "fixed_patch", 224),
        ("random_patch_size", "random_patch", 223),  # the code's range is empty at 224
    ],
)
def test_twelve_sizes_are_spread_by_their_logarithm(paper, runs, block, template, largest):
    sizes = {run["settings"]["size"] for run in in_block(paper, block)}
    assert {run["settings"]["template"] for run in in_block(paper, block)} == {template}
    if template == "padding":
        sizes.add(settings(runs, "visual_prompt", "clip_vit_b32")["size"])
    assert len(sizes) == 12
    even = [largest ** (step / 11) for step in range(12)]
    for size, expected in zip(sorted(sizes), even, strict=True):
        assert abs(size - expected) < 1


def test_a_design_differs_from_the_recipe_only_in_template_size_and_rate(paper, runs):
    recipe = settings(runs, "visual_prompt", "clip_vit_b32")
    for block in ("padding_size", "fixed_patch_size", "random_patch_size", "single_pixel"):
        designs = in_block(paper, block)
        assert {(run["task"], run["backbone"]) for run in designs} == {TEXTS}
        for run in designs:
            changed = {key for key, value in run["settings"].items() if value != recipe[key]}
            assert changed <= {"template", "size", "lr"}


def test_a_dozen_texts_and_more_are_said_to_clip_about_eurosat(paper, runs):
    shown = sliced(expand(paper, "paper"), paper["analyses"]["text_prompt_quality"])
    words = {}
    for run in shown:
        said = run["settings"]["text_prompt"], str(run["settings"]["class_names"])
        words.setdefault(said, set()).add(run["method"])
        names = run["settings"]["class_names"]
        if isinstance(names, list):
            assert len(set(names)) == 10
        if run["settings"]["text_prompt"]:
            assert run["settings"]["text_prompt"].count("{}") == 1
    assert len(words) >= 12
    assert set(map(frozenset, words.values())) == {frozenset(["text_prompt", "visual_prompt"])}


def test_lists_of_class_names_are_there_and_as_long_as_the_dataset_has_classes(runs):
    named = {
        (run["task"], run["settings"]["class_names"])
        for run in runs
        if isinstance(run["settings"].get("class_names"), str)
    }
    assert {task for task, _ in named} == {"svhn", "eurosat", "iwildcam"}
    for task, name in named:
        assert len(class_names.read_manifest(name)) == FACTS[task].classes


def test_the_source_classes_of_cats_and_dogs_are_classes_of_rn50(paper):
    known = hub_backbones.source_classes(1000)
    by_variant = {
        run["variant"]: run["settings"]["source_classes"]
        for run in in_block(paper, "label_mapping")
    }
    semantic, swapped = by_variant["semantic"], by_variant["swapped"]
    assert {*semantic} <= {*known}
    assert semantic == swapped[::-1]
    names = class_names.read_manifest("cats_dogs")
    assert list(names) == ["cat", "dog"]
    assert semantic[1] == "Chihuahua"  # section 6.3 says so of the dog
    assert by_variant["arbitrary"] is None


def test_the_head_of_zeros_is_a_contrast_outside_of_every_table(paper):
    wanted = expand(paper, "paper")
    assert "bit_m_r50x1_zero_head" in {run["backbone"] for run in wanted.specs.values()}
    tables = {name: sliced(wanted, slice_) for name, slice_ in paper["analyses"].items()}
    assert tables["table1"]
    for name, runs in tables.items():
        assert "bit_m_r50x1_zero_head" not in {run["backbone"] for run in runs}, name


@pytest.mark.parametrize("name", ["paper", "paper-fast"])
def test_every_analysis_of_the_lab_is_made_of_the_paper_too(name):
    made = read_config(name)["analyses"]
    assert set(read_config("lab")["analyses"]) <= set(made)


@pytest.mark.parametrize("name", ["paper", "paper-fast"])
def test_dataset_properties_are_those_of_section_6_1(name):
    measured = read_config(name)["measurements"]["dataset_properties"]["settings"]
    assert measured["extractor"] == "inception_v3" and measured["diversity"] == "lpips_alex"
    assert measured["reference_images"] == 100_000


def test_the_fast_paper_has_the_cells_of_the_paper_and_differs_in_training_only(paper):
    fast = read_config("paper-fast")
    for key in ("data", "task_data", "engine", "tasks", "backbones", "variants"):
        assert fast[key] == paper[key]
    free = {"epochs", "warm_up", "warm_up_steps", "eval_epochs", "lr", "weight_decay", "betas"}
    free |= {"eps"}

    def cells(config):
        wanted = expand(config, "")
        return {
            tuple(run[key] for key in ("task", "backbone", "method", "variant", "seed")): run
            for run in wanted.specs.values()
        }

    slow, quick = cells(paper), cells(fast)
    tried = {key for key in quick if key[3].startswith("fast_")}
    assert len(tried) == len(fast["grid"]["fast"]["sweep"]["lr"]) * 2
    quick = {key: run for key, run in quick.items() if key not in tried}
    tuned = {key for key in slow if key[3].startswith("fine_tune_tuned")}
    assert quick.keys() == slow.keys() - tuned
    for key, run in quick.items():
        other = slow[key]["settings"]
        changed = {name for name, value in run["settings"].items() if value != other[name]}
        assert changed <= (free if key[2] == "fine_tune" else free - {"lr"})
    steps = [
        run["settings"]["epochs"] * math.ceil(FACTS[run["task"]].sizes["train"] / 256)
        for key, run in quick.items()
        if key[1:3] == ("clip_vit_b32", "visual_prompt")
    ]
    assert (min(steps), max(steps)) == (2_400, 14_350)  # as its first lines say


def test_the_whole_paper_is_planned_in_ten_seconds_and_in_as_many_jobs_as_the_plan_says(
    paper, suite
):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    planned = command("--dry-run", "--configfile", "config/paper.yaml", "--", "all")
    done = subprocess.run(
        planned, cwd=suite, env=environment(), check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of a processor, not of the clock: other work on this machine is no matter.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 10
    assert planned_jobs(done.stdout) == plan.jobs(expand(paper, "paper"))
