# One rule per table and figure. Its name is that of the script, the files, the caption and the key.
for name, slice_ in config["analyses"].items():

    rule:
        name:
            name
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
            select=lambda wildcards, slice_=slice_: grid.canonical(grid.selection(GRID, slice_)),
            digests=lambda wildcards, name=name, slice_=slice_: grid.canonical(
                grid.digests(GRID, name, slice_)
            ),
            measurements="--measurements" if grid.measurement_files(GRID, name) else "",
            figures="" if name.startswith("table") else "--figures results/figures",
        shell:
            "PYTHONPATH=. python {input.script} --runs {input.runs} --select {params.select:q}"
            " --digests {params.digests:q} {params.measurements} {input.measurements}"
            " --out {output.csv} {params.figures} > {log} 2>&1"
