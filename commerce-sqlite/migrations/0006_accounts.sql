-- Mailed tokens know the address they were mailed to, and change it. A CHECK can't be altered, so the table is made anew.
CREATE TABLE commerce_mail_token_new (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('confirm_email', 'reset_password', 'change_email')),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    email TEXT,
    former_email TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO commerce_mail_token_new (id, user_id, kind, hash, expires_at, used_at, created_at, version)
    SELECT id, user_id, kind, hash, expires_at, used_at, created_at, version FROM commerce_mail_token;
DROP TABLE commerce_mail_token;
ALTER TABLE commerce_mail_token_new RENAME TO commerce_mail_token;
CREATE INDEX commerce_mail_token_user ON commerce_mail_token (user_id);
