-- Mailed tokens know the address they were mailed to, and change it.
ALTER TABLE commerce_mail_token ADD COLUMN email TEXT COLLATE "C";
ALTER TABLE commerce_mail_token ADD COLUMN former_email TEXT COLLATE "C";
CREATE INDEX commerce_mail_token_of_user ON commerce_mail_token (user_id);
