"""Charts as Vega-Lite specifications, made by pure functions from the record that people see.

One chart a file. Each comes with its words and its numbers, for those who do not see it. Who draws them is not known
here: the browser does, or the console where a picture has to stand on paper.
"""

from crossfade.view.charts.ageing import ageing
from crossfade.view.charts.calibration import calibration
from crossfade.view.charts.chart import Chart, fitted, height_of
from crossfade.view.charts.drift import drift
from crossfade.view.charts.exposure import exposure
from crossfade.view.charts.fields import fields
from crossfade.view.charts.forest import drawable, forest
from crossfade.view.charts.of_rollout import charts_of
from crossfade.view.charts.preference import preference

__all__ = [
    "Chart",
    "ageing",
    "calibration",
    "charts_of",
    "drawable",
    "drift",
    "exposure",
    "fields",
    "fitted",
    "forest",
    "height_of",
    "preference",
]
