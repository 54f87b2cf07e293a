"""What configurations ask for and cost, as `vpbench plan` counts it: runs, GPU-hours, disk."""

from pathlib import Path

from docs.generate.text import number
from vpbench.spec import costs, memory_costs
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.grid import expand
from vpbench.spec.recipes import read_configs


def values(root: Path) -> dict[str, str]:
    """Returns the named values of the lab's and the paper's configurations."""
    lab, extended = (len(runs(root, names)) for names in (["lab"], ["lab", "methods/lab"]))
    named = {"lab_runs": number(lab, 0), "methods_runs": number(extended - lab, 0)}
    for name, file in (("plan", "paper"), ("plan_fast", "paper-fast")):
        specs = runs(root, [file])
        hours = [each for spec in specs if (each := costs.hours_of(spec)) is not None]
        named[f"{name}_runs"] = number(len(specs), 0)
        named[f"{name}_hours"] = about(sum(hours))
        named[f"{name}_longest"] = about(max(hours))
        if name == "plan":
            most = max(map(memory_costs.memory, specs), key=lambda memory: memory.gpu)
            named |= {"plan_gpu_memory": about(most.gpu), "plan_host_memory": about(most.host)}
    return named | {"plan_data": about(sum(facts.gigabytes for facts in FACTS.values()))}


def runs(root: Path, names: list[str]) -> list[dict]:
    """Returns the specs of configurations that are put together."""
    config, where = read_configs([root / f"config/{name}.yaml" for name in names])
    return list(expand(config, where).specs.values())


def about(amount: float) -> str:
    """Returns a number with two significant digits."""
    return f"{float(f'{amount:.2g}'):,.0f}"
