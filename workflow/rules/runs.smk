include: "resources.smk"


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
        retries: starts()
        conda:
            "../../environment.yml"
        threads: task_threads
        resources:
            runtime=minutes,
            mem_mb=megabytes,
            torch_threads=torch_threads,
        params:
            request=task_specs,
        shell:
            "exec python -m vpbench run-task {params.request:q} --runs results/runs"
            " --checkpoints results/checkpoints --out {output.manifest:q}"
            " --threads {resources.torch_threads} > {log:q} 2>&1"

else:

    rule run:
        output:
            record=ensure(result_files.RECORD, non_empty=True),
        log:
            f"results/logs/{result_files.RUN}.log",
        benchmark:
            f"results/benchmarks/{result_files.RUN}.tsv"
        wildcard_constraints:
            method=NOT_ON_FEATURES,
        priority: 1
        retries: starts()
        conda:
            "../../environment.yml"
        threads: run_threads
        resources:
            gpu=1,
            runtime=minutes,
            mem_mb=megabytes,
            torch_threads=torch_threads,
        params:
            request=run_spec,
        shell:
            "exec python -m vpbench run {params.request:q} --processes {resources.gpu}"
            " --checkpoints results/checkpoints --out {output.record:q}"
            " --threads {resources.torch_threads} > {log:q} 2>&1"

    # A probe is two jobs: only its features have a use for a GPU. Neither has a checkpoint: what one
    # does by its time limit is lost. By its FLOPs the paper's largest regression takes 8 cores an hour.
    rule features:
        output:
            features=temp(result_files.FEATURES),
        log:
            f"results/logs/{result_files.RUN}.features.log",
        wildcard_constraints:
            method=ON_FEATURES,
        priority: 1
        retries: starts(slices=False)
        conda:
            "../../environment.yml"
        threads: run_threads
        resources:
            gpu=1,
            runtime=minutes,
            mem_mb=megabytes,
            torch_threads=torch_threads,
        params:
            request=run_spec,
        shell:
            "exec python -m vpbench features {params.request:q} --out {output.features:q}"
            " --threads {resources.torch_threads} > {log:q} 2>&1"

    rule regression:
        input:
            features=ancient(result_files.FEATURES),
        output:
            record=ensure(result_files.RECORD, non_empty=True),
        log:
            f"results/logs/{result_files.RUN}.log",
        benchmark:
            f"results/benchmarks/{result_files.RUN}.tsv"
        wildcard_constraints:
            method=ON_FEATURES,
        priority: 1
        retries: starts(slices=False)
        conda:
            "../../environment.yml"
        threads: 4
        resources:
            runtime=MOST_MINUTES,
            mem_mb=megabytes,
            torch_threads=torch_threads,
        params:
            request=run_spec,
        shell:
            "exec python -m vpbench run {params.request:q} --features {input.features:q}"
            " --device cpu --out {output.record:q} --threads {resources.torch_threads} > {log:q} 2>&1"
