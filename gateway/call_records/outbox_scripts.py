"""What must happen at once in the outbox in Redis, in Lua.

Each has the same KEYS: due, letters, put times, dead, done; and as ARGV[1] how many seconds they are kept. They
share a hash tag, so they run in a cluster. Scores are given to Lua as text and never computed with, because a Lua
number becomes a string of 14 digits.
"""

from __future__ import annotations

from typing import Final

from gateway.redis.script import Script

_BEGIN: Final = """
local due, letters, put, dead, done = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local function forget(sid)
  redis.call('HDEL', letters, sid .. ':body', sid .. ':tries', sid .. ':put', sid .. ':why')
end
local function keep()
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
end
"""

PUT: Final = Script(
    "outbox_put",
    _BEGIN
    + """
-- ARGV: kept_s, CallSid, body, now_s, most letters, forget those done before, forget the dead from before.
-- Returns 'put', 'known' or 'full'.
local sid = ARGV[2]
redis.call('ZREMRANGEBYSCORE', done, '-inf', '(' .. ARGV[6])
for _, old in ipairs(redis.call('ZRANGE', dead, '-inf', '(' .. ARGV[7], 'BYSCORE', 'LIMIT', 0, 100)) do
  forget(old)
  redis.call('ZREM', dead, old)
end
if redis.call('ZSCORE', done, sid) or redis.call('HEXISTS', letters, sid .. ':body') == 1 then return 'known' end
if redis.call('ZCARD', due) >= tonumber(ARGV[5]) then return 'full' end
redis.call('HSET', letters, sid .. ':body', ARGV[3], sid .. ':tries', 0, sid .. ':put', ARGV[4])
redis.call('ZADD', due, ARGV[4], sid)
redis.call('ZADD', put, ARGV[4], sid)
keep()
return 'put'
""",
)

CLAIM: Final = Script(
    "outbox_claim",
    _BEGIN
    + """
-- ARGV: kept_s, now_s, most, end of the lease. Returns a list of {CallSid, body, put at, tries}.
local claimed = {}
for _, sid in ipairs(redis.call('ZRANGE', due, '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
  local body = redis.call('HGET', letters, sid .. ':body')
  if body then
    redis.call('ZADD', due, ARGV[4], sid)
    local tries = redis.call('HINCRBY', letters, sid .. ':tries', 1)
    claimed[#claimed + 1] = {sid, body, redis.call('HGET', letters, sid .. ':put'), tries}
  else
    redis.call('ZREM', due, sid)
    redis.call('ZREM', put, sid)
  end
end
if #claimed > 0 then keep() end
return claimed
""",
)

DELIVER: Final = Script(
    "outbox_deliver",
    _BEGIN
    + """
-- ARGV: kept_s, CallSid, now_s.
local sid = ARGV[2]
redis.call('ZREM', due, sid)
redis.call('ZREM', put, sid)
redis.call('ZREM', dead, sid)
forget(sid)
redis.call('ZADD', done, ARGV[3], sid)
keep()
return 'gone'
""",
)

PUT_OFF: Final = Script(
    "outbox_put_off",
    _BEGIN
    + """
-- ARGV: kept_s, CallSid, tries, due at.
if redis.call('HGET', letters, ARGV[2] .. ':tries') ~= ARGV[3] then return 'not yours' end
redis.call('ZADD', due, 'XX', ARGV[4], ARGV[2])
return 'put off'
""",
)

BURY: Final = Script(
    "outbox_bury",
    _BEGIN
    + """
-- ARGV: kept_s, CallSid, tries, why, now_s, most dead.
local sid = ARGV[2]
if redis.call('HGET', letters, sid .. ':tries') ~= ARGV[3] then return 'not yours' end
redis.call('ZREM', due, sid)
redis.call('ZREM', put, sid)
redis.call('HSET', letters, sid .. ':why', ARGV[4])
redis.call('ZADD', dead, ARGV[5], sid)
for _, old in ipairs(redis.call('ZRANGE', dead, 0, -1 - tonumber(ARGV[6]))) do
  forget(old)
  redis.call('ZREM', dead, old)
end
keep()
return 'buried'
""",
)

REVIVE: Final = Script(
    "outbox_revive",
    _BEGIN
    + """
-- ARGV: kept_s, CallSid, now_s.
local sid = ARGV[2]
if redis.call('ZREM', dead, sid) == 0 then return 'unknown' end
redis.call('HDEL', letters, sid .. ':why')
redis.call('HSET', letters, sid .. ':put', ARGV[3])
redis.call('ZADD', due, ARGV[3], sid)
redis.call('ZADD', put, ARGV[3], sid)
keep()
return 'revived'
""",
)
