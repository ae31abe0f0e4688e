-- By how much the start may be off, either way, in milliseconds: files of other tools have times without a time zone.
ALTER TABLE night ADD COLUMN unsure BIGINT NOT NULL DEFAULT 0;
