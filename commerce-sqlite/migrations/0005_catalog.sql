-- What finds and sorts products is made by the program: it makes it anew when `version` isn't its own. `building` is the version
-- that is being made, `done` the last product that has it.
CREATE TABLE commerce_search_index (
    id INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    building INTEGER NOT NULL,
    done BLOB NOT NULL CHECK (length(done) = 16)
) STRICT;
INSERT INTO commerce_search_index VALUES (1, 0, 0, zeroblob(16));

-- `whole` holds the title and each SKU as one word, '+' and '#' belong to words such as c++ and c#.
DROP TABLE commerce_search;
CREATE VIRTUAL TABLE commerce_search USING fts5 (
    facets, whole, title, keywords, body,
    content = '', contentless_delete = 1, detail = column, prefix = '1 2 3', tokenize = "ascii tokenchars '+#'"
);

-- A key of the Unicode Collation Algorithm; `title_key` is the title in lower case, which staff search in.
ALTER TABLE commerce_listing ADD COLUMN title_sort TEXT NOT NULL DEFAULT '';
DROP INDEX commerce_listing_title;
CREATE INDEX commerce_listing_title
    ON commerce_listing (category, status, title_sort, product, min_price, max_price, rating, in_stock);
