# The caches of the real datasets, for the transform of each backbone: `snakemake data`.
#
# Training jobs do not name a cache as their input, not even as an `ancient` one: Snakemake 9 would
# make all records of a dataset again when the data folder moves, and when one record is missing
# where the cache is. A job that finds no cache makes it itself, and others wait at its lock. On a
# cluster they would hold their GPUs meanwhile, hence this target, to be made first.
from vpbench.preprocessing import Preprocessing


def prepared(spec):
    """Returns the file that says that the cache of a spec is made.

    It is not the card: Snakemake deletes what a job has declared before the job runs again.
    """
    data = spec["data"]
    transform = Preprocessing(*catalogue.BACKBONES[spec["backbone"]].preprocessing).key
    names = ["native" if data["resolution"] == "native" else transform]
    names += [f"{split}{data[split]}" for split in catalogue.SPLITS if data[split] is not None]
    return f"{places.data_dir()}/cache/{spec['task']}/{'_'.join(names)}.prepared"


PREPARED = {  # file -> one of the specs that need this cache
    prepared(spec): spec
    for spec in GRID.specs.values()
    if spec["task"] in catalogue.TASKS and not catalogue.is_twin(spec["task"])
}


def every_cache(wildcards):
    """Returns the files that say that all caches of the configuration are made."""
    if not PREPARED:
        logger.info(f"{configuration()} has no real dataset: nothing to prepare.")
    return list(PREPARED)


def cached_spec(wildcards, output):
    """Returns a spec that needs the cache which a job makes."""
    if output[0] not in PREPARED:
        sys.exit(f"{output[0]}: no run of {configuration()} needs it")
    return PREPARED[output[0]]


rule data:
    input:
        every_cache,
    localrule: True


rule prepare:
    output:
        done=touch(f"{places.data_dir()}/cache/{{task}}/{{cache}}.prepared"),
    log:
        "results/logs/data/{task}/{cache}.log",
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        runtime=240,
        torch_threads=torch_threads,
    params:
        backbone=lambda wildcards, output: cached_spec(wildcards, output)["backbone"],
        data=lambda wildcards, output: grid.canonical(cached_spec(wildcards, output)["data"]),
    shell:
        "python -m vpbench data prepare {wildcards.task} --backbones {params.backbone}"
        " --data {params.data:q} --threads {resources.torch_threads} > {log} 2>&1"
