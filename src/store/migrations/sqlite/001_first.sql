-- Requests, attempts, what they add up to, callers' keys, the audit trail. Times are microseconds of Unix time,
-- durations nanoseconds, money nano-USD; a cost that nobody knows is NULL. Digests and ids are bytes.

CREATE TABLE batches (
    id BLOB NOT NULL PRIMARY KEY,
    at_micros INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX batches_by_time ON batches (at_micros);

CREATE TABLE requests (
    at_micros INTEGER NOT NULL,
    id BLOB NOT NULL,
    request_id TEXT NOT NULL,
    organisation TEXT,
    team TEXT,
    "user" TEXT,
    key_name TEXT,
    tags TEXT,
    route TEXT NOT NULL,
    arm TEXT,
    dialect TEXT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    replayed TEXT,
    attempts INTEGER NOT NULL,
    took INTEGER NOT NULL,
    first_byte INTEGER,
    own INTEGER NOT NULL,
    cost INTEGER,
    estimated INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    cache_read_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    input_image INTEGER NOT NULL,
    output_image INTEGER NOT NULL,
    images INTEGER NOT NULL,
    searches INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    audio_millis INTEGER NOT NULL,
    PRIMARY KEY (at_micros, id)
) WITHOUT ROWID;
CREATE INDEX requests_by_request_id ON requests (request_id);
CREATE INDEX requests_by_key ON requests (key_name, at_micros, id);

CREATE TABLE attempts (
    at_micros INTEGER NOT NULL,
    request BLOB NOT NULL,
    number INTEGER NOT NULL,
    part TEXT NOT NULL,
    upstream TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    credential INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT NOT NULL,
    took INTEGER NOT NULL,
    first_byte INTEGER,
    cost INTEGER,
    estimated INTEGER NOT NULL,
    priced TEXT NOT NULL,
    tier TEXT NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    cache_read_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    input_image INTEGER NOT NULL,
    output_image INTEGER NOT NULL,
    images INTEGER NOT NULL,
    searches INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    audio_millis INTEGER NOT NULL,
    PRIMARY KEY (request, number, at_micros)
) WITHOUT ROWID;
CREATE INDEX attempts_by_time ON attempts (at_micros);

-- What sums are kept of, by a hash of all of it. An empty text where there is none.
CREATE TABLE series (
    id BLOB NOT NULL PRIMARY KEY,
    organisation TEXT NOT NULL,
    team TEXT NOT NULL,
    "user" TEXT NOT NULL,
    key_name TEXT NOT NULL,
    route TEXT NOT NULL,
    arm TEXT NOT NULL,
    upstream TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    part TEXT NOT NULL,
    tag_value TEXT NOT NULL
) WITHOUT ROWID;

-- The same sums by hour and by day since the epoch: of everything (tag = ''), and once more of what has a tag.
CREATE TABLE hours (
    tag TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    series BLOB NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    cache_read_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    input_image INTEGER NOT NULL,
    output_image INTEGER NOT NULL,
    images INTEGER NOT NULL,
    searches INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    audio_millis INTEGER NOT NULL,
    PRIMARY KEY (tag, bucket, series)
) WITHOUT ROWID;
CREATE TABLE days (
    tag TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    series BLOB NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    input_audio INTEGER NOT NULL,
    cache_read_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL,
    input_image INTEGER NOT NULL,
    output_image INTEGER NOT NULL,
    images INTEGER NOT NULL,
    searches INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    audio_millis INTEGER NOT NULL,
    PRIMARY KEY (tag, bucket, series)
) WITHOUT ROWID;

CREATE INDEX hours_by_time ON hours (bucket);

-- The number of the last change to a key.
CREATE TABLE changes (
    last INTEGER NOT NULL
);
INSERT INTO changes (last) VALUES (0);

CREATE TABLE keys (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    organisation TEXT,
    team TEXT,
    "user" TEXT,
    terms TEXT NOT NULL,
    disabled_at INTEGER,
    expires_at INTEGER,
    deleted_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    version INTEGER NOT NULL
);
CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE deleted_at IS NULL;
CREATE INDEX keys_by_version ON keys (version);

CREATE TABLE key_digests (
    key_id BLOB NOT NULL REFERENCES keys (id),
    digest BLOB NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    PRIMARY KEY (key_id, digest)
);

CREATE TABLE audit (
    id BLOB NOT NULL PRIMARY KEY,
    at_micros INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
