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
# # Your own photographs
#
# You have a folder of images, one sub-folder per class. Here you learn a visual prompt for them,
# see whether it helps, and use it on images without labels.
#
# Nothing is downloaded. So this notebook **paints its own photographs**: three kinds of fabric
# under poor light. Put the path of your own folder in the place of `photographs` and leave the
# next two cells out.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import vpbench as vp
from vpbench.common.intervals import wilson

CLASSES = ("chequered", "dotted", "striped")

# %%
rows, columns = np.mgrid[:64, :64]


def paint(kind, rng):
    """Returns a picture of a fabric: two colours, turned, moved, badly lit, with grain."""
    angle, period, phase = rng.uniform(0, np.pi), rng.uniform(9, 16), rng.uniform(0, 9, 2)
    across = np.cos(angle) * columns + np.sin(angle) * rows + phase[0]
    along = np.cos(angle) * rows - np.sin(angle) * columns + phase[1]
    waves = np.sin(2 * np.pi * across / period), np.sin(2 * np.pi * along / period)
    if kind == "striped":
        figure = waves[0] > 0
    elif kind == "chequered":
        figure = (waves[0] > 0) ^ (waves[1] > 0)
    else:
        figure = waves[0] + waves[1] > 1
    ground, ink = rng.uniform(20, 120, 3), rng.uniform(130, 250, 3)
    light = rng.uniform(0.4, 1) + 0.3 * rng.uniform(-1, 1) * columns / 64
    picture = np.where(figure[..., None], ink, ground) * light[..., None]
    return np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)


photographs, new = Path("fabrics"), Path("new_fabrics")
rng = np.random.default_rng(0)
for kind in CLASSES:
    (photographs / kind).mkdir(parents=True, exist_ok=True)
    new.mkdir(exist_ok=True)
    for number in range(300):
        Image.fromarray(paint(kind, rng)).save(photographs / kind / f"{number}.png")
    for number in range(2):  # without a label, but for their names
        Image.fromarray(paint(kind, rng)).save(new / f"{kind}_{number}.png")

figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for axis, file in zip(axes, sorted(new.iterdir()), strict=True):
    axis.imshow(Image.open(file))
    axis.set_title(file.stem, fontsize=8)
    axis.axis("off")

# %% [markdown]
# ## A task and a model
#
# `from_folder` lists the images and checks them. Without `train/` and `test/` folders it cuts
# each class 60/20/20 into training, validation and test. What it leaves out or changes it says.
#
# The backbone is a **micro backbone**: half a million parameters, made for quick tries, and it
# knows a few hundred English words. For real photographs take a real model, by name. Its weights
# are then downloaded once: `vp.load_backbone("timm:convnext_tiny.fb_in1k")` or
# `vp.load_backbone("open_clip:ViT-B-32/laion2b_s34b_b79k")`.

# %%
task = vp.from_folder(photographs, template="a photo of a {} texture")
backbone = vp.load_backbone("clip_micro")
task, backbone.image_size

# %% [markdown]
# ## Without a prompt, with one, and a linear probe
#
# A CLIP can classify at once: it compares the image with the text of each class. That is the
# **text prompt** (TP), and nothing is learned. A **visual prompt** (VP) is a frame of pixels that
# is learned and put on every image. A **linear probe** (LP) learns a layer behind the model
# instead.
#
# Each uses the recipe that belongs to the backbone. Single settings can be changed, as in
# `vp.fit("visual_prompt", backbone, task, epochs=16)`. The prompt is the one of the epoch that
# was best on validation.

# %%
text = vp.fit("text_prompt", backbone, task)
visual = vp.fit("visual_prompt", backbone, task)
probe = vp.fit("linear_probe", backbone, task)
visual.accuracy

# %% [markdown]
# All three are asked about the same test images. Each accuracy has its 95 % interval (Wilson's):
# with other images of the same kind it could as well have been anywhere in there.

# %%
images = len(task.load(backbone.preprocessing).splits["test"])
for model in (text, visual, probe):
    accuracy = model.evaluate(task.test)["accuracy"]
    low, high = wilson(accuracy, images)
    print(f"{model.method:14} {accuracy:5.1f} %  [{low:.1f}, {high:.1f}], {images} images")

# %% [markdown]
# To compare two models, look at their difference on the same images, not at whether two intervals
# overlap. `compare` gives the difference with its interval, and McNemar's test.

# %%
print("visual prompt against text prompt: ", vp.compare(visual, text, task.test))
print("visual prompt against linear probe:", vp.compare(visual, probe, task.test))

# %% [markdown]
# A linear probe often wins, and it is cheaper. A prompt is of use where you cannot touch the
# model or what comes behind it, and only the image is yours to change.
#
# ## What it learned

# %%
picture = visual.classifier.pixel_canvas()[0].detach().permute(1, 2, 0).numpy()
plt.imshow(0.5 + picture / (2 * np.abs(picture).max()))  # grey is nothing
plt.axis("off")
plt.title("the prompt, stretched so that it can be seen")
# %% [markdown]
# ## Images without labels
#
# `predict` takes files, folders, pictures or arrays, and gives a table of pandas. `class_2` is
# what comes next.

# %%
visual.predict(new, top=2).round(3)

# %% [markdown]
# ## Keep it, and give it away
#
# `save` writes the prompt (safetensors) and a card (JSON) that knows the backbone, the recipe and
# the classes. `export` writes what other programs read: see the page on using a prompt elsewhere.

# %%
visual.save("fabrics_prompt")
again = vp.load("fabrics_prompt")
assert (again.predict(new)["class"] == visual.predict(new)["class"]).all()
for path in again.export("fabrics_prompt"):
    print(path.name, f"{path.stat().st_size:,} bytes")
