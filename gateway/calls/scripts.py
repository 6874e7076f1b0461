"""What must happen at once in Redis, in Lua: three ways to write a call.

Each touches keys of one call only, so they run in a cluster. Whoever streams a call writes with `SAVE`, fenced by
the generation of its stream; everybody else with `PUT`, which is a compare-and-set on the revision; a media token
is used with `CLAIM`. A key that is missing means that Redis has forgotten, never that somebody else took over.
"""

from __future__ import annotations

from typing import Final

from gateway.redis.script import Script

PUT: Final = Script(
    "put",
    """
-- KEYS: call, journal. ARGV: revision read ('' where there was none), state, generation, facts, ttl_ms.
-- Returns {'kept', revision}, {'changed'} or {'missing'}.
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision and ARGV[1] ~= '' then return {'missing'} end
if revision and revision ~= ARGV[1] then return {'changed'} end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'generation', ARGV[3], 'facts', ARGV[4])
local kept = redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {'kept', kept}
""",
)

SAVE: Final = Script(
    "save",
    """
-- KEYS: call, journal. ARGV: generation, holder, generation of its own stream (behind the first, if it has itself
-- offered the next), '1' if all there is to keep is in here, state, facts, ttl_ms, most events, number of fields to
-- delete, those fields, number of fields to set, those fields and values, then events for the journal.
-- Returns 'kept', 'missing' (nothing written: send all), 'superseded', or 'ended' (of which only the events are).
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation then
  if ARGV[4] ~= '1' then return 'missing' end
  redis.call('HSET', KEYS[1], 'revision', 1)
elseif tonumber(generation) > tonumber(ARGV[1]) then
  return 'superseded'
elseif tonumber(generation) > tonumber(ARGV[3]) and redis.call('HGET', KEYS[1], 'holder') ~= ARGV[2] then
  return 'superseded'
end
local at = 10 + tonumber(ARGV[9])
local set = tonumber(ARGV[at])
for i = at + 1 + set, #ARGV do redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], '*', 'event', ARGV[i]) end
local before = redis.call('HGET', KEYS[1], 'state')
if before == 'ended' and redis.call('HGET', KEYS[1], 'ended_by') ~= ARGV[2] then return 'ended' end
if ARGV[5] == 'ended' then redis.call('HSET', KEYS[1], 'ended_by', ARGV[2]) end
if before ~= ARGV[5] or generation ~= ARGV[1] then redis.call('HINCRBY', KEYS[1], 'revision', 1) end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'holder', ARGV[2], 'state', ARGV[5], 'facts', ARGV[6])
for i = 10, at - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = at + 1, at + set, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
return 'kept'
""",
)

CLAIM: Final = Script(
    "claim",
    """
-- KEYS: call, once. ARGV: generation, holder, ttl_ms of the mark.
-- Returns {'claimed', all fields}, {'used'}, {'superseded'}, {'ended'} or {'missing'} (the token is used all the
-- same). Asked twice by the same holder it answers the same: its first answer may have been lost.
local taken = redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3])
if not taken and redis.call('GET', KEYS[2]) ~= ARGV[2] then return {'used'} end
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation then return {'missing'} end
if tonumber(generation) > tonumber(ARGV[1]) then return {'superseded'} end
if redis.call('HGET', KEYS[1], 'state') == 'ended' then return {'ended'} end
redis.call('HSET', KEYS[1], 'holder', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'revision', 1)
return {'claimed', redis.call('HGETALL', KEYS[1])}
""",
)
