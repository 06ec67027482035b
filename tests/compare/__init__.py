"""Whether two versions of the code behave the same as seen from outside: ``python -m tests.compare REVISION``.

A restructuring moves modules and changes nothing that anybody sees. This shows it: one program (``dump``) fills a database, asks
the product through the doors that people and Airflow use, and writes every answer into a file; it is run over the code of a
revision and over the code as it stands, and the files are compared byte by byte.

The program comes from the present tree and knows no module of the package, or it could not run over both. It uses:

* the plugin as Airflow mounts it, over HTTP: documents, pages, REST;
* the command line ``airflow dagctl``;
* ``dagctl_provider.dag_factory.build_dags``, as Dag files do, and the sensor and operators in those Dags, as Airflow runs them;
* ``dagctl_provider.controller.runtime.Controller``, of which one turn settles what Airflow's tasks left;
* tables, by name of table and column; of those a version does not have, nothing is written.

Nothing in an answer is left out or made alike but for what :mod:`tests.compare.varying` names.
"""
