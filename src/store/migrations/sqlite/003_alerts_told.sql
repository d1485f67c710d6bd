-- What operators were told of last, and when: whoever puts it down first tells it, of all replicas.

CREATE TABLE alerts (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    firing INTEGER NOT NULL,
    since_micros INTEGER NOT NULL,
    told_micros INTEGER NOT NULL
) WITHOUT ROWID;
