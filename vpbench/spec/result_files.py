"""Where the files of runs and measurements are, as patterns of their paths."""

PLAIN = r"^[a-z0-9_]+\Z"  # of names that become paths; $ would let a line break follow
RUN = "{scale}/{task}/{backbone}/{method}/{variant}/seed{seed}"
UNIT = "{scale}/{task}/{modality}.{block}"
RECORD = f"results/runs/{RUN}.json"
FEATURES = f"results/features/{RUN}.safetensors"  # of a probe, until its record is there
MANIFEST = f"results/runs/{UNIT}.manifest.json"
MEASURED = "results/measurements/{scale}/{measurement}/{task}.json"
REFERENCE = "results/references/{scale}/{measurement}.json"  # what one is about, once it is made
ALL_MEASURED = "results/measurements/{scale}/{measurement}/all.manifest.json"
