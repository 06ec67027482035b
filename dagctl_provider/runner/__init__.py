"""The program that runs one plan step inside a pod, or as a child process of a worker.

It stands alone: no Airflow, no other part of the package, and outside the tool's own environment nothing but the standard
library. What it is told comes in one request file, what it found goes out in one result file.
"""
