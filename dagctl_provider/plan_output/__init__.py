"""The one reader of what a runner reported: from ``plan_output`` to typed records for the pages, the approval request, the
notifications and the API.

Pure functions: no database, no Airflow, so that workers use the same reader as the API server.
"""
