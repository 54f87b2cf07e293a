# Entry point: `snakemake --cores 8 all`. The rules are in workflow/rules/, one file per stage.
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

if Path.cwd() != Path(workflow.basedir).resolve():  # paths of code, data and results are from there
    sys.exit(
        f"started in {Path.cwd()}, but the suite runs in its own folder: "
        f"cd {shlex.quote(workflow.basedir)} first, and leave out --snakefile and --directory"
    )

# A configuration that was given is used alone: Snakemake would merge it into one loaded here.
# Targets are not known yet when this is read, hence the look at the command line.
if not workflow.overwrite_configfiles:

    configfile: "config/smoke.yaml" if "smoke" in sys.argv[1:] else "config/lab.yaml"

    if "methods" in sys.argv[1:]:

        configfile: "config/methods/lab.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/lab.smk"


# Every table and figure of the configuration, the scorecard of claims and the report.
rule all:
    default_target: True
    input:
        every_product,


# The same for config/smoke.yaml: everything once, very small, in about two minutes.
rule smoke:
    input:
        every_smoke_product,


# The methods around the paper and the questions about them: config/methods/lab.yaml on top of the lab's.
rule methods:
    input:
        every_extension_product,


onstart:
    if workflow.is_main_process and not workflow.touch:
        check_requests()
    logger.info(start_message())
    if workflow.is_main_process and workflow.local_exec:  # a scheduler shows its jobs itself
        job_progress.watch(logger.info)


onsuccess:
    logger.info(end_message())
