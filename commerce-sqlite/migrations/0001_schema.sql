-- Times are microseconds since 1970, amounts minor units, ids BLOB(16), value objects JSON text.
-- Aggregates don't reference each other by foreign keys: a set is guarded by versions, claims and floors instead.

---------------------------------------------------------------- commits, claims, idempotency keys

CREATE TABLE commerce_commit (
    id BLOB NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_claim (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_key (
    key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    subject BLOB,
    output TEXT,
    at INTEGER NOT NULL
) STRICT;

---------------------------------------------------------------- account

CREATE TABLE commerce_user (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email TEXT NOT NULL,
    email_confirmed INTEGER NOT NULL CHECK (email_confirmed IN (0, 1)),
    password_hash TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    phone TEXT,
    role TEXT NOT NULL CHECK (role IN ('customer', 'support', 'manager', 'admin')),
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    sessions_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    -- E-mail address and name in lower case: what staff search in.
    search TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_user_newest ON commerce_user (created_at, id);
CREATE INDEX commerce_user_role ON commerce_user (role, created_at, id);

CREATE TABLE commerce_session (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL,
    refresh_hash BLOB NOT NULL CHECK (length(refresh_hash) = 32),
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    ip TEXT,
    user_agent TEXT,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_session_user ON commerce_session (user_id, created_at, id);

CREATE TABLE commerce_mail_token (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('confirm_email', 'reset_password')),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_address (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL,
    address TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_address_user ON commerce_address (user_id, created_at, id);

---------------------------------------------------------------- catalog

CREATE TABLE commerce_category_tree (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO commerce_category_tree VALUES (1, 0);

CREATE TABLE commerce_category (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    parent_id BLOB,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `n` runs with `id`, so that walking rowids (which is all that full-text search can do in order) walks ids.
CREATE TABLE commerce_product (
    n INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'archived', 'deleted')),
    category_ids TEXT NOT NULL,
    attributes TEXT NOT NULL,
    images TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    rating_sum INTEGER NOT NULL DEFAULT 0 CHECK (rating_sum >= 0),
    rating_count INTEGER NOT NULL DEFAULT 0 CHECK (rating_count >= 0),
    -- Last, as it is the longest and lists don't read it.
    description TEXT NOT NULL
) STRICT;
CREATE INDEX commerce_product_slug ON commerce_product (slug);

CREATE TABLE commerce_variant (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    product INTEGER NOT NULL REFERENCES commerce_product (n) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    sku TEXT NOT NULL,
    title TEXT NOT NULL,
    options TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    retired INTEGER NOT NULL CHECK (retired IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_variant_product ON commerce_variant (product, position);
CREATE INDEX commerce_variant_sku ON commerce_variant (sku, id);

-- What lists filter and sort by: for each product one row without a category (x'') and one for each category it is in. Each
-- sort has its index, which also holds what is filtered by, so that a page is a walk along one index.
CREATE TABLE commerce_listing (
    product INTEGER NOT NULL REFERENCES commerce_product (n) ON DELETE CASCADE,
    category BLOB NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    min_price INTEGER NOT NULL,
    max_price INTEGER NOT NULL,
    title_key TEXT NOT NULL,
    rating REAL NOT NULL,
    in_stock INTEGER NOT NULL,
    PRIMARY KEY (product, category)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_listing_newest
    ON commerce_listing (category, status, created_at, product, min_price, max_price, rating, in_stock);
CREATE INDEX commerce_listing_price
    ON commerce_listing (category, status, min_price, product, max_price, rating, in_stock);
CREATE INDEX commerce_listing_title
    ON commerce_listing (category, status, title_key, product, min_price, max_price, rating, in_stock);
CREATE INDEX commerce_listing_rating
    ON commerce_listing (category, status, rating, product, min_price, max_price, in_stock);

-- Holds no text, only what finds it. `facets` are status and categories, so that they narrow a search inside the index.
CREATE VIRTUAL TABLE commerce_search USING fts5 (
    facets, title, keywords, body,
    content = '', contentless_delete = 1, detail = column, prefix = '1 2 3', tokenize = 'ascii'
);
-- Every word ever indexed: a prefix becomes the few words it begins, whose lists full-text search reads lazily.
CREATE TABLE commerce_search_word (word TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

---------------------------------------------------------------- inventory

CREATE TABLE commerce_stock (
    variant_id BLOB NOT NULL PRIMARY KEY CHECK (length(variant_id) = 16),
    product_id BLOB NOT NULL,
    on_hand INTEGER NOT NULL CHECK (on_hand >= 0),
    reserved INTEGER NOT NULL CHECK (reserved BETWEEN 0 AND on_hand),
    threshold INTEGER NOT NULL,
    low INTEGER NOT NULL CHECK (low IN (0, 1)),
    crossings INTEGER NOT NULL,
    alerted INTEGER NOT NULL CHECK (alerted <= crossings)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_stock_low ON commerce_stock (low) WHERE low = 1;
CREATE INDEX commerce_stock_unalerted ON commerce_stock (variant_id) WHERE crossings > alerted;

CREATE TABLE commerce_movement (
    variant_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    commit_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('initial', 'adjustment', 'sale', 'cancellation', 'return')),
    delta INTEGER NOT NULL,
    on_hand_after INTEGER NOT NULL CHECK (on_hand_after >= 0),
    order_id BLOB,
    actor TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (variant_id, at, commit_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_alert (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL,
    variant_id BLOB,
    order_id BLOB,
    detail TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_alert_newest ON commerce_alert (raised_at, id, acknowledged_at);

---------------------------------------------------------------- cart

CREATE TABLE commerce_cart (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'ordered', 'merged')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_cart_line (
    cart_id BLOB NOT NULL REFERENCES commerce_cart (id) ON DELETE CASCADE,
    variant_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 1),
    PRIMARY KEY (cart_id, variant_id)
) STRICT, WITHOUT ROWID;

---------------------------------------------------------------- order

CREATE TABLE commerce_order (
    n INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    number TEXT NOT NULL,
    customer_id BLOB,
    email TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'completed', 'cancelled')),
    payment_status TEXT NOT NULL,
    fulfilment_status TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    subtotal INTEGER NOT NULL CHECK (subtotal >= 0),
    discount INTEGER NOT NULL CHECK (discount >= 0),
    shipping INTEGER NOT NULL CHECK (shipping >= 0),
    tax INTEGER NOT NULL CHECK (tax >= 0),
    grand_total INTEGER NOT NULL CHECK (grand_total >= 0),
    shipping_address TEXT NOT NULL,
    billing_address TEXT NOT NULL,
    shipping_method TEXT NOT NULL,
    cart_id BLOB,
    idempotency_key BLOB,
    cancel_reason TEXT,
    declined INTEGER NOT NULL CHECK (declined IN (0, 1)),
    placed_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT;
-- Also holds what is filtered by, so that a page of orders in a rare state is a walk along one index.
CREATE INDEX commerce_order_newest
    ON commerce_order (placed_at, id, status, payment_status, fulfilment_status, declined);
CREATE INDEX commerce_order_customer ON commerce_order (customer_id, placed_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX commerce_order_email ON commerce_order (email);
CREATE INDEX commerce_order_number ON commerce_order (number);

CREATE TABLE commerce_order_line (
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    variant_id BLOB NOT NULL,
    product_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    sku TEXT NOT NULL,
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 1),
    unit_price INTEGER NOT NULL CHECK (unit_price >= 0),
    total INTEGER NOT NULL CHECK (total >= 0),
    charged INTEGER NOT NULL CHECK (charged >= 0),
    tax INTEGER NOT NULL CHECK (tax >= 0),
    fulfilled INTEGER NOT NULL CHECK (fulfilled >= 0),
    cancelled INTEGER NOT NULL CHECK (cancelled >= 0),
    refunded INTEGER NOT NULL CHECK (refunded BETWEEN 0 AND quantity),
    returned INTEGER NOT NULL CHECK (returned BETWEEN 0 AND fulfilled),
    CHECK (fulfilled + cancelled <= quantity),
    PRIMARY KEY (order_id, variant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_order_line_product ON commerce_order_line (product_id);

CREATE TABLE commerce_payment (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    gateway TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    captured INTEGER NOT NULL CHECK (captured BETWEEN 0 AND amount),
    refunded INTEGER NOT NULL CHECK (refunded >= 0),
    refund_pending INTEGER NOT NULL CHECK (refund_pending >= 0),
    reference TEXT,
    token TEXT,
    next_action TEXT,
    failure TEXT,
    lease_until INTEGER,
    reserved_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK (refunded + refund_pending <= captured)
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_payment_order ON commerce_payment (order_id);
CREATE INDEX commerce_payment_newest ON commerce_payment (created_at, id, status);

CREATE TABLE commerce_refund (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    payment_id BLOB NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'settled', 'failed')),
    reason TEXT NOT NULL,
    items TEXT NOT NULL,
    restock INTEGER NOT NULL CHECK (restock IN (0, 1)),
    return_id BLOB,
    reference TEXT,
    failure TEXT,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_refund_order ON commerce_refund (order_id);

CREATE TABLE commerce_fulfilment (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled')),
    carrier TEXT NOT NULL,
    tracking_number TEXT NOT NULL,
    tracking_url TEXT,
    items TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    shipped_at INTEGER,
    delivered_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_fulfilment_order ON commerce_fulfilment (order_id);

CREATE TABLE commerce_return (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('requested', 'approved', 'rejected', 'received')),
    items TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_return_order ON commerce_return (order_id);
CREATE INDEX commerce_return_newest ON commerce_return (created_at, id, status);

---------------------------------------------------------------- review

CREATE TABLE commerce_review (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    product_id BLOB NOT NULL,
    customer_id BLOB NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    verified_purchase INTEGER NOT NULL CHECK (verified_purchase IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('published', 'hidden')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    body TEXT NOT NULL
) STRICT;
CREATE INDEX commerce_review_product ON commerce_review (product_id, created_at, id, status);
CREATE INDEX commerce_review_customer ON commerce_review (customer_id, created_at, id);
CREATE INDEX commerce_review_newest ON commerce_review (created_at, id, status);

---------------------------------------------------------------- events and tasks

CREATE TABLE commerce_event (
    root_id BLOB NOT NULL,
    root_kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    n INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (root_id, root_kind, version, n, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE commerce_task (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    due INTEGER NOT NULL,
    dead INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1)),
    attempts INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    worker TEXT,
    last_error TEXT,
    kind TEXT NOT NULL,
    task TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commerce_task_due ON commerce_task (dead, due, id);
