-- The ids of attempts' requests, and those that we give to requests, begin with the time: they are found by it. What is left
-- to be indexed are callers' own names for requests.

DROP INDEX attempts_by_time;
DROP INDEX requests_by_request_id;
CREATE INDEX requests_by_callers_id ON requests (request_id) WHERE substr(request_id, 1, 5) <> 'req_0';
