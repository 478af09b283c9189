-- What the windows of runs cut (updated_at or created_at), since when all orders are in, and when runs ended.
-- NULL for runs of before: `python -m deployments rebuild-runs` fills it in.

ALTER TABLE sync_run ADD COLUMN window_field VARCHAR(64);

CREATE INDEX sync_run_windows ON sync_run (job_type, status, window_end, window_start, window_field);

CREATE INDEX sync_run_ended ON sync_run (job_type, status, updated_at);
