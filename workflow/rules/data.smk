# The caches of the real datasets, for the transform of each backbone: `snakemake data`.
#
# Training jobs do not name a cache as their input, not even as an `ancient` one: Snakemake 9 would
# make all records of a dataset again when the data folder moves, and when one record is missing
# where the cache is. A job that finds no cache makes it itself, and others wait at its lock. On a
# cluster they would hold their GPUs meanwhile, hence this target, to be made first.
#
# Nor is the card of a cache declared: Snakemake deletes what a job has declared before the job runs
# again, and a cache without its card counts as not there. What is declared lists the files.
rule data:
    input:
        every_cache,
    localrule: True


rule prepare:
    output:
        done=f"{paths.data_dir()}/cache/{{task}}/{{cache}}.prepared",
    log:
        "results/logs/data/{task}/{cache}.log",
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        runtime=240,
        torch_threads=torch_threads,
    params:
        options=lambda wildcards, output: cached(output[0]).options,
    shell:
        "python -m vpbench data prepare {wildcards.task:q} {params.options:q} --done {output.done:q}"
        " --threads {resources.torch_threads} > {log:q} 2>&1"
