"""What the four processes tell each other: API server, Dag processor, worker and runner.

Each letter is a frozen record: who makes a letter writes it from a record, and who acts on one reads it into a record. Who only
hands one on (a worker, between API server and runner) hands on all of it, since the other two may both be newer. The keys under
which letters lie stand in :mod:`dagctl_provider.domain.names`; the runner's own side of a request is ``runner/requests.py``.

Letters lie where anybody with rights in Airflow can write, and may be of an older or a newer version: a record says what is in a
letter, not that it is true.
"""
