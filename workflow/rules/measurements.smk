# What needs torch but is no run: distances between datasets, prompts in other places.
if config["granularity"] == "per_task":

    # One process for all tasks, which shares the reference and the backbones.
    rule measure_all:
        input:
            runs=measured_runs,
        output:
            manifest=ensure(result_files.ALL_MEASURED, non_empty=True),
        log:
            "results/logs/{scale}/{measurement}.log",
        benchmark:
            "results/benchmarks/{scale}/{measurement}.tsv"
        priority: 1
        conda:
            "../../environment.yml"
        threads: task_threads
        resources:
            mem_mb=measured_megabytes,
            torch_threads=torch_threads,
        params:
            request=measured_specs,
        shell:
            "python -m vpbench measure {params.request:q} --runs results/runs"
            " --measurements results/measurements --out {output.manifest:q}"
            " --threads {resources.torch_threads} > {log:q} 2>&1"

else:

    # Photographs that all datasets are compared with are looked at once. What is declared says what
    # the statistics are about; they are in the data folder, where other configurations find them.
    rule reference_photographs:
        output:
            about=ensure(result_files.REFERENCE, non_empty=True),
        log:
            "results/logs/{scale}/{measurement}.reference.log",
        benchmark:
            "results/benchmarks/{scale}/{measurement}.reference.tsv"
        priority: 1
        conda:
            "../../environment.yml"
        threads: run_threads
        resources:
            gpu=1,
            mem_mb=measured_megabytes,
            torch_threads=torch_threads,
        params:
            request=reference_spec,
        shell:
            "python -m vpbench reference-photographs {params.request:q} --out {output.about:q}"
            " --threads {resources.torch_threads} > {log:q} 2>&1"

    rule measure:
        input:
            runs=measured_runs,
            reference=measured_reference,
        output:
            record=ensure(result_files.MEASURED, non_empty=True),
        log:
            "results/logs/{scale}/{measurement}/{task}.log",
        benchmark:
            "results/benchmarks/{scale}/{measurement}/{task}.tsv"
        priority: 1
        conda:
            "../../environment.yml"
        threads: run_threads
        resources:
            gpu=1,
            mem_mb=measured_megabytes,
            torch_threads=torch_threads,
        params:
            request=measured_specs,
        shell:
            "python -m vpbench measure {params.request:q} --runs results/runs"
            " --measurements results/measurements"
            " --threads {resources.torch_threads} > {log:q} 2>&1"
