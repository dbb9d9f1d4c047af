"""Database access beyond the ORM: compiled queries, bulk inserts, retries, transactions, cache keys.

`compiled` is private: it depends on undocumented parts of Django.
"""
