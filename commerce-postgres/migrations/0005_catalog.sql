-- What finds and sorts products is made by the program: it makes it anew when `version` isn't its own. `building` is the version
-- that is being made, `done` the last product that has it.
CREATE TABLE commerce_search_index (
    id       BIGINT PRIMARY KEY,
    version  BIGINT NOT NULL,
    building BIGINT NOT NULL,
    done     UUID NOT NULL
);
INSERT INTO commerce_search_index (id, version, building, done) VALUES (1, 0, 0, '00000000-0000-0000-0000-000000000000');

-- A key of the Unicode Collation Algorithm; `title_key` is the title in lower case, which staff search in.
ALTER TABLE commerce_product ADD COLUMN title_sort TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE commerce_product_category ADD COLUMN title_sort TEXT COLLATE "C" NOT NULL DEFAULT '';
DROP INDEX commerce_product_by_title;
DROP INDEX commerce_category_by_title;
CREATE INDEX commerce_product_by_title ON commerce_product (status, title_sort, id);
CREATE INDEX commerce_category_by_title ON commerce_product_category (category_id, status, title_sort, product_id);
