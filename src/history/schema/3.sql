-- What the upgrade took, from the first gateway that was prepared to the last one verified.
ALTER TABLE night ADD COLUMN upgrade BIGINT;
-- The gateways that did not run the release, in words; none where all did.
ALTER TABLE night ADD COLUMN strangers TEXT;
UPDATE night SET strangers = 'it is not known whether the federation gateways ran it'
    WHERE NOT EXISTS (SELECT 1 FROM night_gateway g WHERE g.run = night.run AND g.gateway <> 'agw')
        OR EXISTS (SELECT 1 FROM night_gateway g WHERE g.run = night.run AND g.gateway <> 'agw'
            AND (g.after IS NULL OR release IS NULL OR g.after <> substr(release, length(release) - 7)));
