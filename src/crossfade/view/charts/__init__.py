"""Charts as Vega-Lite specifications, made by pure functions from the record that people see.

One chart a file. Each comes with its words and its numbers, for those who do not see it. Who draws them is not known
here: the browser does, or the console where a picture has to stand on paper.
"""

from crossfade.view.charts.chart import Chart, fitted, height_of
from crossfade.view.charts.of_rollout import charts_of

__all__ = ["Chart", "charts_of", "fitted", "height_of"]
