"""How a run is put together: what `collect` and `worker` do beside collecting is one list (`steps.py`)."""
