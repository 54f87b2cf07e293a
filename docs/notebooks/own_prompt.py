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
# # Your own prompt
#
# A prompt is any `torch.nn.Module` that maps images to images of the same shape. Write one, let
# it be trained as the suite trains its own, and compare it with the paper's frame on the same
# images. Then the same with a label map: what turns the model's classes into yours.
#
# Nothing is downloaded: the pictures are painted, and the backbone is a small one that comes with
# the suite.

# %%
import matplotlib.pyplot as plt
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

import vpbench as vp

backbone = vp.load_backbone("clip_micro")
task = vp.load_task("eurosat_twin", {"train": 500, "validation": 200, "test": 500})

# %% [markdown]
# ## A prompt
#
# The paper's prompt is a frame, here of 7 pixels: the middle of the image stays as it is. This
# one is smooth and covers everything: a grid of 14 x 14 colours, drawn large. It has 588 numbers,
# the frame 4,116.
#
# It is given images that are resized and normalised already, `[N, 3, S, S]`. What it starts from
# matters: zeros are the image itself.


# %%
class Haze(nn.Module):
    """A smooth picture that is added to the image."""

    def __init__(self, image_size, cells=14):
        super().__init__()
        self.image_size = image_size
        self.cells = nn.Parameter(torch.zeros(1, 3, cells, cells))

    def forward(self, x):
        """Returns images [N, 3, S, S] behind the haze."""
        return x + F.interpolate(self.cells, (self.image_size, self.image_size), mode="bicubic")


text = vp.fit("text_prompt", backbone, task)
frame = vp.fit("visual_prompt", backbone, task, epochs=8)
haze = vp.fit("visual_prompt", backbone, task, prompt=Haze(backbone.image_size), epochs=8, lr=0.1)
for model in (text, frame, haze):
    print(f"{model.accuracy['validation']:.1f} % on validation")

# %% [markdown]
# A copy of your module is trained; the one you gave stays as it was. Settings of the frame, such
# as `size`, are not for your prompt. The learning rate is: another prompt needs another one. This
# one was chosen on validation, among 0.01, 0.03, 0.1, 1 and 10. The frame's is 10, where the haze
# learns nothing. Choose on validation, never on test. Then look at the test images once:

# %%
print("haze against frame:    ", vp.compare(haze, frame, task.test))
print("haze against no prompt:", vp.compare(haze, text, task.test))

# %%
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6))
images = task.load(backbone.preprocessing).splits["test"].images[:1]
shown = [backbone.pictures(images)[0] / 255]
for model in (frame, haze):
    pixels = model.classifier.prompted(images)[:1] * backbone.std + backbone.mean
    shown.append(pixels[0].detach().permute(1, 2, 0).clamp(0, 1))
for axis, picture, title in zip(axes, shown, ("image", "with frame", "with haze"), strict=True):
    axis.imshow(picture)
    axis.set_title(title)
    axis.axis("off")

# %% [markdown]
# ## A label map
#
# A label map takes the prompted images, normalised, and gives a logit for each class. A CLIP is
# usually asked with one text per class. This map asks with three and lets the training weigh
# them.
#
# The backbone is frozen and is no part of what is learned. Put it where PyTorch does not look for
# parameters, in a tuple for example. Otherwise all its weights are saved with the map.
#
# What a map learns has a learning rate of its own, `map_lr`.


# %%
class ThreeTexts(nn.Module):
    """Logits from three texts per class, with a weight for each text."""

    TEXTS = ("This is a photo of a {}", "a aerial view of {}", "a texture of {}")

    def __init__(self, backbone, class_names):
        super().__init__()
        self.held = (backbone,)
        texts = [text.format(name) for text in self.TEXTS for name in class_names]
        with torch.no_grad():
            features = backbone.text_features(texts)
        self.register_buffer("texts", features.view(len(self.TEXTS), len(class_names), -1))
        self.weights = nn.Parameter(torch.zeros(len(self.TEXTS)))

    def forward(self, x):
        """Returns logits [N, K] of normalised images."""
        (backbone,) = self.held
        features = F.normalize(backbone.features(x), dim=-1)
        each = torch.einsum("nd,tkd->ntk", features, self.texts)
        return backbone.logit_scale * (self.weights.softmax(0)[:, None] * each).sum(1)


both = vp.fit(
    "visual_prompt",
    backbone,
    task,
    prompt=Haze(backbone.image_size),
    label_map=ThreeTexts(backbone, task.class_names),
    epochs=8,
    lr=0.1,
    map_lr=0.1,
)
print("three texts against one:", vp.compare(both, haze, task.test))
weights = both.label_map.module.weights.softmax(0).tolist()
print("weights of the texts:", [round(weight, 3) for weight in weights])

# %% [markdown]
# ## Save and load
#
# The file holds numbers, no code: loading it can run nothing. So you give your classes again. The
# card knows their names and the hash of the file that defines them, and loading says if that file
# has changed. (What is typed into a notebook is in no file. For results that others should trust,
# put your classes into a module.)

# %%
haze.save("haze")
again = vp.load("haze", prompt=Haze(backbone.image_size))
assert torch.equal(again.logits(images), haze.logits(images))
again.card["own"]

# %% [markdown]
# ## One file for other programs
#
# `.onnx` holds the prompt, the model and the label map. It takes pixels from 0 to 1 and gives
# logits. Before it gets its name its logits are compared with those of PyTorch. Here onnxruntime
# is asked once more.

# %%
path, card = again.export("haze.onnx")
session = onnxruntime.InferenceSession(path)
pixels = backbone.scale_pixels(images).contiguous()
(logits,) = session.run(None, {"pixels": pixels.numpy()})
print(path.name, f"{path.stat().st_size / 1e6:.1f} MB")
print("largest difference:", (torch.from_numpy(logits) - again.logits(images)).abs().max().item())
print("class:", again.class_names[logits[0].argmax()])
