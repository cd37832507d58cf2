"""The store: tables, queue, event log, migrations. The only room that speaks SQL."""
