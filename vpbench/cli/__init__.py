"""The command line: a module per group of verbs, each verb a function of the parsed arguments.

What loads torch is imported where a verb needs it: that takes seconds, which `vpbench list` or
`--help` need not wait for, and it must not happen before the GPUs of this process are claimed.
"""
