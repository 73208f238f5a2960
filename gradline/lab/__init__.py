"""The lab: a web page on which one sees gradient descent find a line.

The page asks, the library answers: what is shown is what gradline computes.

    settings.py   everything that can be set, bounded; what a link holds
    datasets.py   ready-made data, and what was added, moved or deleted by hand
    bench.py      data ready to be descended on: the state, the optimum, the dots
    runs.py       a descent: its steps in closed form, or walked as they are asked for
    session.py    one page: messages in, messages out
    guard.py      who may talk to the server
    app.py        the routes
    server.py     where it listens, and the browser
    page/         what the browser gets: HTML, CSS and JavaScript modules, no build step

The messages are listed in session.py.
"""
