"""What configurations and specs are called in signatures: JSON objects, whose schemas say more."""

from typing import Any

Config = dict[str, Any]  # config_schema.config_schema
Block = dict[str, Any]  # of the grid: config_schema.block
Slice = dict[str, Any]  # of the runs: config_schema.slice_
Spec = dict[str, Any]  # schema.spec_schema, or schema.measurement_schema
