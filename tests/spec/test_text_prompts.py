import importlib
import unicodedata
from types import SimpleNamespace

import pytest
import torch

from tests.helpers.messages import complains
from tests.helpers.tiny import TWINS, numbered_task
from vpbench.lab.tokenizer import CONTEXT_LENGTH, Tokenizer, collect_words, split_words
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.models.hub_backbones import tokenizer
from vpbench.spec.class_names import read_manifest
from vpbench.spec.tasks import TASKS
from vpbench.spec.text_prompts import coop_class_name, refine_class_name, text_prompts, worded


def test_class_names_are_lowered_and_underscores_and_hyphens_become_spaces():
    assert refine_class_name("Annual_Crop-Land") == "annual crop land"


def test_the_family_of_coop_keeps_hyphens():
    assert coop_class_name("Hard-leaved_Pocket orchid") == "hard-leaved pocket orchid"
    prompts = text_prompts("a photo of a {}.", ("Globe-flower",), coop_class_name)
    assert prompts == ["a photo of a globe-flower."]


@pytest.mark.parametrize(("name", "count"), [("flowers102", 6), ("dtd", 1), ("oxfordpets", 0)])
def test_so_many_names_are_read_otherwise_by_the_family_of_coop(name, count):
    names = read_manifest(name)
    assert sum(coop_class_name(one) != refine_class_name(one) for one in names) == count


def test_a_text_prompt_has_the_class_name_in_place_of_the_braces():
    prompts = text_prompts("This is a photo of a {}", ("Sea_or_Lake", "Forest"))
    assert prompts == ["This is a photo of a sea or lake", "This is a photo of a forest"]


@pytest.mark.parametrize("template", ["This is a photo", "a {} or a {}", ""])
def test_a_text_prompt_needs_the_braces_exactly_once(template):
    with complains(ValueError, repr(template), "{}", "exactly once"):
        text_prompts(template, ("cat",))


def test_other_braces_in_a_text_prompt_are_ordinary_letters():
    assert text_prompts("{x} {} {", ("cat",)) == ["{x} cat {"]


def test_a_text_becomes_start_its_words_end_and_zeros():
    tokenize = Tokenizer(["a", "cat", "dog"])  # tokens 1, 2, 3; start 4, end 5
    assert tokenize(["A dog!", "cat"])[:, :5].tolist() == [[4, 1, 3, 5, 0], [4, 2, 5, 0, 0]]
    assert tokenize(["cat"]).shape == (1, CONTEXT_LENGTH)


def test_words_out_of_the_vocabulary_are_listed_without_the_known_ones(clip):
    with complains(ValueError, "not know the words: quartz, zeppelin;", "clip_micro.words.txt"):
        clip.text_features(["This is a photo of a zeppelin", "a cat of Quartz", "a zeppelin"])


@pytest.mark.parametrize("word", ["Бабочка", "猫", "हाथी", "naïve", "cafe\u0301"])
def test_words_of_other_scripts_are_unknown_and_shown_whole(clip, word):
    with complains(ValueError, unicodedata.normalize("NFC", word.lower())):
        clip.text_features([f"This is a photo of a {word}"])


@pytest.mark.parametrize("method", ["class_features", "class_tokens"])
def test_two_classes_that_the_micro_clip_reads_as_the_same_text_are_refused(clip, method):
    texts = ["a photo of a cat", "a photo of a dog", "a photo of a cat!"]
    with complains(ValueError, "clip_micro", "same text", repr(texts[0]), repr(texts[2]), "rename"):
        getattr(clip, method)(texts)
    assert len(getattr(clip, method)([texts[0], texts[1], texts[0]])) == 3  # equal on purpose


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Sea Lion", "sea lion", True),  # of byte pairs, in lower case
        ("a " * 90 + "cat", "a " * 90 + "dog", True),  # beyond its 77 tokens
        ("sea lion", "sea lions", False),
        ("Бабочка", "собака", False),  # it reads any script
        ("猫", "狗", False),
    ],
)
def test_two_classes_that_clip_reads_as_the_same_text_are_refused(one, other, same):
    clip = SimpleNamespace(name="clip_vit_b32", tokenize=tokenizer("clip_vit_b32"))
    texts = [f"a photo of a {one}", f"a photo of a {other}"]
    if same:
        with complains(ValueError, *map(repr, texts)):
            VisionLanguageBackbone.class_tokens(clip, texts)
    else:
        assert VisionLanguageBackbone.class_tokens(clip, texts).shape == (2, 77)


def test_embeddings_of_one_text_are_equal_but_for_the_last_bits():
    rows = torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.6 + 1e-7, 0.8]])
    words = SimpleNamespace(name="lite0_minilm", tokenize=lambda texts: rows[: len(texts)])
    assert len(VisionLanguageBackbone.class_tokens(words, ["猫", "a dog"])) == 2
    with complains(ValueError, "'猫'", "'狗'"):
        VisionLanguageBackbone.class_tokens(words, ["猫", "a dog", "狗"])


def test_a_text_of_too_many_words_is_refused():
    tokenize = Tokenizer(["a"])
    assert tokenize([" ".join("a" * (CONTEXT_LENGTH - 2))]).count_nonzero() == CONTEXT_LENGTH
    with complains(ValueError, "15 words", "micro-CLIP", "at most 14"):
        tokenize([" ".join("a" * (CONTEXT_LENGTH - 1))])


@pytest.mark.parametrize("name", TWINS)
def test_the_micro_clip_can_read_and_tell_apart_the_classes_of_every_twin(clip, name):
    entry = TASKS[name]
    names = importlib.import_module(entry.module).CLASS_NAMES
    tokens = clip.tokenize(text_prompts(entry.template, names))
    assert len(tokens.unique(dim=0)) == len(names)


def test_the_vocabulary_is_sorted_and_holds_each_word_once():
    words = collect_words()
    assert words and words == sorted(set(words))
    assert all(split_words(word) == [word] for word in words)


def test_a_task_is_worded_as_the_settings_say():
    task = numbered_task({"train": 3})
    own = worded(task, {"text_prompt": None, "class_names": None})
    assert (own.template, own.class_names) == (task.template, task.class_names)
    other = worded(task, {"text_prompt": "one {}", "class_names": ["x", "y", "z"]})
    assert text_prompts(other.template, other.class_names) == ["one x", "one y", "one z"]


def test_class_names_of_another_number_are_refused():
    task = numbered_task({"train": 3})
    with complains(ValueError, "class_names", "2 names", "numbered", "3 classes"):
        worded(task, {"text_prompt": None, "class_names": ["x", "y"]})
