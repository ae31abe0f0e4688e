-- What the upgrade took, from the first gateway that was prepared to the last one verified.
ALTER TABLE night ADD COLUMN upgrade BIGINT;
