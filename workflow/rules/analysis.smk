# One rule per table and figure. Its name is that of the files, the caption and the key.
for name, slice_ in config["analyses"].items():

    rule:
        name:
            products.rule_name(name)
        input:
            library=library(ANALYSES[name].module),
            published=PUBLISHED,
            runs=grid.job_files(GRID, slice_),
            measurements=(
                grid.measurement_paths(GRID, name) if ANALYSES[name].reads_measurements else []
            ),
        output:
            **reported_products(name),
        log:
            f"results/logs/{name}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            name=name,
            options=ANALYSES[name].options,  # a change of theirs makes the table again
            request=lambda wildcards, name=name: arguments_file(
                name, products.analysis_arguments(GRID, name)
            ),
        shell:
            "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python -m analysis {params.name:q} {params.request:q} > {log:q} 2>&1"
