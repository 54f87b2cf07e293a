"""`vpbench lpips-weights` and `lab-weights`."""


def lpips_weights(arguments):
    """Returns None; writes the network that LPIPS is measured with."""
    from vpbench.models import lpips_weights as weights

    print(weights.convert(arguments.source, arguments.out, arguments.network))


def lab_weights(arguments):
    """Returns None; pretrains every micro backbone into a folder."""
    from vpbench.lab.pretrain import STAGES, pretrain

    for name in STAGES:
        pretrain(name, arguments.out, arguments.scale)
    print(f"{arguments.out}: to ship them, copy *.safetensors, *.json, *.txt and *.jsonl from here"
          " to vpbench/lab/weights")  # fmt: skip
