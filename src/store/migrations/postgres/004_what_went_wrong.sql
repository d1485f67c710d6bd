-- Requests that did not end well, found without a look at all that did. Who writes pays for them alone.

CREATE INDEX requests_gone_wrong ON requests (outcome, at_micros, id) WHERE outcome <> 'ok';
