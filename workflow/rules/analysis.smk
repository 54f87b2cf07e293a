# One rule per table and figure. Its name is that of the script, the files, the caption and the key.
for name, slice_ in config["analyses"].items():

    rule:
        name:
            grid.rule_name(name)
        input:
            script=f"analysis/{name}.py",
            library=library(f"analysis/{name}.py"),
            published=PUBLISHED,
            runs=grid.job_files(GRID, slice_),
            measurements=list(grid.measurement_files(GRID, name)),
        output:
            **reported_products(name),
        log:
            f"results/logs/{name}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            arguments=lambda wildcards, name=name: grid.analysis_arguments(GRID, name),
        shell:
            "PYTHONPATH=. python {input.script} {params.arguments:q} > {log} 2>&1"
