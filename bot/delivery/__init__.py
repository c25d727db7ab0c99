"""Messages in and out as rows: what arrived is handled once, what was decided is not forgotten."""
