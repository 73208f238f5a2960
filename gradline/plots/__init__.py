"""Pictures of data, of a fit and of its learning: numbers in, Matplotlib Figures out.

    data_figure       the points
    fit_figure        the points and the fitted line
    predicted_figure  actual against predicted, for any number of features
    draw_fit          a Fit, as the one or the other
    live_figure       a run so far: points and line, loss, parameters
    loss_figure       loss by epoch, and how far it is from the optimum
    draw_quantiles    QuantileFits, as points and lines
    surface_figure    the loss over two coefficients, with the path of a descent
    draw_surface      a Fit, as that
    curve_figure      errors in training and on rows held out, over rows or a setting
    curves_figure     the points, and what models in one feature say
    learning_gif      the line as it learns, as a moving picture
    draw_alphas       a CrossValidation: error by penalty
    draw_path         a RegularizationPath: slopes by penalty
    save_figure       a Figure to PNG, SVG or PDF
    check_kind        whether a path names a picture
    styled            a block in which Matplotlib has our settings
    saved             a Figure, written where a file is named

pyplot is never imported: nothing here opens a window or keeps a global figure. Names
of columns are drawn letter by letter, so that "$" in a name is not taken for maths.
"""

from gradline.plots.alphas import draw_alphas
from gradline.plots.curves import curve_figure, curves_figure
from gradline.plots.figures import data_figure, fit_figure, predicted_figure
from gradline.plots.fits import draw_fit, draw_surface
from gradline.plots.live import live_figure
from gradline.plots.loss import loss_figure
from gradline.plots.marks import DENSE, HELD_OUT_SHOWN
from gradline.plots.movie import FRAMES, learning_gif
from gradline.plots.paths import draw_path
from gradline.plots.quantiles import draw_quantiles
from gradline.plots.saving import check_kind, save_figure, saved
from gradline.plots.style import BLUE, DEEP, GREY, INK, PURPLE, RED, RULE, styled
from gradline.plots.surface import surface_figure
from gradline.plots.ticks import STEPS

__all__ = [
    "BLUE",
    "DEEP",
    "DENSE",
    "FRAMES",
    "GREY",
    "HELD_OUT_SHOWN",
    "INK",
    "PURPLE",
    "RED",
    "RULE",
    "STEPS",
    "check_kind",
    "curve_figure",
    "curves_figure",
    "data_figure",
    "draw_alphas",
    "draw_fit",
    "draw_path",
    "draw_quantiles",
    "draw_surface",
    "fit_figure",
    "learning_gif",
    "live_figure",
    "loss_figure",
    "predicted_figure",
    "save_figure",
    "saved",
    "styled",
    "surface_figure",
]
