"""What analyses share: cells, intervals, tests, styles, rendering."""
