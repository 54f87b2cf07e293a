"""The one optimisation loop that prompts and fine-tuning share, and the choice of an epoch."""

import copy
import math

import torch
import torch.nn.functional as F
from tqdm import tqdm

from vpbench.evaluate import evaluate
from vpbench.schedules import cosine_with_warm_up, warm_up_length


def optimise(module, classifier, optimiser, task, settings, generator, description):
    """Trains `module` through `classifier` and returns (history, selection).

    `classifier` maps uint8 images to logits and uses `module`. history has one dict per epoch;
    selection maps last, best_validation and best_test to (epoch, state of the module, evaluation
    per split). Ties go to the earlier epoch. Raises ValueError if the loss is not finite.
    """
    train, classes = task.splits["train"], len(task.class_names)
    per_epoch = math.ceil(len(train) / settings["batch_size"])
    steps, step = per_epoch * settings["epochs"], 0
    warm_up = warm_up_length(settings, steps)
    wanted = {epoch for epoch in settings["evaluate_at"] if epoch < settings["epochs"]}
    wanted.add(settings["epochs"])
    history, kept = [], []
    progress = tqdm(total=steps, desc=description, mininterval=5)

    def check(value, kind):
        if not math.isfinite(value):
            progress.close()  # the message gets a line of its own
            raise ValueError(
                f"{description}: the {kind} loss is {value} after {step} of {steps} steps; "
                "choose a smaller lr"
            )

    for epoch in range(1, settings["epochs"] + 1):
        module.train()
        total_loss, correct = 0.0, 0
        order = torch.randperm(len(train), generator=generator)
        for index in order.split(settings["batch_size"]):
            for group in optimiser.param_groups:
                group["lr"] = cosine_with_warm_up(step, steps, settings["lr"], warm_up)
            logits = classifier(train.images[index])
            labels = train.labels[index].to(logits.device)
            loss = F.cross_entropy(logits, labels)
            check(loss.item(), "training")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total_loss += loss.item() * len(index)
            correct += (logits.argmax(1) == labels).sum().item()
            step += 1
            progress.update()
        line = {
            "epoch": epoch,
            "loss": total_loss / len(train),
            "train_accuracy": 100 * correct / len(train),
            "validation_accuracy": None,
            "test_accuracy": None,
        }
        if epoch in wanted:
            module.eval()
            evaluations = evaluate_splits(classifier, task, classes)
            for name, evaluation in evaluations.items():
                check(evaluation.metrics["nll"], name)
                line[f"{name}_accuracy"] = evaluation.metrics["accuracy"]
            kept.append((epoch, copy.deepcopy(module.state_dict()), evaluations))
        history.append(line)
    progress.close()
    module.eval()
    return history, select(kept)


def evaluate_splits(classifier, task, classes):
    """Returns split name -> Evaluation for the validation (if the task has one) and test splits."""
    return {
        name: evaluate(classifier, task.splits[name], classes)
        for name in ("validation", "test")
        if name in task.splits
    }


def select(kept):
    """Returns the kept (epoch, state, evaluations) that is last, best_validation and best_test."""

    def best(name):
        if name not in kept[-1][2]:
            return kept[-1]
        return max(kept, key=lambda entry: (entry[2][name].metrics["accuracy"], -entry[0]))

    return {
        "last": kept[-1],
        "best_validation": best("validation"),
        "best_test": best("test"),
    }
