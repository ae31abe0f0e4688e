-- Nights, and what they found. Times are milliseconds since 1970, in UTC; what took time is in milliseconds.
CREATE TABLE night (
    run TEXT PRIMARY KEY,
    setup TEXT,
    command TEXT NOT NULL,
    program TEXT NOT NULL,
    url TEXT,
    status TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    wanted TEXT,
    release TEXT,
    passed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    -- Why it has not passed, as JSON.
    reasons TEXT NOT NULL
);
CREATE INDEX night_by_time ON night (started);

CREATE TABLE night_gateway (
    run TEXT NOT NULL REFERENCES night (run) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    gateway TEXT NOT NULL,
    before TEXT,
    after TEXT,
    outcome TEXT,
    PRIMARY KEY (run, place)
);

CREATE TABLE night_suite (
    run TEXT NOT NULL REFERENCES night (run) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    suite TEXT NOT NULL,
    list TEXT NOT NULL,
    host TEXT,
    verdict TEXT,
    planned BIGINT,
    took BIGINT,
    problem TEXT,
    PRIMARY KEY (run, place)
);

CREATE TABLE night_case (
    run TEXT NOT NULL REFERENCES night (run) ON DELETE CASCADE,
    suite TEXT NOT NULL,
    -- Its place among the attempts of its suite.
    place BIGINT NOT NULL,
    name TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    judged TEXT NOT NULL,
    verdict TEXT,
    took BIGINT NOT NULL,
    message TEXT,
    -- The night's own, again: what is asked most is how a case went over time.
    setup TEXT,
    started BIGINT NOT NULL,
    PRIMARY KEY (run, suite, place)
);
CREATE INDEX case_by_time ON night_case (setup, suite, name, started, judged);
