-- How many attempts were made in the newest window of time: sign-ins that failed, links that were mailed.

CREATE TABLE commerce_attempt (
    key      BYTEA PRIMARY KEY CHECK (length(key) = 32),
    since    BIGINT NOT NULL,
    attempts BIGINT NOT NULL CHECK (attempts >= 0 AND attempts <= most),
    most     BIGINT NOT NULL
);

CREATE INDEX commerce_attempt_since ON commerce_attempt (since);
