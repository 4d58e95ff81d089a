-- The whole schema. Rules it keeps, so that it can be sharded: every primary and unique key holds the table's distribution
-- column (the first column of the key), ids are UUIDs made by the application, times are bound as BIGINT microseconds,
-- money is BIGINT minor units, text that lists are sorted by compares byte by byte, nothing refers across aggregates.

-- ---------------------------------------------------------------------------------------------------------------------
-- What must be unique, and what was done already.

CREATE TABLE commerce_commit (
    id UUID PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX commerce_commit_set_at ON commerce_commit (at);

CREATE TABLE commerce_claim (
    key   TEXT COLLATE "C" NOT NULL,
    kind  TEXT COLLATE "C" NOT NULL,
    owner UUID NOT NULL,
    PRIMARY KEY (key, kind)
);

CREATE TABLE commerce_key (
    key         BYTEA PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    subject     UUID,
    output      JSONB,
    at          BIGINT NOT NULL
);
CREATE INDEX commerce_idempotency_at ON commerce_key (at);

-- ---------------------------------------------------------------------------------------------------------------------
-- Accounts.

CREATE TABLE commerce_user (
    id              UUID PRIMARY KEY,
    email           TEXT COLLATE "C" NOT NULL,
    email_confirmed BOOLEAN NOT NULL,
    password_hash   TEXT NOT NULL,
    first_name      TEXT NOT NULL,
    last_name       TEXT NOT NULL,
    phone           TEXT,
    role            TEXT COLLATE "C" NOT NULL,
    disabled        BOOLEAN NOT NULL,
    sessions_from   BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    version         BIGINT NOT NULL CHECK (version > 0),
    found_by        TEXT COLLATE "C" NOT NULL -- e-mail and name in lower case, for staff who search
);
CREATE INDEX commerce_users_newest ON commerce_user (created_at, id);

CREATE TABLE commerce_session (
    id              UUID PRIMARY KEY,
    user_id         UUID NOT NULL,
    refresh_hash    BYTEA NOT NULL CHECK (length(refresh_hash) = 32),
    generation      BIGINT NOT NULL CHECK (generation >= 0),
    rotated_at      BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    ended_at        BIGINT,
    ip              TEXT,
    user_agent      TEXT,
    created_at      BIGINT NOT NULL,
    version         BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_session_of_user ON commerce_session (user_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX commerce_session_ended ON commerce_session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX commerce_session_expires ON commerce_session (expires_at);

CREATE TABLE commerce_mail_token (
    id         UUID PRIMARY KEY,
    user_id    UUID NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    hash       BYTEA NOT NULL CHECK (length(hash) = 32),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_mail_token_expires ON commerce_mail_token (expires_at);
CREATE INDEX commerce_mail_token_used ON commerce_mail_token (used_at) WHERE used_at IS NOT NULL;

CREATE TABLE commerce_address (
    id         UUID PRIMARY KEY,
    user_id    UUID NOT NULL,
    address    JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_address_of_user ON commerce_address (user_id, created_at, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Catalogue: small enough to be replicated whole.

CREATE TABLE commerce_product (
    id          UUID PRIMARY KEY,
    slug        TEXT COLLATE "C" NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    attributes  JSONB NOT NULL,
    images      JSONB NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL CHECK (version > 0),
    title_key   TEXT COLLATE "C" NOT NULL,
    min_price   BIGINT NOT NULL,
    max_price   BIGINT NOT NULL,
    document    TSVECTOR NOT NULL -- '3word' in the title, '2word' there or a keyword, '1word' anywhere
);
CREATE INDEX commerce_product_newest ON commerce_product (status, created_at, id);
CREATE INDEX commerce_product_by_price ON commerce_product (status, min_price, id);
CREATE INDEX commerce_product_by_title ON commerce_product (status, title_key, id);
CREATE INDEX commerce_product_all_newest ON commerce_product (created_at, id);
-- Without fastupdate: searches are many and writes few, and each search would read through the list of pending ones.
CREATE INDEX commerce_product_document ON commerce_product USING gin (document) WITH (fastupdate = off);

-- Every word ever indexed: what a mistyped word may have meant.
CREATE TABLE commerce_search_word (word TEXT COLLATE "C" PRIMARY KEY);

CREATE TABLE commerce_variant (
    product_id UUID NOT NULL,
    id         UUID NOT NULL,
    position   BIGINT NOT NULL,
    sku        TEXT COLLATE "C" NOT NULL,
    title      TEXT NOT NULL,
    options    JSONB NOT NULL,
    price      BIGINT NOT NULL CHECK (price >= 0),
    currency   TEXT COLLATE "C" NOT NULL,
    retired    BOOLEAN NOT NULL,
    sku_key    TEXT COLLATE "C" NOT NULL, -- in lower case, for staff who search
    PRIMARY KEY (product_id, id)
);
CREATE INDEX commerce_variant_id ON commerce_variant (id);
CREATE INDEX commerce_variant_by_sku ON commerce_variant (sku, id) WHERE NOT retired;
CREATE INDEX commerce_variant_by_price ON commerce_variant (price, product_id) WHERE NOT retired;

-- What lists of a category are filtered and sorted by, so that each is one range of one index.
CREATE TABLE commerce_product_category (
    product_id  UUID NOT NULL,
    category_id UUID NOT NULL,
    position    BIGINT NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    title_key   TEXT COLLATE "C" NOT NULL,
    min_price   BIGINT NOT NULL,
    max_price   BIGINT NOT NULL,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX commerce_category_newest ON commerce_product_category (category_id, status, created_at, product_id);
CREATE INDEX commerce_category_by_price ON commerce_product_category (category_id, status, min_price, product_id);
CREATE INDEX commerce_category_by_title ON commerce_product_category (category_id, status, title_key, product_id);

CREATE TABLE commerce_category_tree (
    id      UUID PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO commerce_category_tree (id, version) VALUES ('00000000-0000-0000-0000-000000000000', 0);

CREATE TABLE commerce_category (
    id        UUID PRIMARY KEY,
    slug      TEXT COLLATE "C" NOT NULL,
    name      TEXT NOT NULL,
    parent_id UUID,
    position  BIGINT NOT NULL
);

CREATE TABLE commerce_rating (
    product_id UUID PRIMARY KEY,
    sum        BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    average    DOUBLE PRECISION NOT NULL GENERATED ALWAYS AS
                   (CASE WHEN count = 0 THEN 0 ELSE sum::DOUBLE PRECISION / count::DOUBLE PRECISION END) STORED,
    CHECK (count >= 0 AND sum >= 0)
);
CREATE INDEX commerce_rating_best ON commerce_rating (average, product_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Inventory.

CREATE TABLE commerce_stock (
    variant_id          UUID PRIMARY KEY,
    product_id          UUID NOT NULL,
    on_hand             BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved            BIGINT NOT NULL CHECK (reserved >= 0),
    low_stock_threshold BIGINT NOT NULL,
    low                 BOOLEAN NOT NULL,
    in_stock            BOOLEAN NOT NULL, -- indexed in place of the numbers, which would spoil heap-only updates
    crossings           BIGINT NOT NULL CHECK (crossings >= 0),
    alerted             BIGINT NOT NULL CHECK (alerted >= 0),
    CHECK (reserved <= on_hand),
    CHECK (in_stock = (on_hand > reserved))
) WITH (fillfactor = 50); -- the hottest rows: room for updates on the same page
CREATE INDEX commerce_stock_available ON commerce_stock (product_id) WHERE in_stock;
CREATE INDEX commerce_stock_low ON commerce_stock (variant_id) WHERE low;
CREATE INDEX commerce_stock_unalerted ON commerce_stock (variant_id) WHERE crossings > alerted;

CREATE TABLE commerce_movement (
    variant_id    UUID NOT NULL,
    set_id        UUID NOT NULL,
    at            BIGINT NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    delta         BIGINT NOT NULL,
    on_hand_after BIGINT NOT NULL CHECK (on_hand_after >= 0),
    order_id      UUID,
    actor         JSONB NOT NULL,
    reason        TEXT,
    PRIMARY KEY (variant_id, set_id)
);
CREATE INDEX commerce_movement_newest ON commerce_movement (variant_id, at, set_id);

CREATE TABLE commerce_alert (
    id              UUID PRIMARY KEY,
    kind            TEXT COLLATE "C" NOT NULL,
    variant_id      UUID,
    order_id        UUID,
    detail          TEXT NOT NULL,
    raised_at       BIGINT NOT NULL,
    acknowledged_at BIGINT,
    version         BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_alert_newest ON commerce_alert (raised_at, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Carts.

CREATE TABLE commerce_cart (
    id         UUID PRIMARY KEY,
    owner      TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL CHECK (version > 0)
);

CREATE TABLE commerce_cart_line (
    cart_id    UUID NOT NULL,
    variant_id UUID NOT NULL,
    position   BIGINT NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity >= 1),
    PRIMARY KEY (cart_id, variant_id)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Orders, and all that hangs below them.

CREATE TABLE commerce_order (
    id                UUID PRIMARY KEY,
    number            TEXT COLLATE "C" NOT NULL,
    customer_id       UUID,
    email             TEXT COLLATE "C" NOT NULL,
    status            TEXT COLLATE "C" NOT NULL,
    payment_status    TEXT COLLATE "C" NOT NULL,
    fulfilment_status TEXT COLLATE "C" NOT NULL,
    currency          TEXT COLLATE "C" NOT NULL,
    subtotal          BIGINT NOT NULL,
    discount          BIGINT NOT NULL,
    shipping          BIGINT NOT NULL,
    tax               BIGINT NOT NULL,
    grand_total       BIGINT NOT NULL CHECK (grand_total >= 0),
    shipping_address  JSONB NOT NULL,
    billing_address   JSONB NOT NULL,
    shipping_method   JSONB NOT NULL,
    cart_id           UUID,
    idempotency_key   BYTEA,
    cancel_reason     TEXT,
    declined          BOOLEAN NOT NULL,
    placed_at         BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_orders_newest ON commerce_order (placed_at, id);
CREATE INDEX commerce_orders_of_customer ON commerce_order (customer_id, placed_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX commerce_orders_by_status ON commerce_order (status, placed_at, id);
CREATE INDEX commerce_orders_by_email ON commerce_order (email, placed_at, id);
CREATE INDEX commerce_orders_by_number ON commerce_order (number);

CREATE TABLE commerce_order_line (
    order_id   UUID NOT NULL,
    variant_id UUID NOT NULL,
    position   BIGINT NOT NULL,
    product_id UUID NOT NULL,
    sku        TEXT NOT NULL,
    title      TEXT NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity >= 1),
    currency   TEXT COLLATE "C" NOT NULL,
    unit_price BIGINT NOT NULL,
    total      BIGINT NOT NULL,
    charged    BIGINT NOT NULL,
    tax        BIGINT NOT NULL,
    fulfilled  BIGINT NOT NULL CHECK (fulfilled >= 0),
    cancelled  BIGINT NOT NULL CHECK (cancelled >= 0),
    refunded   BIGINT NOT NULL CHECK (refunded >= 0 AND refunded <= quantity),
    returned   BIGINT NOT NULL CHECK (returned >= 0 AND returned <= quantity),
    PRIMARY KEY (order_id, variant_id),
    CHECK (fulfilled + cancelled <= quantity)
);
CREATE INDEX commerce_order_line_of_product ON commerce_order_line (product_id);

CREATE TABLE commerce_payment (
    order_id       UUID NOT NULL,
    id             UUID NOT NULL,
    method         TEXT NOT NULL,
    gateway        TEXT NOT NULL,
    status         TEXT COLLATE "C" NOT NULL,
    currency       TEXT COLLATE "C" NOT NULL,
    amount         BIGINT NOT NULL,
    captured       BIGINT NOT NULL,
    refunded       BIGINT NOT NULL CHECK (refunded >= 0),
    refund_pending BIGINT NOT NULL CHECK (refund_pending >= 0),
    reference      TEXT,
    token          TEXT,
    next_action    JSONB,
    failure        TEXT,
    lease_until    BIGINT,
    reserved_until BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (order_id, id),
    CHECK (refunded + refund_pending <= captured AND captured <= amount)
);
CREATE INDEX commerce_payment_id ON commerce_payment (id);
CREATE INDEX commerce_payment_newest ON commerce_payment (created_at, id);
CREATE INDEX commerce_payment_by_status ON commerce_payment (status, created_at, id);

CREATE TABLE commerce_refund (
    order_id    UUID NOT NULL,
    id          UUID NOT NULL,
    payment_id  UUID NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL CHECK (amount >= 0),
    status      TEXT COLLATE "C" NOT NULL,
    reason      TEXT NOT NULL,
    items       JSONB NOT NULL,
    restock     BOOLEAN NOT NULL,
    return_id   UUID,
    reference   TEXT,
    failure     TEXT,
    lease_until BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (order_id, id)
);
CREATE INDEX commerce_refund_id ON commerce_refund (id);

CREATE TABLE commerce_fulfilment (
    order_id        UUID NOT NULL,
    id              UUID NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,
    carrier         TEXT NOT NULL,
    tracking_number TEXT NOT NULL,
    tracking_url    TEXT,
    items           JSONB NOT NULL,
    created_at      BIGINT NOT NULL,
    shipped_at      BIGINT,
    delivered_at    BIGINT,
    PRIMARY KEY (order_id, id)
);
CREATE INDEX commerce_fulfilment_id ON commerce_fulfilment (id);

CREATE TABLE commerce_return (
    order_id   UUID NOT NULL,
    id         UUID NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    items      JSONB NOT NULL,
    reason     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (order_id, id)
);
CREATE INDEX commerce_order_return_id ON commerce_return (id);
CREATE INDEX commerce_order_return_newest ON commerce_return (created_at, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Reviews.

CREATE TABLE commerce_review (
    id                UUID PRIMARY KEY,
    product_id        UUID NOT NULL,
    customer_id       UUID NOT NULL,
    rating            BIGINT NOT NULL CHECK (rating >= 1 AND rating <= 5),
    title             TEXT NOT NULL,
    body              TEXT NOT NULL,
    author            TEXT NOT NULL,
    verified_purchase BOOLEAN NOT NULL,
    status            TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL CHECK (version > 0)
);
CREATE INDEX commerce_review_newest ON commerce_review (created_at, id);
CREATE INDEX commerce_review_of_product ON commerce_review (product_id, created_at, id);
CREATE INDEX commerce_review_of_customer ON commerce_review (customer_id, created_at, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Outbox: events and due work.

CREATE TABLE commerce_event (
    root_id   UUID NOT NULL,
    id        UUID NOT NULL,
    root_kind TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    n         BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    actor     JSONB NOT NULL,
    event     JSONB NOT NULL,
    PRIMARY KEY (root_id, id)
);
CREATE INDEX commerce_event_in_order ON commerce_event (root_id, root_kind, version, n);

CREATE TABLE commerce_task (
    id          UUID PRIMARY KEY,
    due         BIGINT NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    body        JSONB NOT NULL,
    attempts    BIGINT NOT NULL,
    worker      TEXT,
    lease_until BIGINT NOT NULL, -- 0: never leased
    dead        BOOLEAN NOT NULL,
    last_error  TEXT
);
CREATE INDEX commerce_task_due ON commerce_task (due, id) WHERE NOT dead;
CREATE INDEX commerce_task_dead ON commerce_task (due, id) WHERE dead;
