-- 5,000 users asking a chat model with 1 kB bodies; the unit is in a header. Prints one line for the harness.
local requests, at = {}, 0

function init(args)
  for i = 1, 5000 do
    local user = string.format("user-%06d", i)
    local before = '{"model":"chat","messages":[{"role":"user","content":"'
    local after = '"}],"temperature":0.5,"max_tokens":64}'
    local content = string.rep("What is sold best in this town? ", 40):sub(1, 1000 - #before - #after)
    requests[i] = wrk.format("POST", "/v1/chat/completions",
      { ["Content-Type"] = "application/json", ["Accept"] = "*/*", ["X-User-Id"] = user,
        ["Authorization"] = "Bearer sk-bench" }, before .. content .. after)
  end
end

function request()
  at = at % 5000 + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
