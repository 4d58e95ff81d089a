-- How many attempts were made in the newest window of time: sign-ins that failed, links that were mailed.

CREATE TABLE commerce_attempt (
    key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    since INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0 AND attempts <= most),
    most INTEGER NOT NULL
) STRICT;

CREATE INDEX commerce_attempt_since ON commerce_attempt (since);
