-- The plan of each backfill: its windows, and the gaps that nobody has begun yet.

CREATE TABLE IF NOT EXISTS backfill_window (
    backfill_run_id TEXT NOT NULL,
    window_start TEXT NOT NULL,
    window_end TEXT NOT NULL,
    status TEXT NOT NULL,
    run_id TEXT,
    length_s INTEGER,
    halved INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    objects INTEGER,
    orders INTEGER,
    line_items INTEGER,
    sales INTEGER,
    products INTEGER,
    unchanged INTEGER,
    removed INTEGER,
    bytes INTEGER,
    started_at TEXT,
    ended_at TEXT,
    flow_run_id TEXT,
    error_message TEXT,
    PRIMARY KEY (backfill_run_id, window_start)
) STRICT;

CREATE INDEX IF NOT EXISTS backfill_window_run ON backfill_window (run_id);
