"""Predictions over HTTP: what `gradline serve` runs.

One model, read once; requests come in, and nothing in them is believed before it is
checked. From the wire to the answer:

    limits.py      how much at once, and when a request's time is up
    problems.py    every refusal, as problem+json (RFC 9457)
    wishes.py      how to predict: interval, kind, missing
    parsing.py     JSON text into rows, bit by bit, strictly
    rows.py        values of JSON as batches of columns
    arrows.py      Arrow streams in and out
    quick.py       a few rows into terms, by the shortest way
    predictor.py   a fit as what answers: batches in, predictions out
    answers.py     predictions as JSON
    facts.py       what is told of the model
    schema.py      the OpenAPI description, made of this very model
    page.py        the page for people
    metrics.py     what is counted, for Prometheus
    heads.py       a request's head: types, and what answer it wants
    bodies.py      a request's body, bounded in size and time
    app.py         the routes
    server.py      the process: connections, signals, and an end that loses nothing
"""
