"""A whole Airflow with a sample SQLMesh project on one machine, for `make demo`, tests and benchmarks. Not in the wheel."""
