-- Requests, attempts, what they add up to, callers' keys, the audit trail. Times are microseconds of Unix time,
-- durations nanoseconds, money nano-USD; a cost that nobody knows is NULL. Digests and ids are bytes.

CREATE TABLE batches (
    id BYTEA NOT NULL PRIMARY KEY,
    at_micros BIGINT NOT NULL
);
CREATE INDEX batches_by_time ON batches (at_micros);

CREATE TABLE requests (
    at_micros BIGINT NOT NULL,
    id BYTEA NOT NULL,
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
    stream BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    replayed TEXT,
    attempts BIGINT NOT NULL,
    took BIGINT NOT NULL,
    first_byte BIGINT,
    own BIGINT NOT NULL,
    cost BIGINT,
    estimated BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    input_audio BIGINT NOT NULL,
    cache_read_audio BIGINT NOT NULL,
    output_audio BIGINT NOT NULL,
    input_image BIGINT NOT NULL,
    output_image BIGINT NOT NULL,
    images BIGINT NOT NULL,
    searches BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    audio_millis BIGINT NOT NULL,
    PRIMARY KEY (at_micros, id)
) PARTITION BY RANGE (at_micros);
CREATE INDEX requests_by_request_id ON requests (request_id);
CREATE INDEX requests_by_key ON requests (key_name, at_micros, id);

CREATE TABLE attempts (
    at_micros BIGINT NOT NULL,
    request BYTEA NOT NULL,
    number BIGINT NOT NULL,
    part TEXT NOT NULL,
    upstream TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    credential BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT NOT NULL,
    took BIGINT NOT NULL,
    first_byte BIGINT,
    cost BIGINT,
    estimated BIGINT NOT NULL,
    priced TEXT NOT NULL,
    tier TEXT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    input_audio BIGINT NOT NULL,
    cache_read_audio BIGINT NOT NULL,
    output_audio BIGINT NOT NULL,
    input_image BIGINT NOT NULL,
    output_image BIGINT NOT NULL,
    images BIGINT NOT NULL,
    searches BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    audio_millis BIGINT NOT NULL,
    PRIMARY KEY (request, number, at_micros)
) PARTITION BY RANGE (at_micros);
CREATE INDEX attempts_by_time ON attempts (at_micros);

-- For what comes so late, or with so wrong a clock, that no month was made for it.
CREATE TABLE requests_other PARTITION OF requests DEFAULT;
CREATE TABLE attempts_other PARTITION OF attempts DEFAULT;

-- What sums are kept of, by a hash of all of it. An empty text where there is none.
CREATE TABLE series (
    id BYTEA NOT NULL PRIMARY KEY,
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
);

-- The same sums by hour and by day since the epoch: of everything (tag = ''), and once more of what has a tag.
-- Each batch changes rows of the present hour and day, whose new versions find room on the same page.
CREATE TABLE hours (
    tag TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    series BYTEA NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    input_audio BIGINT NOT NULL,
    cache_read_audio BIGINT NOT NULL,
    output_audio BIGINT NOT NULL,
    input_image BIGINT NOT NULL,
    output_image BIGINT NOT NULL,
    images BIGINT NOT NULL,
    searches BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    audio_millis BIGINT NOT NULL,
    PRIMARY KEY (tag, bucket, series)
) WITH (fillfactor = 70);
CREATE TABLE days (
    tag TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    series BYTEA NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    input_audio BIGINT NOT NULL,
    cache_read_audio BIGINT NOT NULL,
    output_audio BIGINT NOT NULL,
    input_image BIGINT NOT NULL,
    output_image BIGINT NOT NULL,
    images BIGINT NOT NULL,
    searches BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    audio_millis BIGINT NOT NULL,
    PRIMARY KEY (tag, bucket, series)
) WITH (fillfactor = 70);

CREATE INDEX hours_by_time ON hours (bucket);

-- The number of the last change to a key.
CREATE TABLE changes (
    last BIGINT NOT NULL
);
INSERT INTO changes (last) VALUES (0);

CREATE TABLE keys (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    organisation TEXT,
    team TEXT,
    "user" TEXT,
    terms TEXT NOT NULL,
    disabled_at BIGINT,
    expires_at BIGINT,
    deleted_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE deleted_at IS NULL;
CREATE INDEX keys_by_version ON keys (version);

CREATE TABLE key_digests (
    key_id BYTEA NOT NULL REFERENCES keys (id),
    digest BYTEA NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT,
    PRIMARY KEY (key_id, digest)
);

CREATE TABLE audit (
    id BYTEA NOT NULL PRIMARY KEY,
    at_micros BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
