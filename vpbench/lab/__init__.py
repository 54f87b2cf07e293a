"""The lab: a closed world of painted pictures, twins of the datasets, and micro backbones."""
