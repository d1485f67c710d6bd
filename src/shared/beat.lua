-- Says that a replica is there, and tells who else is. KEYS: the replicas, the age. ARGV: this replica, for how long it
-- counts as alive (ms), a word for an age that begins, for how long an age outlasts the last replica (ms).
-- Answers: the time (microseconds), how many replicas there are, and the age: another one where what was counted before
-- is gone.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SETNX', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {time[1] * 1000000 + time[2], redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2])}
