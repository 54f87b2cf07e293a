import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

from tests.helpers.tiny import COOP
from vpbench.data.task import Task
from vpbench.methods.coop import LearnedContext, fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.token import ClassTexts, initial_context
from vpbench.spec.preprocessing import Preprocessing

NAMES = ("Forest", "permanent_crop land", "2012 BMW M3", "giant  hyperspectral-ibex")
START, END = 49406, 49407


@pytest.fixture(scope="module")
def small():
    """Returns a very small CLIP, untrained, with the tokenizer of the real ones."""
    torch.manual_seed(0)
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=16, heads=2, layers=2)
    vision = CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=8, image_size=16)
    return VisionLanguageBackbone(
        "clip_vit_b32", CLIP(8, vision, text), tokenize=open_clip.get_tokenizer("ViT-B-32"),
        preprocessing=Preprocessing(16, 16), mean=(0.5,) * 3, std=(0.5,) * 3,
        weights_hash="0" * 64,
    )  # fmt: skip


def named(*names):
    """Returns a task without images whose classes have these names."""
    return Task("named", "Named", names, "a {}", {})


def parts_of(texts, number):
    """Returns (tokens without those of the context, places of these) of a text, to its end."""
    end, places = int(texts.ends[number]), texts.places[number].tolist()
    tokens = texts.tokens[number, : end + 1].tolist()
    return [token for place, token in enumerate(tokens) if place not in places], places


@pytest.mark.parametrize("count", [4, 16])
def test_a_text_is_start_context_name_full_stop_and_end(small, count):
    texts = ClassTexts(small, named(*NAMES), count)
    words = ["forest", "permanent crop land", "2012 bmw m3", "giant hyperspectral-ibex"]
    for number, name in enumerate(words):
        own, places = parts_of(texts, number)
        expected = small.tokenize.encode(name) + small.tokenize.encode(".")
        assert own == [START, *expected, END]
        assert places == list(range(1, count + 1))
        assert texts.ends[number] == count + len(expected) + 1
    assert texts.tokens.shape[1] == texts.ends.max() + 1  # nothing is computed after the longest


def test_the_name_may_be_in_the_middle_or_at_the_front(small):
    forest = small.tokenize.encode("permanent crop land")
    middle = ClassTexts(small, named("permanent crop land"), 5, "middle")
    assert middle.tokens[0, 3:-5].tolist() == forest
    assert parts_of(middle, 0)[1] == [1, 2, 6, 7, 8]
    front = ClassTexts(small, named("permanent crop land"), 5, "front")
    assert front.tokens[0, 1:4].tolist() == forest
    assert parts_of(front, 0)[1] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("place", "text"),
    [("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a.")],
)
@pytest.mark.parametrize("which", ["small", "clip"])
def test_a_context_of_words_gives_the_features_of_the_text(which, place, text, request, task):
    backbone = request.getfixturevalue(which)
    names = [name.lower() for name in task.class_names]
    texts = ClassTexts(backbone, task, 4, place)
    found = texts.features(initial_context(backbone, 4, "a photo of a"))
    expected = backbone.text_features([text.replace("{}", name) for name in names])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_context_of_words_is_where_training_starts(clip, task):
    images = task.splits["test"].images[:5]
    x = clip.normalize(clip.scale_pixels(images))
    texts = clip.text_features([f"a photo of a {name.lower()}." for name in task.class_names])
    unit = torch.nn.functional.normalize(clip.features(x), dim=-1)
    found = LearnedContext(clip, task, COOP)(images)
    torch.testing.assert_close(found, clip.logit_scale * unit @ texts.t(), atol=1e-3, rtol=1e-4)


def test_a_context_of_its_own_changes_the_class_it_belongs_to_and_no_other(clip, task):
    texts = ClassTexts(clip, task, 4)
    context = initial_context(clip, 4, "a photo of a", copies=10)
    before = texts.features(context)
    torch.testing.assert_close(before, texts.features(context[0]))
    context[3, :, ::2] += 0.1
    changed = (texts.features(context) - before).abs().sum(1) > 1e-3
    assert changed.nonzero().flatten().tolist() == [3]


def test_a_context_for_each_class_has_as_many_parameters_as_classes(clip, task):
    found = fit(clip, task, COOP | {"class_specific": True, "epochs": 1}, seed=0)
    assert found.trained_parameters == 10 * 4 * 64
    assert found.selection["last"][1]["context"].shape == (10, 4, 64)


def test_a_context_without_words_starts_at_random(clip):
    torch.manual_seed(0)
    context = initial_context(clip, 200, None)
    assert context.std() == pytest.approx(0.02, rel=0.05) and abs(context.mean()) < 0.001


def test_as_many_tokens_as_there_is_room_for_are_taken_and_no_more(clip, small):
    two = named("dog", "loxodonta africana")
    assert ClassTexts(clip, two, 12).ends.tolist() == [14, 15]  # of places 0 to 15
    with pytest.raises(ValueError) as error:
        ClassTexts(clip, two, 13)
    assert str(error.value) == (
        "13 context tokens and the class 'loxodonta africana' of named are more than clip_micro "
        "reads, 16 tokens with start and end; take at most 12"
    )
    assert ClassTexts(small, two, 68).ends.max() == 76
    with pytest.raises(
        ValueError, match="16 context tokens and the class 'word word .*shorter name"
    ):
        ClassTexts(small, named("word " * 80), 16)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("a photo", "'a photo' is 2 tokens of clip_micro, but context_tokens is 4; give 2, or"),
        ("a fotograph of a", "the micro-CLIP does not know the words: fotograph;"),
    ],
)
def test_words_that_are_not_the_context_are_refused(clip, task, words, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit(clip, task, COOP | {"context_words": words}, seed=0)
