-- What operators were told of last, and when: whoever puts it down first tells it, of all replicas.

CREATE TABLE alerts (
    id BYTEA NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    firing BIGINT NOT NULL,
    since_micros BIGINT NOT NULL,
    told_micros BIGINT NOT NULL
);
