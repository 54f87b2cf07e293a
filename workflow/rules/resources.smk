# What a job of runs may take: minutes, memory, GPUs, starts. Numbers: vpbench/spec/job_limits.py.
from vpbench.compute.gpu import visible
from vpbench.spec import job_limits, measurement_memory, memory_costs
from vpbench.spec.methods import METHODS

MOST_MINUTES = job_limits.max_runtime(config)
ON_FEATURES = "|".join(name for name, method in METHODS.items() if method.on_features)
NOT_ON_FEATURES = "|".join(name for name, method in METHODS.items() if not method.on_features)
HERE = workflow.resource_settings.nodes is None  # which executor it is, is not known yet
GPUS = len(visible()) if HERE else 0

# As many runs at once as this machine has GPUs, one where it has none; `--resources gpu=2` wins.
if HERE and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, GPUS))


def check_gpus():
    """Says in a line, on this machine, which rules get fewer GPUs than `--set-resources` gives."""
    most, many = workflow.global_resources["gpu"].value, "GPU" if GPUS == 1 else "GPUs"
    here = f"this machine has {GPUS or 'no'} {many}"
    why = here if most == max(1, GPUS) else f"--resources gpu={most}"
    for rule, given in workflow.resource_settings._parsed_overwrite_resources.items():
        known = "gpu" in given and not given["gpu"].is_evaluable()
        asked = given["gpu"].value if known else 0
        if asked > most:
            logger.warning(f"--set-resources {rule}:gpu={asked}: {why}, so each job gets {most}")


if HERE and workflow.is_main_process:
    check_gpus()


def starts(slices=True):
    """Returns how often the job of a run is started again, without slices only if something else
    than its time limit has ended it. On this machine, where none does, that is as `--retries` says.
    """
    if HERE:
        return None
    return job_limits.retries(GRID.jobs.values() if slices else [], MOST_MINUTES)


def job_specs(wildcards):
    """Returns the specs of the runs of a job."""
    per_task = config["granularity"] == "per_task"
    path = result_files.MANIFEST if per_task else result_files.RECORD
    return wanted(path.format(**wildcards))


def minutes(wildcards):
    """Returns the minutes that a job of runs may take."""
    return job_limits.runtime(job_specs(wildcards), MOST_MINUTES)


def on_gpu():
    """Returns whether jobs have a GPU each."""
    return paths.device() != "cpu" and (GPUS > 0 or not HERE)


def megabytes(wildcards):
    """Returns the memory of the machine that a job of runs needs: it does one after another."""
    return max(memory_costs.host_mb(spec, on_gpu()) for spec in job_specs(wildcards))


def measured_megabytes(wildcards):
    """Returns the same of a job that measures one task after another, or looks at a reference."""
    task = getattr(wildcards, "task", None)
    specs = grid.measurement_specs(GRID, wildcards.measurement, photographs=False)
    return max(
        measurement_memory.host_mb(spec, on_gpu()) for spec in specs if task in (None, spec["task"])
    )


def run_threads(wildcards):
    """Returns the threads that a run claims: no more than leave some for the other GPUs."""
    cores = workflow.resource_settings.cores
    return max(1, min(4, cores // GPUS)) if cores and GPUS else 4
