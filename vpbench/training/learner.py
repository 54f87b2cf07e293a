"""What a trainer trains."""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn

from vpbench.training.evaluate import Around


class Learner(nn.Module):
    """A classifier, uint8 images [N, H, W, C] to logits [N, K]; a `Trainer` trains its parameters.

    Two things happen to it beside its steps; both are left out where nothing is due.
    """

    def one_draw(self) -> AbstractContextManager[object]:
        """Returns the context of a batch: passes in it share what is drawn at random."""
        return nullcontext()

    def begin_epoch(self, epoch: int, images: Tensor, labels: Tensor, around: Around) -> None:
        """Counts what is counted anew for an epoch, the first being 1, from all training images.

        `around` gives the context of each batch of them; an evaluation has the same.
        """
