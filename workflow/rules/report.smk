# What is made from the tables and figures: the scorecard of claims, the LaTeX document, the page.
rule claims:
    input:
        library=library(PAGES["claims"]),
        published=PUBLISHED,
        tables=[products.products(name)["csv"] for name in config["analyses"]],
    output:
        csv=report(
            "results/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"name": "claims", "scale": config["scale"]},
        ),
        markdown="results/claims.md",
    log:
        "results/logs/claims.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        arguments=products.claims_arguments(GRID),
    shell:
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python -m analysis claims {params.arguments:q} > {log:q} 2>&1"


rule tables:
    input:
        library=library(PAGES["latex_document"]),
        captions=files("workflow/report", "table*.rst"),
        tables=[
            files["latex"]
            for files in map(products.products, config["analyses"])
            if "latex" in files
        ],
    output:
        "results/tables.tex",
    log:
        "results/logs/tables.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        arguments=products.document_arguments(GRID),
    shell:
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python -m analysis latex_document {params.arguments:q} > {log:q} 2>&1"


rule report:
    input:
        library=library(PAGES["report"]),
        page=files("analysis/report/page", "*"),
        captions=[*captions_of(config["analyses"]), *files("workflow/report", "claims.rst")],
        claims="results/claims.csv",
        products=[path for name in config["analyses"] for path in products.products(name).values()],
        runs=list(GRID.jobs),
        measurements=[
            path
            for name in blocks.measurements(config)
            for path in grid.measurement_paths(GRID, name)
        ],
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        request=lambda wildcards: arguments_file(
            "report", products.report_arguments(GRID, configuration_files())
        ),
    shell:
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python -m analysis report {params.request:q} > {log:q} 2>&1"


# All of these of the records that are there so far, into results/partial/, which nothing reads. It
# has neither input nor output: it starts no training, and runs also beside a workflow that trains.
rule partial:
    log:
        "results/logs/partial.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        request=lambda wildcards: partial_file(),
    shell:
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python -m analysis partial {params.request:q} > {log:q} 2>&1"


# The page of the methods around the paper: their tables and figures alone, and no claims.
use rule report as methods_report with:
    input:
        library=library(PAGES["report"]),
        page=files("analysis/report/page", "*"),
        captions=[*captions_of(config["analyses"]), *files("workflow/report", "claims.rst")],
        products=extension_products(),
        runs=list(
            dict.fromkeys(
                path
                for name in config.get("extensions", [])
                for path in grid.job_files(GRID, config["analyses"][name])
            )
        ),
        measurements=[],
    output:
        products.EXTENSIONS_PAGE,
    log:
        "results/logs/methods_report.log",
    params:
        request=lambda wildcards: arguments_file(
            "methods_report", products.report_arguments(GRID, configuration_files(), True)
        ),
