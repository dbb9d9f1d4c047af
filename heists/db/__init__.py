"""What heists needs of the database beyond the ORM.

`compiled` is private: it depends on undocumented parts of Django.
"""
