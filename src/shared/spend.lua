-- Says what everybody has spent in some windows, and lets a request in if its reserve fits in all of them, or in none.
-- Amounts are whole nano-dollars below 2^53, which is what Lua's numbers hold (9 million dollars). Each replica writes
-- fields of its own, and what it says there is all that it has spent and reserved, so that nothing counts twice. What was said in
-- fields that nobody has written for long is added up in one.
-- KEYS: one for each window, then the replicas. ARGV: this replica, for how long its reserves count (ms), after how long a field is
-- nobody's (ms), and for each window: the field that this replica writes, the turn of what it says, what was spent there, what is reserved there (this request included), when the window is over (Unix time, 0 for
-- never), what it knows everybody to have spent, what this request reserves, 1 if a last one is under way there, how many
-- limits there are, and these.
-- Answers: how many replicas there are, then for each window what others have spent, what is reserved by others, and for each
-- limit 0 (nothing is left), 1 (it fits) or 2 (it does not, and something is left).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, till, at = ARGV[1], now + ARGV[2], 4
local gone = now - ARGV[3]
local PAST = 'past'
local windows, alive = #KEYS - 1, KEYS[#KEYS]
redis.call('ZREMRANGEBYSCORE', alive, '-inf', now)
redis.call('ZADD', alive, till, me)
redis.call('PEXPIRE', alive, ARGV[2])
local rows, answer, granted = {}, {redis.call('ZCARD', alive)}, true

for i = 1, windows do
  local mine_is = ARGV[at]
  at = at + 1
  local turn, own, reserved = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local over, known, amount = ARGV[at + 3], tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local last, limits = ARGV[at + 6], tonumber(ARGV[at + 7])
  at = at + 8
  local spent, promised, past, over_and_done = 0, 0, 0, {}
  local said, mine = redis.call('HGETALL', KEYS[i]), -1
  for j = 1, #said, 2 do
    local their_turn, theirs, more, alive = string.match(said[j + 1], '^(%d+):(%d+):(%d+):(%d+)$')
    if said[j] == mine_is then
      mine = tonumber(their_turn)
    else
      spent = spent + theirs
      if tonumber(alive) > now then
        promised = promised + more
      end
      if said[j] == PAST then
        past = past + theirs
      elseif tonumber(alive) < gone then
        past = past + theirs
        over_and_done[#over_and_done + 1] = said[j]
      end
    end
  end
  if #over_and_done > 0 then
    for j = 1, #over_and_done do redis.call('HDEL', KEYS[i], over_and_done[j]) end
    redis.call('HSET', KEYS[i], PAST, string.format('0:%.0f:0:0', past))
  end
  answer[#answer + 1] = spent
  answer[#answer + 1] = promised
  local taken = math.max(spent + own, known) + promised + reserved - amount
  for limit = 1, limits do
    local left, verdict = ARGV[at] - taken, 0
    at = at + 1
    if left > 0 and amount <= left then
      verdict = 1
    elseif left > 0 and last == '0' then
      verdict = 2
    else
      granted = false
    end
    answer[#answer + 1] = verdict
  end
  rows[i] = {turn, own, reserved, over, amount, mine, mine_is}
end

for i = 1, windows do
  local turn, own, reserved, over, amount, mine, mine_is = unpack(rows[i])
  if not granted then reserved = reserved - amount end
  -- The same turn once more says that the replica is still there.
  if turn >= mine then
    redis.call('HSET', KEYS[i], mine_is, string.format('%.0f:%.0f:%.0f:%.0f', turn, own, math.max(reserved, 0), till))
  end
  if over ~= '0' then redis.call('EXPIREAT', KEYS[i], over) end
end
return answer
