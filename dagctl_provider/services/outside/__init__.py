"""What is asked outside the database: git hosts, clusters, package indexes, database servers, Airflow's auth manager.

Nothing here takes a session: what is outside may be slow, and no lock is held meanwhile.
"""
