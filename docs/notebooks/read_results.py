# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reading a finished run
#
# A run of the workflow leaves records: a JSON file per training, and beside it the prediction for
# every test image. Tables and figures are made of these alone. So can yours be, with pandas.
#
# The environment variable `VPBENCH_RESULTS` says which `results` folder is read. Without it this
# notebook **makes a tiny run itself**, in half a minute. It does so in a copy of your clone of
# the suite, so that it touches no results of yours. Its numbers mean little: few images, short
# training, one seed.

# %%
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import vpbench

CONFIGURATION = """
schema: 2
scale: first_look
kind: twins
granularity: per_task
tasks_per_job: 3
data: {train: 400, validation: 100, test: 300, resolution: backbone}
tasks: [eurosat_twin, svhn_twin, dtd_twin]
backbones: [clip_micro]
recipes:
  text_prompt: {}
  visual_prompt:
    clip_micro: {size: 7, lr: 10, batch_size: 16, epochs: 8, warm_up: 0.05, label_map: text}
  linear_probe: {every_backbone: {C: [0.01, 0.1, 1], standardize: true}}
grid: {main: {methods: [text_prompt, visual_prompt, linear_probe], seeds: [0]}}
analyses: {table_accuracy: {}}
"""


def tiny_run(folder):
    """Returns the results of a tiny run in a copy of the suite."""
    suite = Path(vpbench.__file__).parents[1]
    for part in ("Snakefile", "analysis", "config", "environment.yml", "profiles", "workflow"):
        copy = shutil.copytree if (suite / part).is_dir() else shutil.copy
        copy(suite / part, folder / part)
    shutil.copytree(suite / "vpbench", folder / "vpbench")
    (folder / "tiny.yaml").write_text(CONFIGURATION)
    command = "snakemake --cores 2 --quiet all --configfile tiny.yaml -- results/table_accuracy.csv"
    subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True)
    return folder / "results"


given = os.environ.get("VPBENCH_RESULTS")
if given:
    results = Path(given)
else:
    Path("suite").mkdir()
    results = tiny_run(Path("suite"))

# %% [markdown]
# ## Where things are
#
# `runs/SCALE/TASK/BACKBONE/METHOD/VARIANT/seedN.json` is a record. Its `spec` says exactly what
# was asked for. What a folder like this holds is told by `results/README.md` of the suite.

# %%
beside = sorted(results.glob("runs/*/*/*/*/*/seed*.json"))  # records, and the cards of prompts
files = [file for file in beside if file.stem.removeprefix("seed").isdigit()]
record = json.loads(files[0].read_text())
print(len(files), "records;", files[0].relative_to(results))
list(record)

# %% [markdown]
# ## A row per run
#
# A training is evaluated after several epochs. `rule` says which epoch counts: as a rule the one
# that was best on validation. `selection` has the metrics of that epoch. It also has those of the
# last epoch, and of the one that was best on test. That one is there to show what such a choice
# would gain: do not report it.


# %%
def row(file):
    """Returns what a table needs of a record."""
    record = json.loads(file.read_text())
    spec, chosen = record["spec"], record["selection"][record["rule"]]
    names = ("scale", "task", "backbone", "method", "variant", "seed")
    return {
        **{name: spec[name] for name in names},
        "accuracy": chosen["test"]["accuracy"],
        "images": record["task"]["sizes"]["test"],
        "chance": record["task"]["chance"],
        "epoch": chosen["epoch"],
        "parameters": record["trained_parameters"],
        "seconds": record["measured"]["seconds"],
        "file": file,
    }


runs = pd.DataFrame(map(row, files))
runs.drop(columns="file").round(1)

# %% [markdown]
# Runs of several scales, variants and seeds may lie side by side. Say which you mean before you
# take a mean.

# %%
main = runs[(runs["variant"] == "default") & (runs["scale"] == runs["scale"].iloc[0])]
accuracy = main.pivot_table(index=["backbone", "task"], columns="method", values="accuracy")
accuracy.round(1)

# %% [markdown]
# ## An image at a time
#
# `seedN.predictions.npz` has the test images in one order for all methods: `id`, `label`,
# `prediction`, `confidence`. So two methods can be compared image by image, which tells much more
# than two accuracies.


# %%
def answers(run):
    """Returns the predictions of a run, a row per test image."""
    with np.load(run["file"].with_suffix(".predictions.npz")) as arrays:
        return pd.DataFrame({key: arrays[key] for key in ("id", "label", "prediction")})


visual = main[main["method"] == "visual_prompt"].iloc[0]
same = (main["task"] == visual["task"]) & (main["backbone"] == visual["backbone"])
other = main[same & (main["method"] != "visual_prompt")].iloc[-1]
both = answers(visual).merge(answers(other), on=["id", "label"], suffixes=("", "_other"))
right, other_right = (both[name] == both["label"] for name in ("prediction", "prediction_other"))
print(visual["task"], visual["backbone"], "visual prompt against", other["method"])
pd.crosstab(right.rename("visual prompt right"), other_right.rename(f"{other['method']} right"))

# %% [markdown]
# Which classes are taken for which? A row is what the images are, a column what they were taken
# for.

# %%
names = json.loads(visual["file"].read_text())["task"]["class_names"]
confusion = pd.crosstab(both["label"], both["prediction"]).reindex(
    index=range(len(names)), columns=range(len(names)), fill_value=0
)
confusion.set_axis(names, axis=0)

# %% [markdown]
# ## The tables of the suite
#
# Every table and figure has a csv with all its numbers, a row per cell, with 95 % intervals. Read
# that instead of computing it again. In `table_accuracy.csv`, `difference` is how much better the
# visual prompt is on the same images than the method of the row. An empty cell is a run that was
# not made.

# %%
tables = {file.stem: pd.read_csv(file) for file in sorted(results.glob("*.csv"))}
print(*tables, sep=", ")
columns = ["task", "backbone", "method", "accuracy", "low", "high", "difference", "p_value"]
if "table_accuracy" in tables:
    print(tables["table_accuracy"][columns].round(2).to_string(index=False))

# %% [markdown]
# ## A figure
#
# The accuracies that were pivoted above, for one backbone. Grey is chance.

# %%
backbone = main["backbone"].iloc[0]
shown = accuracy.loc[backbone]
chance = main[main["backbone"] == backbone].groupby("task")["chance"].first()
figure, axis = plt.subplots(figsize=(6, 0.8 + 0.4 * len(shown)))
for method in shown:
    axis.plot(shown[method], shown.index, "o", label=method)
axis.plot(chance[shown.index], shown.index, "|", color="grey", markersize=14)
axis.set(xlabel="accuracy, %", xlim=(0, 100), title=backbone)
axis.margins(y=0.2)
axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
figure.tight_layout()
