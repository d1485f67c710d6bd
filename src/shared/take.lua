-- Grants a request in every row, or in none. Whole numbers only; times in microseconds.
-- KEYS: a key for each row, then the replicas, then the age. ARGV: this replica, for how long it counts as alive (ms),
-- the age that it knows, and for each row: w, limit, amount, width of a slot; or r, limit, how many run here, the turn of
-- that number.
-- Answers: nothing if the age is another one; else the time, then for each row what is used (this request included, if it is granted) and how long it would
-- have to wait: 0, or -1 until another one ends, or -2 for ever.
local SLOTS = 120
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local me, alive, last = ARGV[1], KEYS[#KEYS - 1], tonumber(ARGV[2])
local rows, answer, granted, at = {}, {now}, true, 4
if redis.call('GET', KEYS[#KEYS]) ~= ARGV[3] then return {} end

for i = 1, #KEYS - 2 do
  local key, kind = KEYS[i], ARGV[at]
  local limit, amount, more = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local used, wait, slot = 0, 0, 0
  at = at + 4
  if kind == 'w' then
    slot = math.floor(now / more)
    local first = slot - SLOTS
    local known = redis.call('HMGET', key, 'sum', 'first')
    used = tonumber(known[1] or 0)
    local oldest = tonumber(known[2] or first)
    if first - oldest > SLOTS then
      redis.call('DEL', key)
      used = 0
    else
      for s = oldest, first - 1 do
        local gone = redis.call('HGET', key, s)
        if gone then
          used = used - gone
          redis.call('HDEL', key, s)
        end
      end
    end
    redis.call('HSET', key, 'sum', used, 'first', first)
    if amount > limit then
      wait = -2
    elseif used + amount > limit then
      local over = used + amount - limit
      for s = first, slot do
        over = over - (redis.call('HGET', key, s) or 0)
        if over <= 0 then
          wait = (s + SLOTS + 1) * more - now
          break
        end
      end
    end
  else
    used = amount
    local said = redis.call('HGETALL', key)
    for j = 1, #said, 2 do
      if said[j] ~= me then
        local until_ = redis.call('ZSCORE', alive, said[j])
        if until_ and tonumber(until_) * 1000 > now then
          used = used + string.match(said[j + 1], ':(%d+)$')
        else
          redis.call('HDEL', key, said[j])
        end
      end
    end
    if used > limit then
      wait = -1
      used = used - 1
    end
  end
  if wait ~= 0 then granted = false end
  rows[i] = {key, kind, used, wait, slot, amount, more}
end

for i = 1, #rows do
  local key, kind, used, wait, slot, amount, more = unpack(rows[i])
  if granted and kind == 'w' then
    used = used + amount
    if amount > 0 then
      redis.call('HINCRBY', key, slot, amount)
      redis.call('HINCRBY', key, 'sum', amount)
    end
  elseif granted then
    local before = redis.call('HGET', key, me)
    if not before or tonumber(string.match(before, '^(%d+):')) < more then
      redis.call('HSET', key, me, more .. ':' .. amount)
    end
    redis.call('ZADD', alive, math.floor(now / 1000) + last, me)
  end
  redis.call('PEXPIRE', key, kind == 'w' and math.ceil((SLOTS + 2) * more / 1000) or 60000)
  answer[#answer + 1] = used
  answer[#answer + 1] = wait
end
return answer
