# One rule per table and figure. Its name is that of the script, the files, the caption and the key.
for name, slice_ in config["analyses"].items():

    rule:
        name:
            name
        input:
            script=f"analysis/{name}.py",
            library=ANALYSIS_LIBRARY,
            published=PUBLISHED,
            runs=units(slice_),
        output:
            **reported_products(name),
        log:
            f"results/logs/{name}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            select=lambda wildcards, slice_=slice_: canonical(slice_),
            digests=lambda wildcards, slice_=slice_: canonical(digests(slice_)),
            figures="--figures results/figures" if name.startswith("figure") else "",
        shell:
            "PYTHONPATH=. python {input.script} --runs {input.runs} --select {params.select:q}"
            " --digests {params.digests:q} --out {output.csv} {params.figures} > {log} 2>&1"
