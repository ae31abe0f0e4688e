-- What the cases and the suites of a night came to, all attempts taken together.
ALTER TABLE night ADD COLUMN flaky BIGINT NOT NULL DEFAULT 0;
ALTER TABLE night ADD COLUMN known BIGINT NOT NULL DEFAULT 0;

-- The word for a status: `passed`, `tests_failed`, `inconclusive`, ...
ALTER TABLE night_suite ADD COLUMN status TEXT NOT NULL DEFAULT 'inconclusive';
-- The night's own, again.
ALTER TABLE night_suite ADD COLUMN setup TEXT;
ALTER TABLE night_suite ADD COLUMN started BIGINT NOT NULL DEFAULT 0;
UPDATE night_suite SET
    setup = (SELECT setup FROM night WHERE night.run = night_suite.run),
    started = (SELECT started FROM night WHERE night.run = night_suite.run),
    status = CASE
        WHEN EXISTS (SELECT 1 FROM night_case c WHERE c.run = night_suite.run AND c.suite = night_suite.suite AND c.judged = 'failed')
            THEN 'tests_failed'
        WHEN problem IS NOT NULL OR verdict IS NULL
            OR EXISTS (SELECT 1 FROM night_case c WHERE c.run = night_suite.run AND c.suite = night_suite.suite AND c.judged <> 'passed')
            OR (SELECT COUNT(*) FROM night_case c WHERE c.run = night_suite.run AND c.suite = night_suite.suite) < COALESCE(planned, 1)
            THEN 'inconclusive'
        ELSE 'passed'
    END;
CREATE INDEX suite_by_time ON night_suite (setup, suite, started);

-- What the case came to, in the row of the attempt that is shown; none in those of the others.
ALTER TABLE night_case ADD COLUMN came_to TEXT;
UPDATE night_case SET came_to = judged;
DROP INDEX case_by_time;
CREATE INDEX case_by_time ON night_case (setup, suite, name, started, came_to);
