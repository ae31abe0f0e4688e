-- What the steps of a night took that were done everywhere; of its tests the suites tell.
CREATE TABLE night_step (
    run TEXT NOT NULL REFERENCES night (run) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    step TEXT NOT NULL,
    -- The gateways that the night switched, where what the step takes depends on it.
    switched TEXT NOT NULL,
    took BIGINT NOT NULL,
    -- The night's own, again.
    setup TEXT,
    started BIGINT NOT NULL,
    PRIMARY KEY (run, place)
);
CREATE INDEX step_by_time ON night_step (setup, started);
