# How the shipped micro backbones were made. Nothing depends on it: `all` only verifies their hash.
rule lab_weights:
    output:
        # Not the weights: a training that was stopped goes on from what it has written.
        done=touch("results/lab_weights/done"),
    log:
        "results/logs/lab_weights.log",
    benchmark:
        "results/benchmarks/lab_weights.tsv"
    conda:
        "../../environment.yml"
    threads: workflow.resource_settings.cores or 1
    shell:
        "python -m vpbench lab-weights --out results/lab_weights > {log:q} 2>&1"
