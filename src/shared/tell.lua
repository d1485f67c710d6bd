-- Corrects what was counted. Whole numbers only; times in microseconds.
-- KEYS: a key for each row, then the age. ARGV: this replica, the age that it knows (in another one nothing is put
-- right), and for each row: w, when it was counted, what to add (or to take
-- away), width of a slot; or r, 0, how many run here, the turn of that number.
local SLOTS = 120
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local me, at = ARGV[1], 3
if redis.call('GET', KEYS[#KEYS]) ~= ARGV[2] then return 0 end

for i = 1, #KEYS - 1 do
  local key, kind = KEYS[i], ARGV[at]
  local when, amount, more = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  if kind == 'w' then
    local current = math.floor(now / more)
    local slot = math.min(math.floor(when / more), current)
    local first = tonumber(redis.call('HGET', key, 'first') or current - SLOTS)
    if slot >= math.max(first, current - SLOTS) then
      redis.call('HSETNX', key, 'first', first)
      local before = tonumber(redis.call('HGET', key, slot) or 0)
      local after = math.max(before + amount, 0)
      redis.call('HSET', key, slot, after)
      redis.call('HINCRBY', key, 'sum', after - before)
      redis.call('PEXPIRE', key, math.ceil((SLOTS + 2) * more / 1000))
    end
  else
    local before = redis.call('HGET', key, me)
    if not before or tonumber(string.match(before, '^(%d+):')) < more then
      if amount > 0 then
        redis.call('HSET', key, me, more .. ':' .. amount)
      else
        redis.call('HDEL', key, me)
      end
    end
    redis.call('PEXPIRE', key, 60000)
  end
end
return 1
