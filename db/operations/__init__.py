"""What operators ask of the tables: audits, rebuilds, replays, stories, health."""
