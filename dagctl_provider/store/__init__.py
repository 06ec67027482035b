"""Our tables and every statement on them, one module per family; callers hand in the session and commit.

Locks are taken in one order, so that no two transactions wait for each other:

1. the row of one project; nobody holds two (:func:`dagctl_provider.store.projects.get_project`). What is deployed and the jobs
   of the project are under this lock, too, and have none of their own,
2. the lease row ``artifacts``, then ``dags_index`` (:func:`dagctl_provider.store.leases.touch_lock`),
3. in Airflow: the Dag run, its task instances by id, the request for input; that is the scheduler's order, too.

1 is left out by who holds nothing of 1 or 2 (waking a task, Airflow's own requests). 2 and 3 may change places, since whoever
holds a lock of 3 has its project's, and the scheduler takes none of 1 or 2.
"""
