"""The REST API: contracts as tables of operations, and what makes routes, checks and the OpenAPI document out of such a table."""
