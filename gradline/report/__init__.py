"""The report: a fit in one HTML file that opens anywhere, offline, and prints.

    report_of       a Fit, with its rows where there are some, into a file
    write_report    the same, once the rows are found

Nothing in it has to run and nothing is fetched: pictures are SVG, written here. A small
script shows values where the pointer is. Every name from the data is escaped.
"""

from gradline.report.writing import report_of, write_report

__all__ = ["report_of", "write_report"]
