"""How fast the suite is: `python -m benchmarks` measures it and writes results/speed.

Each benchmark is a module with two functions. `measure(quick, threads)` returns a dict for JSON:
title, what was done, rows; `quick` takes less of everything, to see that it works. `render(result)`
returns that dict as Markdown. If it has `draw(result, folder)`, that returns the path of a figure.
"""
