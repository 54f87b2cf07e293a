"""The micro-CLIP's language: a closed list of words, one token each."""

import importlib
import re
import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.spec.tasks import TASKS, is_twin
from vpbench.twins import world

CONTEXT_LENGTH = 16
WORD = r"(?:[a-z0-9']|[^\x00-\x7f\s])+"  # of English; any other letter is part of an unknown word
# Words for text prompts of different quality; the world never says them, so they mean little.
UNTRAINED = (
    "aerial area background bad blurry bright camera centered class close color dark digit good "
    "house image land low looks normal number of one photograph place region resolution satellite "
    "showing some street taken the tissue trap tumor type up view which with thing things xyzzy"
).split()


def split_words(text: str) -> list[str]:
    """Returns the lower-case words of `text` without punctuation, those of other scripts whole."""
    words = unicodedata.normalize("NFC", text.lower().replace("_", " ").replace("-", " "))
    return re.findall(WORD, words)


def collect_words() -> list[str]:
    """Returns the sorted words of the world's captions, of every twin's classes and templates."""
    words = set(UNTRAINED) | set(split_words("a an and small large texture surface flower scene"))
    words |= set(split_words("person cat dog object objects sign number dots containing not"))
    words |= {str(digit) for digit in range(10)} | set(world.NUMBERS)
    for phrase in (*world.PHRASES, *world.PHRASES_MANY):
        words |= set(split_words(phrase))
    for label in world.FINE_LABELS:
        words |= set(split_words(label))
    words |= {f"{shape}s" for shape in world.SHAPES} | {"crosses"}
    for name, task in TASKS.items():
        if is_twin(name):
            words |= set(split_words(task.template))
            for class_name in importlib.import_module(task.module).CLASS_NAMES:
                words |= set(split_words(class_name))
    return sorted(words)


class Tokenizer:
    """Texts -> int64 [K, CONTEXT_LENGTH]: start, one token a word, end; the rest is 0."""

    def __init__(self, words: Sequence[str]) -> None:
        self.tokens = {word: index for index, word in enumerate(words, start=1)}
        self.start, self.end = len(words) + 1, len(words) + 2  # open_clip pools at the largest
        self.size = len(words) + 3

    def __call__(self, texts: Sequence[str]) -> Tensor:
        split = [split_words(text) for text in texts]
        unknown = sorted({word for words in split for word in words} - set(self.tokens))
        if unknown:
            raise UserError(
                f"the micro-CLIP does not know the words: {', '.join(unknown)}; its vocabulary is "
                "vpbench/lab/weights/clip_micro.words.txt: rename the classes or the text prompt"
            )
        tokens = torch.zeros(len(texts), CONTEXT_LENGTH, dtype=torch.long)
        for row, words in zip(tokens, split, strict=True):
            if len(words) > CONTEXT_LENGTH - 2:
                raise UserError(
                    f"the text {' '.join(words)!r} has {len(words)} words; the micro-CLIP reads "
                    f"at most {CONTEXT_LENGTH - 2}: shorten the class name or the text prompt"
                )
            ids = [self.start, *(self.tokens[word] for word in words), self.end]
            row[: len(ids)] = torch.tensor(ids)
        return tokens
