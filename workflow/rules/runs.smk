# Training and evaluation, without input files: a job runs again only when its specs change.
# `exec`: a SIGTERM ends a shell at once, and a scheduler that then finds nobody waiting for the run
# kills it before its checkpoint is written.
# `priority`: runs are long and measurements wait for them; what reads them fills the last gaps.
if config["granularity"] == "per_task":

    # One process for all runs of a few tasks. Only the manifest is declared: Snakemake deletes what a
    # failed job has declared, and the records that are done must stay.
    rule run_task:
        output:
            manifest=ensure(result_files.MANIFEST, non_empty=True),
        log:
            f"results/logs/{result_files.UNIT}.log",
        benchmark:
            f"results/benchmarks/{result_files.UNIT}.tsv"
        priority: 1
        conda:
            "../../environment.yml"
        threads: task_threads
        resources:
            torch_threads=torch_threads,
        params:
            specs=task_specs,
        shell:
            "exec python -m vpbench run-task {params.specs:q} --runs results/runs"
            " --checkpoints results/checkpoints --out {output.manifest}"
            " --threads {resources.torch_threads} > {log} 2>&1"

else:

    rule run:
        output:
            record=ensure(result_files.RECORD, non_empty=True),
        log:
            f"results/logs/{result_files.RUN}.log",
        benchmark:
            f"results/benchmarks/{result_files.RUN}.tsv"
        priority: 1
        conda:
            "../../environment.yml"
        threads: 4
        resources:
            gpu=1,
            torch_threads=torch_threads,
        params:
            spec=run_spec,
        shell:
            "exec python -m vpbench run {params.spec:q} --processes {resources.gpu}"
            " --checkpoints results/checkpoints --out {output.record}"
            " --threads {resources.torch_threads} > {log} 2>&1"
