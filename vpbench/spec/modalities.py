"""The two kinds of backbones (Table 3)."""

MODALITIES = ("vision_language", "vision")  # also the unit of a per_task job
