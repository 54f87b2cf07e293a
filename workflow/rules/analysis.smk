# One rule per table and figure. Its name is that of the script, the files, the caption and the key.
for name, slice_ in config["analyses"].items():

    rule:
        name:
            name
        input:
            script=f"analysis/{name}.py",
            library=library(f"analysis/{name}.py"),
            published=PUBLISHED,
            runs=units(slice_),
            measurements=list(measurement_files(name)),
        output:
            **reported_products(name),
        log:
            f"results/logs/{name}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            select=lambda wildcards, slice_=slice_: canonical(selection(slice_)),
            digests=lambda wildcards, name=name, slice_=slice_: canonical(digests(name, slice_)),
            measurements="--measurements" if measurement_files(name) else "",
            figures="" if name.startswith("table") else "--figures results/figures",
        shell:
            "PYTHONPATH=. python {input.script} --runs {input.runs} --select {params.select:q}"
            " --digests {params.digests:q} {params.measurements} {input.measurements}"
            " --out {output.csv} {params.figures} > {log} 2>&1"
