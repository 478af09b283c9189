-- The plan of each backfill: its windows, and the gaps that nobody has begun yet.

CREATE TABLE IF NOT EXISTS backfill_window (
    backfill_run_id VARCHAR(64) NOT NULL,
    window_start DATETIME NOT NULL,
    window_end DATETIME NOT NULL,
    status VARCHAR(64) NOT NULL,
    run_id VARCHAR(64),
    length_s BIGINT,
    halved TINYINT(1) NOT NULL,
    failures INTEGER NOT NULL,
    objects BIGINT,
    orders BIGINT,
    line_items BIGINT,
    sales BIGINT,
    products BIGINT,
    unchanged BIGINT,
    removed BIGINT,
    bytes BIGINT,
    started_at DATETIME,
    ended_at DATETIME,
    flow_run_id VARCHAR(64),
    error_message MEDIUMTEXT,
    PRIMARY KEY (backfill_run_id, window_start),
    KEY backfill_window_run (run_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
