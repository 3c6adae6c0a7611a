-- The counting of limits.py in Redis. One script does each step whole, however many workers there are.
--
-- KEYS: two for each key of a system: its calls (a sorted set: call -> when it ended, or has arrived at the latest)
--       and its facts (a hash).
-- ARGV: 1 what to do; 2 the seconds our clock is ahead of Redis's; 3 the limits of the keys, as JSON;
--       begin: 4 the call, 5 people ("1" or "0"), 6 writes ("1" or "0"), 7 the calls a write that can wait leaves to
--              others ("" for one that cannot). Answers nothing, or {seconds, why} to wait.
--       end:   4 the call, 5 what the answer told, as JSON. Answers the seconds a refusal asks to wait.
--       page:  4 the seconds a page counts as open.
-- ARRIVAL, LONGEST_BACK_OFF and LATE are set in front, from limits.py.

local FACTS_LIVE = 172800 -- seconds: nothing is told or closed for longer than a day

local clock = redis.call("TIME")
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000 + tonumber(ARGV[2])
local limits = cjson.decode(ARGV[3])

local function text(number)
  return string.format("%.6f", number)
end

local function fact(facts, name)
  return tonumber(redis.call("HGET", facts, name))
end

local function longest(limit)
  local seconds = 0
  for _, rate in ipairs(limit.rates) do
    if rate.calls then seconds = math.max(seconds, rate.seconds) end
  end
  return seconds
end

-- Seconds and reason to wait for one rate; nothing when there is room.
local function rate_wait(calls, facts, rate, keep, writes, leaves)
  local left, ends = fact(facts, "left " .. rate.name), fact(facts, "ends " .. rate.name)
  local told = ends and now < ends
  if not rate.calls then
    local untouched = leaves and rate.spare + rate.reserve + leaves or rate.spare
    if writes and told and left < untouched then return ends - now, left < rate.spare and "spare" or "reserved" end
    return 0
  end
  local kept = keep and rate.kept or 0
  local seconds = 0
  if told and left <= kept then seconds = ends - now end
  local since = "(" .. text(now - rate.seconds)
  local too_many = redis.call("ZCOUNT", calls, since, "+inf") - (rate.calls - kept)
  if too_many >= 0 then
    local found = redis.call("ZRANGEBYSCORE", calls, since, "+inf", "WITHSCORES", "LIMIT", too_many, 1)
    local oldest = math.min(tonumber(found[2]) or now, now)
    seconds = math.max(seconds, oldest + rate.seconds - now)
  end
  return seconds, rate.name
end

local function wait(calls, facts, limit, people, writes, leaves)
  local closed = fact(facts, "closed")
  if closed and now < closed then return closed - now, redis.call("HGET", facts, "why") end
  local keep = not people and now < (fact(facts, "page") or 0)
  local seconds, why = 0, nil
  for _, rate in ipairs(limit.rates) do
    local more, reason = rate_wait(calls, facts, rate, keep, writes, leaves)
    if more > seconds then seconds, why = more, reason end
  end
  if seconds > 0 or not limit.at_once then return seconds, why end
  local running = redis.call("ZCOUNT", calls, "(" .. text(now), "+inf")
  if running < limit.at_once - (keep and limit.kept_at_once or 0) then return 0 end
  local first = redis.call("ZRANGEBYSCORE", calls, "(" .. text(now), "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return (tonumber(first[2]) or now + ARRIVAL) - now, "at once"
end

local function begin(calls, facts, limit, call)
  redis.call("ZREMRANGEBYSCORE", calls, "-inf", text(now - longest(limit)))
  redis.call("ZADD", calls, text(now + ARRIVAL), call)
  redis.call("EXPIRE", calls, math.ceil(longest(limit) + 2 * ARRIVAL))
  for _, rate in ipairs(limit.rates) do
    if fact(facts, "left " .. rate.name) then redis.call("HINCRBY", facts, "left " .. rate.name, -1) end
  end
end

local function hear(facts, rate, left)
  local known, ends = fact(facts, "left " .. rate.name), fact(facts, "ends " .. rate.name)
  if not known or now >= ends or left > known + LATE then
    redis.call("HSET", facts, "left " .. rate.name, left, "ends " .. rate.name, text(now + rate.seconds))
  elseif left < known then
    redis.call("HSET", facts, "left " .. rate.name, left)
  end
end

local function close(facts, refusal)
  local seconds = refusal.after
  if not seconds then
    local before = redis.call("HINCRBY", facts, "refusals", 1) - 1
    seconds = math.min(refusal.first * 2 ^ before, math.max(LONGEST_BACK_OFF, refusal.first))
  end
  if now + seconds > (fact(facts, "closed") or 0) then
    redis.call("HSET", facts, "closed", text(now + seconds), "why", refusal.why)
  end
  return seconds
end

local function begin_all()
  local call, people, writes, leaves = ARGV[4], ARGV[5] == "1", ARGV[6] == "1", tonumber(ARGV[7])
  for place, limit in ipairs(limits) do
    local seconds, why = wait(KEYS[2 * place - 1], KEYS[2 * place], limit, people, writes, leaves)
    if seconds > 0 then return { text(seconds), why } end
  end
  for place, limit in ipairs(limits) do
    begin(KEYS[2 * place - 1], KEYS[2 * place], limit, call)
  end
  return false
end

local function end_all()
  local said, seconds = cjson.decode(ARGV[5]), 0
  for place, limit in ipairs(limits) do
    local calls, facts = KEYS[2 * place - 1], KEYS[2 * place]
    redis.call("ZADD", calls, "XX", "LT", text(now), ARGV[4])
    for _, rate in ipairs(limit.rates) do
      local left = said.left[rate.name]
      if left then hear(facts, rate, left) end
    end
    if #said.refused == 0 then redis.call("HDEL", facts, "refusals") end
    for _, refusal in ipairs(said.refused) do
      if refusal.key == limit.key then seconds = math.max(seconds, close(facts, refusal)) end
    end
    redis.call("EXPIRE", facts, FACTS_LIVE)
  end
  return text(seconds)
end

local function open_pages()
  for place = 1, #limits do
    redis.call("HSET", KEYS[2 * place], "page", text(now + tonumber(ARGV[4])))
    redis.call("EXPIRE", KEYS[2 * place], FACTS_LIVE)
  end
  return 1
end

return ({ begin = begin_all, ["end"] = end_all, page = open_pages })[ARGV[1]]()
