"""One transaction of the pipeline: locks, what is known, what is written; catalogue and debits."""
