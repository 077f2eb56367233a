"""A run as one HTML file that needs nothing else: no network, no other file.

    write_report(run)     -> <run>/report.html
    view.py, history.py   what is known of a run, from its directory alone
    overview.py, tables.py, charts.py, params.py (with studies.py)   what is shown of it
    page.py, markup.py, report.css, report.js                        how

The trial folders are the truth; a report writes nothing but itself, and can be made while the run goes on.
"""

from tuning.htmlreport.write import write_report

__all__ = ["write_report"]
