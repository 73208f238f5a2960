"""The lab: a web page on which one sees gradient descent find a line.

The page asks, the library answers: what is shown is what gradline computes.

    settings.py   everything that can be set, bounded; what a link holds
    datasets.py   ready-made data, and what was added, moved or deleted by hand
    density.py    a picture of more rows than can be drawn as dots
    bench.py      data ready to be descended on: the state, the optimum, the dots
    goals.py      the losses: what a descent makes small, and where that is least
    walks.py      steps that no formula knows: torch.optim, minibatches, other losses
    mistakes.py   the classic mistakes, each really made
    runs.py       a descent: its steps in closed form, or walked as they are asked for
    grid.py       the surface of a loss that is no quadratic
    verdict.py    what is to be said of a run: limits, sentences, certificates
    plain.py      the plain PyTorch loop, held against what is shown
    script.py     a run as a plain PyTorch script
    exports.py    a run as something to keep
    answers.py    what messages are answered with
    session.py    one page: messages in, messages out
    guard.py      who may talk to the server
    app.py        the routes
    server.py     where it listens, and the browser
    page/         what the browser gets: HTML, CSS and JavaScript modules, no build step

The messages are listed in session.py.
"""
