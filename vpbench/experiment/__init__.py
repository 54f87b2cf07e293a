"""A run or a measurement: spec in, record out; and the plan of many."""
