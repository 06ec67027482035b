"""The REST contract of the Projects and Plans documents, at ``/api/v1``."""
