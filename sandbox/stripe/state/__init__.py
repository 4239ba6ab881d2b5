"""How an account is kept: one SQLite file, its records as JSON that later releases read too.

`store` has the file, `records` turns records into JSON and back, `earlier` reads what releases up
to 0.2.0 wrote.
"""
