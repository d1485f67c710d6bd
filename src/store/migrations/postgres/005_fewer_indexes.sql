-- The ids of attempts' requests begin with the time: they are found by it. (SQLite has no index any more of the names that we
-- give to requests; to make one of callers' own alone would hold a large server up for too long.)

DROP INDEX attempts_by_time;
